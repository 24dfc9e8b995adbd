"""The messages of a session that one can go back to, and the changes that were applied since each."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from datasteward_agent.events import ApprovalDecided, Event, RunStarted, UserSaid


@dataclass(frozen=True, slots=True, kw_only=True)
class RewindPoint:
    """A person's message: the number of the last event before its run, and the changes applied from there on."""

    kept_events: int
    at: str
    text: str
    changes: tuple[str, ...]

    def keeping(self, standing: frozenset[str]) -> "RewindPoint":
        """The same with only those changes that are among `standing`."""
        return replace(self, changes=tuple(c for c in self.changes if c in standing))


def find_rewind_points(events: Iterable[Event]) -> tuple[RewindPoint, ...]:
    """One for each message of the person, in order; `changes` are in the order they were applied."""
    found: list[tuple[int, str, str]] = []
    applied: list[tuple[int, str]] = []
    run_began: int | None = None
    for event in events:
        match event:
            case RunStarted():
                run_began = event.n
            case UserSaid() if event.message.author == "person" and event.message.text:
                found.append(((run_began or event.n) - 1, event.at, event.message.text))
                run_began = None
            case ApprovalDecided() if event.status == "applied":
                applied.append((event.n, event.proposal_id))
            case _:
                pass
    return tuple(
        RewindPoint(kept_events=kept, at=at, text=text, changes=tuple(dict.fromkeys(c for n, c in applied if n > kept)))
        for kept, at, text in found
    )
