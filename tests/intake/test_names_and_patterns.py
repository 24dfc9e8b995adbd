"""Files are reached by name, by path and by pattern as they are written, and what a name misses is said."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from tests.support.worker_session import ask, open_session

from datasteward.engine.session import Session
from datasteward.errors import ToolError


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.chdir(tmp_path)
    for name in ("sales", "x", "y", "parts", "my files"):
        (tmp_path / name).mkdir()
    (tmp_path / "sales" / "a.csv").write_text("id,region\n1,n\n2,s\n")
    (tmp_path / "sales" / "b.csv").write_text("Title\n\nid;region;extra\n3;e;x\n4;w;y\n5;q;z\n")
    for name in (
        "order.csv",
        "it's.csv",
        "Größe.csv",
        'quo"te.csv',
        "[t]ab*.csv",
        "2024.csv",
        "my files/my orders.csv",
    ):
        (tmp_path / name).write_text("id,v\n1,a\n2,b\n")
    for folder in ("x", "y"):
        (tmp_path / folder / "twice.csv").write_text("id,v\n1,a\n")
    connection = duckdb.connect()
    connection.execute(f"COPY (SELECT 1 AS a, 2 AS b) TO '{tmp_path}/parts/1.parquet'")
    connection.execute(f"COPY (SELECT 3 AS a, 4 AS b, 'x' AS c) TO '{tmp_path}/parts/2.parquet'")
    opened = open_session(tmp_path)
    yield opened
    opened.release()


def refusal(session: Session, sql: str) -> str:
    with pytest.raises(ToolError) as caught:
        ask(session, sql)
    return f"{caught.value.message} {caught.value.hint}"


def test_a_pattern_of_csv_files_reads_each_as_it_is_written_and_tells_what_differs(session: Session) -> None:
    found = ask(session, "SELECT id, region, extra FROM 'sales/*.csv' ORDER BY id")
    assert found.rows[0] == (1, "n", None) and found.rows[2] == (3, "e", "x") and len(found.rows) == 5
    assert '"extra" is missing in 1 of 2 files (a.csv).' in found.notes


def test_a_pattern_of_parquet_files_keeps_the_columns_that_only_some_have(session: Session) -> None:
    found = ask(session, "SELECT * FROM 'parts/*.parquet' ORDER BY a")
    assert found.rows == [(1, 2, None), (3, 4, "x")]
    assert '"c" is missing in 1 of 2 files (1.parquet).' in found.notes


def test_a_pattern_sees_files_that_come_and_change(session: Session, tmp_path: Path) -> None:
    assert ask(session, "SELECT count(*) FROM 'sales/*.csv'").rows == [(5,)]
    (tmp_path / "sales" / "c.csv").write_text("id,region\n9,n\n")
    assert ask(session, "SELECT count(*) FROM 'sales/*.csv'").rows == [(6,)]
    (tmp_path / "sales" / "c.csv").write_text("id,region\n9,n\n10,n\n")
    assert ask(session, "SELECT count(*) FROM 'sales/*.csv'").rows == [(7,)]


def test_types_that_differ_between_files_become_one_that_holds_all_values(session: Session, tmp_path: Path) -> None:
    (tmp_path / "sales" / "c.csv").write_text("id,region\ntrue,n\nfalse,s\n")
    found = ask(session, "SELECT id FROM 'sales/[ac].csv' ORDER BY ALL")
    assert [r[0] for r in found.rows] == ["1", "2", "false", "true"]
    assert any("differing types, read as VARCHAR" in n for n in found.notes)


def test_more_files_than_can_be_looked_at_are_read_as_text_and_told(session: Session, tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for n in range(501):
        (tmp_path / "many" / f"{n:03d}.csv").write_text(f"code,day\n00{n},01/02/2020\n")
    found = ask(session, "SELECT code, day FROM 'many/*.csv' ORDER BY code LIMIT 1")
    assert found.rows == [("000", "01/02/2020")] and any("501 files are too many" in n for n in found.notes)


def test_the_quarantine_of_a_pattern_names_the_file_of_each_line(session: Session, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.ndjson").write_text('{"id": 1}\n{"id": 2}\n{"id": \n{"id": 3}\n')
    found = ask(session, 'SELECT file, line_number FROM "*.ndjson".quarantine ORDER BY ALL')
    assert found.rows == [("a.ndjson", 3), ("b.ndjson", 3)]


def test_a_pattern_that_takes_in_other_files_is_refused_by_their_names(session: Session, tmp_path: Path) -> None:
    (tmp_path / "sales" / "README.md").write_text("words\n")
    assert "not data: README.md" in refusal(session, "FROM 'sales/*'")


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("read_parquet('parts/*.parquet')", '"c" of later files left out'),
        ("read_parquet(['parts/1.parquet', 'parts/2.parquet'])", '"c" of later files left out'),
        ("read_csv('sales/*.csv')", '"extra" of later files left out'),
        ("read_csv('sales/b.csv')", "b.csv is not plain: 1 line above the header"),
        ("read_csv('sales/a.csv', ignore_errors = true)", "drops lines that do not parse"),
    ],
)
def test_a_reader_call_that_may_lose_something_says_so(call: str, told: str, session: Session) -> None:
    assert any(told in n for n in ask(session, f"SELECT * FROM {call}").notes)


@pytest.mark.parametrize(
    "call",
    [
        "read_csv('sales/a.csv')",
        "read_csv('sales/b.csv', skip = 2, delim = ';')",
        "read_parquet('parts/1.parquet') a JOIN read_parquet('parts/2.parquet') b ON a.a = b.a",
    ],
)
def test_a_reader_call_that_loses_nothing_is_let_be(call: str, session: Session) -> None:
    assert not any("left out" in n or "not plain" in n for n in ask(session, f"SELECT * FROM {call}").notes)


@pytest.mark.parametrize(
    "name",
    [
        '"order"', "'order.csv'", "it_s", '"it\'s.csv"', "'it''s.csv'", "Größe", "größe", "'Größe.csv'", "quo_te",
        "'quo\"te.csv'", "t_ab", "'[t]ab*.csv'", "_2024", "'2024.csv'", "my_orders", "'my files/my orders.csv'",
    ],
)  # fmt: skip
def test_a_file_with_an_awkward_name_is_read_by_name_and_by_path(name: str, session: Session) -> None:
    assert ask(session, f"SELECT count(*) FROM {name}").rows == [(2,)]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("FROM twice", "Write one of x_twice (x/twice.csv), y_twice (y/twice.csv)"),
        ("FROM 'twice.csv'", "could be any of 2 files"),
        ('FROM "my orders"', "The file is called my_orders; or by its path: FROM 'my files/my orders.csv'."),
        ("FROM 'my orders.csv'", "The file is called my_orders"),
        ("SELECT * FROM order", 'order is a word of SQL; the file order.csv is called "order", in double quotes.'),
        ("SELECT * FROM sales/*.csv", "Write paths in single quotes: FROM 'sales/*.csv'."),
        ("SELECT * FROM sales/a.csv", "Write paths in single quotes: FROM 'sales/a.csv'."),
        ('FROM "order".sheet', 'It holds one table: FROM "order"'),
    ],
)
def test_a_name_that_misses_says_what_to_write(sql: str, said: str, session: Session) -> None:
    assert said in refusal(session, sql)


@pytest.mark.parametrize("name", ["book", '"book.xlsx"'])
def test_a_sheet_that_is_not_there_brings_the_list_of_sheets(
    name: str, session: Session, tmp_path: Path, shared_data: Path
) -> None:
    shutil.copyfile(shared_data / "files" / "calamine" / "any_sheets.xlsx", tmp_path / "book.xlsx")
    said = refusal(session, f"FROM {name}.Nope")
    assert "has no part 'Nope'" in said and f"It has {name}.Visible, {name}.Hidden" in said
    assert len(ask(session, f"FROM {name}.visible").rows) == 4
