"""The state database commits whole blocks, refuses newer versions and names what is wrong with a file."""

import threading
from pathlib import Path

import pytest

from datasteward.errors import ConfigError
from datasteward.state import StateDatabase


def test_a_block_that_raises_leaves_nothing(tmp_path: Path) -> None:
    state = StateDatabase(tmp_path / "state.sqlite")
    state.migrate("things", ("CREATE TABLE things (x INTEGER);",))
    with pytest.raises(RuntimeError), state.connection() as connection:
        connection.execute("INSERT INTO things VALUES (1)")
        raise RuntimeError
    with state.connection(write=False) as connection:
        assert connection.execute("SELECT count(*) FROM things").fetchone() == (0,)
    state.close()


def test_migrations_run_once_and_newer_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    scripts = ("CREATE TABLE a (x INTEGER);", "ALTER TABLE a ADD COLUMN y INTEGER; INSERT INTO a VALUES (1, 2);")
    for _ in range(2):
        state = StateDatabase(path)
        state.migrate("a", scripts)
        with state.connection(write=False) as connection:
            assert connection.execute("SELECT * FROM a").fetchall() == [(1, 2)]
        state.close()
    old = StateDatabase(path)
    with pytest.raises(ConfigError, match="version 2"):
        old.migrate("a", scripts[:1])
    old.close()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    path.write_bytes(b"not a database at all, but long enough to look like one" * 20)
    with pytest.raises(ConfigError, match="damaged"):
        StateDatabase(path).migrate("a", ("CREATE TABLE a (x INTEGER);",))


def test_a_transaction_that_is_under_way_is_waited_for_when_the_database_is_closed(tmp_path: Path) -> None:
    state = StateDatabase(tmp_path / "state.sqlite")
    state.migrate("numbers", ("CREATE TABLE numbers (n INTEGER);",))
    begun, go_on, written = threading.Event(), threading.Event(), threading.Event()

    def write() -> None:
        with state.connection() as connection:
            begun.set()
            assert go_on.wait(10)
            connection.execute("INSERT INTO numbers VALUES (1)")
        written.set()

    writer, closer = threading.Thread(target=write), threading.Thread(target=state.close)
    writer.start()
    assert begun.wait(10)
    closer.start()
    go_on.set()
    for thread in (writer, closer):
        thread.join(10)
        assert not thread.is_alive()
    assert written.is_set()
    with state.connection(write=False) as connection:
        assert connection.execute("SELECT count(*) FROM numbers").fetchone() == (1,)
    state.close()
