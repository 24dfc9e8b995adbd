"""Fixtures of the tests of changes."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.changes_workspace import ChangesWorkspace

ORDERS = (
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, amount DECIMAL(10, 2), status VARCHAR);"
    "INSERT INTO orders SELECT i, i % 10, i / 4, 'open' FROM range(1000) AS r (i)"
)


@pytest.fixture
def workspace(tmp_path: Path) -> ChangesWorkspace:
    """A workspace with 1,000 orders."""
    return ChangesWorkspace(tmp_path).make(ORDERS)


@pytest.fixture(scope="session")
def forked() -> Iterator[Callable[..., list[dict[str, object]]]]:
    """Runs steps in forked children and gives their answers: `said` or `error`, and the `exit` code."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.changes_forker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert process.stdin is not None and process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def run(*orders: dict[str, str]) -> list[dict[str, object]]:
        stdin.write(json.dumps(orders) + "\n")
        stdin.flush()
        answers: list[dict[str, object]] = json.loads(stdout.readline())
        return answers

    yield run
    stdin.close()
    process.wait(timeout=20)
    stdout.close()
