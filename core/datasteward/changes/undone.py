"""Which changes no longer stand, read without opening the store: for those that only show what became of them."""

import contextlib
from pathlib import Path

from datasteward.state import StateDatabase


def read_undone(state_path: Path) -> dict[str, str]:
    """By which change each change that was taken back was so: `{"c8": "c9"}`; empty where nothing was ever proposed."""
    if not state_path.is_file():
        return {}
    with contextlib.closing(StateDatabase(state_path)) as state, state.connection(write=False) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'changes'").fetchone():
            return {}
        rows = connection.execute("SELECT number, undone_by FROM changes WHERE undone_by IS NOT NULL").fetchall()
    return {f"c{number}": f"c{by}" for number, by in rows}
