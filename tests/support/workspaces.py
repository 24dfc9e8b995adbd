"""Workspaces for tests: a folder with small data and an owner that ends with the test."""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from tests.support.wire_client import STEWARD, WAIT_SECONDS


def make_workspace(folder: Path, *, with_database: bool = True) -> Path:
    """A folder with `data/sales.csv`, `data/events.ndjson` and, unless told, `warehouse.duckdb` with a table `orders`."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    (folder / "data" / "sales.csv").write_text("id,region,amount\n1,north,10.50\n2,south,20.25\n3,north,30.00\n")
    (folder / "data" / "events.ndjson").write_text('{"id": 1, "tags": ["a", "b"]}\n{"id": 2, "tags": []}\n')
    if with_database:
        with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
            connection.execute("CREATE TABLE orders AS SELECT i AS id, i * 1.5 AS amount FROM range(1000) t(i)")
    return folder


def steward(folder: Path, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run one `steward` command to its end."""
    return subprocess.run(
        [*STEWARD, *arguments],
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS * 2,
        env={k: v for k, v in os.environ.items() if not k.startswith("STEWARD_")},
        check=False,
    )


@contextmanager
def owned_workspace(folder: Path, settings: Sequence[str] = ()) -> Iterator[Path]:
    """A workspace whose owner process, if one was started, is stopped at the end."""
    make_workspace(folder)
    if settings:
        (folder / "steward.toml").write_text("\n".join(settings) + "\n")
    try:
        yield folder
    finally:
        steward(folder, "owner", "stop")


def owner_process_id(folder: Path) -> int:
    """The process id of the running owner."""
    import json

    return int(json.loads((folder / ".steward" / "owner.json").read_text())["process_id"])


def kill(process_id: int) -> None:
    """End a process of the test's own at once."""
    os.kill(process_id, signal.SIGKILL)
