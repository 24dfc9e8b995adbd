"""The journal is a chain that shows every edit, and survives crashes and many writers."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from datasteward.journal import Journal


def fill(folder: Path, count: int = 5) -> Journal:
    journal = Journal(folder)
    for number in range(count):
        journal.append("call", {"tool": "run_query", "rows": number})
    return journal


def test_entries_come_back_in_order_and_verify(tmp_path: Path) -> None:
    journal = fill(tmp_path)
    entries = list(journal.read())
    assert [e.number for e in entries] == [1, 2, 3, 4, 5]
    assert entries[3].fields == {"tool": "run_query", "rows": 3}
    report = journal.verify()
    assert report.is_intact
    assert report.entries == 5
    journal.close()


@pytest.mark.parametrize("attack", ["edit", "remove", "swap", "cut", "append"])
def test_every_tampering_shows(tmp_path: Path, attack: str) -> None:
    journal = fill(tmp_path)
    journal.close()
    lines = journal.path.read_text().splitlines()
    if attack == "edit":
        lines[2] = lines[2].replace('"rows":2', '"rows":9')
    elif attack == "remove":
        del lines[1]
    elif attack == "swap":
        lines[1], lines[2] = lines[2], lines[1]
    elif attack == "cut":
        del lines[-1]
    else:
        forged = json.loads(lines[-1]) | {"n": 6}
        lines.append(json.dumps(forged))
    journal.path.write_text("\n".join(lines) + "\n")
    report = Journal(tmp_path).verify()
    assert not report.is_intact
    assert report.reason


def test_a_line_torn_by_a_crash_is_cut_and_the_chain_goes_on(tmp_path: Path) -> None:
    journal = fill(tmp_path, 3)
    journal.close()
    with journal.path.open("a") as file:
        file.write('{"n": 4, "at": "2026')
    again = Journal(tmp_path)
    again.append("call", {"rows": 4})
    assert [e.number for e in again.read()] == [1, 2, 3, 4]
    assert again.verify().is_intact
    again.close()


WRITER = """
import sys
from pathlib import Path
from datasteward.journal import Journal
journal = Journal(Path(sys.argv[1]))
for _ in range(50):
    journal.append("call", {"x": 1}, durable=False)
journal.close()
"""


def test_several_processes_share_one_chain(tmp_path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)]) for _ in range(3)]
    assert [w.wait(60) for w in writers] == [0, 0, 0]
    report = Journal(tmp_path).verify()
    assert report.is_intact
    assert report.entries == 150


def test_the_latest_entries_are_read_from_the_end_alone(tmp_path: Path) -> None:
    journal = fill(tmp_path, 50)
    journal.close()
    latest = journal.read_latest(most_bytes=2000)
    assert 0 < len(latest) < 50
    assert [e.number for e in latest] == list(range(51 - len(latest), 51))
    assert [e.number for e in journal.read_latest()] == list(range(1, 51))
    assert Journal(tmp_path / "none").read_latest() == []
