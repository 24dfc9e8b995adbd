"""That all lines were read to choose columns and types is told only where it made a difference."""

from pathlib import Path

import pytest
from tests.support.worker_session import ask, open_session

ROWS = 60_000


@pytest.mark.parametrize("rows", [50, ROWS])
def test_a_clean_file_read_by_all_its_lines_is_told_of_nothing(rows: int, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id,v,day\n" + "".join(f"{n},{n % 7}.5,2024-01-0{n % 9 + 1}\n" for n in range(rows)))
    session = open_session(tmp_path)
    before = ask(session, "FROM t LIMIT 1")
    assert session.prepare_by_all_lines("FROM t") is not None
    after = ask(session, "FROM t LIMIT 1")
    assert after == before and not any("all lines" in n for n in after.notes)


@pytest.mark.parametrize("odd", ["x", "n/a", "only one"])
def test_a_file_whose_later_lines_change_its_types_is_told_of(odd: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    lines = (
        "torn" if odd == "only one" and n == ROWS - 9 else f"{n},{odd if n == ROWS - 9 else n}" for n in range(ROWS)
    )
    path.write_text("id,v\n" + "\n".join(lines) + "\n")
    session = open_session(tmp_path)
    assert session.prepare_by_all_lines("FROM t") is not None
    assert any("all lines were read" in n for n in ask(session, "FROM t LIMIT 1").notes)
