"""Steps of changes on their way into the journal."""

import json

from datasteward.changes.ports import JournalLike, JsonLike
from datasteward.changes.store import ChangeStore


class JournalWriter:
    """Moves steps from the state database into the journal; a crash in between repeats a step, never loses one."""

    def __init__(self, store: ChangeStore, journal: JournalLike) -> None:
        self._store = store
        self._journal = journal

    def flush(self) -> None:
        """Write every step that the journal misses, in order; repeated ones carry the same `step` number."""
        for event in self._store.unwritten_events():
            fields: dict[str, JsonLike] = {
                **json.loads(json.dumps(dict(event.fields))),
                "proposal": f"c{event.number}",
                "step": event.id,
            }
            entry = self._journal.append(event.event, fields)
            with self._store.transaction() as moves:
                moves.mark_written(event.id, entry.hash)
