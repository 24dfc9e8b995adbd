"""Files as people really write them come out cell for cell, or with the doubt told."""

import bz2
import gzip
import lzma
import os
import sqlite3
import zipfile
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.polluted import HEADER, PollutedFile, clean_rows, polluted_files, same_cell, write

from datasteward.errors import ToolError
from datasteward.intake.inspect import inspect_file
from datasteward.intake.model import BadRowLimit, Overrides, ReadPlan
from datasteward.intake.plan import read_plan

CASES = polluted_files()
AMBIGUOUS = frozenset({"row_59_inner_quotes"})


def read(path: Path, **overrides: object) -> tuple[ReadPlan, list[str], list[tuple[object, ...]]]:
    connection = duckdb.connect()
    plan = read_plan(connection, inspect_file(path, Overrides(**overrides)), path.parent / "cache")  # type: ignore[arg-type]
    relation = connection.sql(f"SELECT * FROM {plan.table_sql}")
    return plan, relation.columns, relation.fetchall()


def put(folder: Path, name: str, data: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


@pytest.mark.parametrize("case", CASES, ids=[c.name for c in CASES])
def test_a_polluted_file_is_read_cell_for_cell_or_its_bad_row_is_set_aside(case: PollutedFile, tmp_path: Path) -> None:
    path = put(tmp_path, "case.csv", case.data)
    connection = duckdb.connect()
    plan = read_plan(connection, inspect_file(path), tmp_path / "cache")
    relation = connection.sql(f"SELECT COLUMNS(*)::VARCHAR FROM {plan.table_sql}")
    rows = relation.fetchall()
    wanted = case.rows
    if len(rows) < len(case.rows):
        assert plan.quarantine is not None and case.unsure, plan.told
        wanted = [r for i, r in enumerate(case.rows) if i not in case.unsure]
    if case.name in AMBIGUOUS:
        assert plan.told
        return
    assert not case.header or relation.columns == case.header
    assert len(rows) == len(wanted)
    for found, meant in zip(rows, wanted, strict=True):
        assert len(found) == len(meant) and all(map(same_cell, found, meant)), (found, meant)


def test_set_aside_rows_keep_their_line_number_text_and_reason(tmp_path: Path) -> None:
    lines = ["a,b,c", *(f"{n},{n},x{n}" for n in range(40))]
    lines[20] = "one,two"
    path = put(tmp_path, "bad.csv", "\n".join(lines) + "\n")
    plan, _, rows = read(path)
    assert plan.quarantine is not None and plan.quarantine.rows == 1
    kept = duckdb.sql(f"SELECT line_number, raw, reason FROM {plan.quarantine.table_sql}").fetchall()
    assert kept == [(21, "one,two", "2 fields where the table has 3")]
    assert len(rows) == 39
    assert any("quarantine" in t for t in plan.told)


def test_too_many_bad_rows_stop_the_reading_with_the_reasons(tmp_path: Path) -> None:
    lines = ["a,b,c"] + [f"{n},{n},x" if n % 2 else "word,other" for n in range(200)]
    path = put(tmp_path, "bad.csv", "\n".join(lines))
    intake = inspect_file(path, Overrides(delimiter=","))
    with pytest.raises(ToolError, match="did not parse"):
        read_plan(duckdb.connect(), intake, tmp_path / "cache", BadRowLimit(share=0.01, count=3))


@pytest.mark.parametrize(
    "cell", ["007", "+49", "1234567890123456789012", "0123-45", "1.10e", "01/02/2020", "12,5", "$5M", "NA", "1_000"]
)
def test_a_type_is_never_chosen_that_changes_what_is_written(cell: str, tmp_path: Path) -> None:
    text = "id,what\n" + "".join(f"{n},{cell}\n" for n in range(30))
    _, _, rows = read(put(tmp_path, "codes.csv", text if "," not in cell else text.replace(cell, f'"{cell}"')))
    assert {str(r[1]) for r in rows} == {cell}


@pytest.mark.parametrize(
    ("values", "is_told"), [(["1.250", "12.500", "300"], True), (["1.250", "0.125", "2.500"], False), (["1.5"], False)]
)
@pytest.mark.parametrize("rows", [12, 30_000], ids=["converted", "direct"])
def test_points_that_may_part_thousands_are_told(values: list[str], is_told: bool, rows: int, tmp_path: Path) -> None:
    text = "id;umsatz;wort\n" + "".join(f"{n};{values[n % len(values)]};a b\n" for n in range(rows))
    plan, _, _ = read(put(tmp_path, "points.csv", text))
    assert any("may mean 1" in t for t in plan.told) == is_told


def test_numbers_dates_and_booleans_get_their_types(tmp_path: Path) -> None:
    text = "n,x,d,t,b\n" + "".join(
        f"{i},{i}.5,2024-01-{i + 1:02d},2024-01-01 10:00:{i:02d},{'true' if i % 2 else 'false'}\n" for i in range(20)
    )
    plan, _, _ = read(put(tmp_path, "typed.csv", text))
    assert [c.type for c in plan.columns] == ["BIGINT", "DOUBLE", "DATE", "TIMESTAMP", "BOOLEAN"]
    assert plan.kind == "direct"


def test_a_null_word_far_down_does_not_break_a_number_column(tmp_path: Path) -> None:
    text = "id,value\n" + "".join(f"{n},{'null' if n == 30_000 else n}\n" for n in range(40_000))
    path = put(tmp_path, "late.csv", text)
    plan, _, rows = read(path, look="all")
    assert plan.columns[1].type == "BIGINT" and plan.columns[1].null_spellings == ("null",)
    assert rows[30_000] == (30_000, None)


def test_a_ragged_row_far_down_is_set_aside_when_the_whole_file_is_looked_at(tmp_path: Path) -> None:
    text = "id,value,word\n" + "".join("only one\n" if n == 90_000 else f"{n},{n}.5,w{n % 9}\n" for n in range(100_000))
    path = put(tmp_path, "deep.csv", text)
    assert read_plan(duckdb.connect(), inspect_file(path), tmp_path / "cache").kind == "direct"
    plan, _, rows = read(path, look="all")
    assert len(rows) == 99_999 and plan.quarantine is not None and plan.quarantine.rows == 1


def test_bytes_that_do_not_fit_the_encoding_are_told(tmp_path: Path) -> None:
    good = "".join(f"{n};Müller Grün {n}\n" for n in range(40)).encode()
    plan, _, rows = read(put(tmp_path, "bytes.csv", b"id;name\n" + good + b"99;broken \xff\xfe here\n"))
    assert len(rows) == 41 and any("encoding" in t for t in plan.told)


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)],
    ids=["gzip", "bzip2", "xz"],
)
def test_compressed_text_is_read_like_plain_text(suffix: str, pack: object, tmp_path: Path) -> None:
    data = write(HEADER, clean_rows(10), newline="\n").encode()
    path = put(tmp_path, f"table.csv{suffix}", pack(data))  # type: ignore[operator]
    _, names, rows = read(path)
    assert names == HEADER and len(rows) == 10


def test_a_zip_archive_gives_its_first_file_and_tells_of_the_others(tmp_path: Path) -> None:
    path = tmp_path / "two.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("one.csv", "a,b\n1,x\n")
        archive.writestr("two.csv", "c\n1\n")
    plan, names, _ = read(path)
    assert names == ["a", "b"] and any("2 files" in t for t in plan.told)


def test_a_sqlite_file_is_opened_read_only_table_by_table(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE items(id INTEGER, name TEXT, price REAL)")
        base.executemany("INSERT INTO items VALUES (?, ?, ?)", [(1, "a", 1.5), (2, None, 2.0)])
        base.execute("CREATE TABLE other(x)")
    base.close()
    before = path.read_bytes()
    assert [p.name for p in inspect_file(path).parts] == ["items", "other"]
    _, names, rows = read(path, part="items")
    assert (names, rows) == (["id", "name", "price"], [(1, "a", 1.5), (2, None, 2.0)])
    assert path.read_bytes() == before


@pytest.mark.parametrize(("name", "is_stream"), [("data.arrow", False), ("data.arrows", True), ("data.ipc", True)])
def test_an_arrow_file_or_stream_keeps_its_types(tmp_path: Path, name: str, is_stream: bool) -> None:
    import pyarrow as pa

    table = pa.table({"n": pa.array([1, None], pa.int16()), "t": ["x", "y"]})
    path = tmp_path / name
    open_writer = pa.ipc.new_stream if is_stream else pa.ipc.new_file
    with pa.OSFile(str(path), "wb") as sink, open_writer(sink, table.schema) as writer:
        writer.write_table(table)
    _, _, rows = read(path)
    assert rows == [(1, "x"), (None, "y")]


def test_a_json_array_of_arrays_is_a_table(tmp_path: Path) -> None:
    _, names, rows = read(put(tmp_path, "lists.json", '[["id", "name"], [1, "x"], [2, "y"]]'))
    assert (names, rows) == (["id", "name"], [(1, "x"), (2, "y")])


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("empty.csv", b""),
        ("blank.csv", b" \n\n"),
        ("gone.gz", b"\x1f\x8b\x00broken"),
        ("bad.xlsx", b"PK\x03\x04zzz"),
        ("bad.db", b"SQLite format 3\x00rest"),
    ],
)
def test_an_unreadable_file_says_what_is_wrong(name: str, data: bytes, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=name):
        read(put(tmp_path, name, data))


def test_the_same_file_is_converted_once_and_again_when_it_changes(tmp_path: Path) -> None:
    path = put(tmp_path, "x.csv", "title only\na;b\n1;2\n3;4\n5;6\n")
    first, _, rows = read(path)
    again, _, _ = read(path)
    assert first == again and first.kind == "converted" and len(rows) == 3
    put(tmp_path, "x.csv", "title only\na;b\n1;2\n3;4\n5;6\n7;8\n")
    os.utime(path, ns=(1, 10**18))
    _, _, rows = read(path)
    assert len(rows) == 4


def test_what_the_caller_fixes_is_not_guessed(tmp_path: Path) -> None:
    path = put(tmp_path, "x.csv", "skip me\n1|2;3\n4|5;6\n7|8;9\n")
    _, names, rows = read(path, delimiter="|", header_rows=0, skip_rows=1, all_text=True)
    assert names == ["column_1", "column_2"] and rows[0] == ("1", "2;3")


PLAIN = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\n\x00\ufeff", exclude_categories=("Cs", "Cc", "Zl", "Zp")),
    max_size=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(st.integers(-999, 10**6), PLAIN, PLAIN), min_size=3, max_size=12))
def test_any_well_formed_quoted_file_comes_back_as_written(rows: list[tuple[int, str, str]], tmp_path: Path) -> None:
    body = [[str(a), b, c] for a, b, c in rows]
    path = tmp_path / "any.csv"
    path.unlink(missing_ok=True)
    path.write_text(
        write(["number", "first", "second"], body, newline="\n", quote_all=True), encoding="utf-8", newline=""
    )
    os.utime(path, ns=(0, abs(hash(str(rows))) % 10**18))
    _, names, found = read(path, delimiter=",", quote='"', header_rows=1, all_text=True)
    assert names == ["number", "first", "second"]
    assert [[x or "" for x in r] for r in found] == body


def test_a_last_row_labelled_by_one_word_stays_a_row_and_a_sentence_below_does_not(tmp_path: Path) -> None:
    from datasteward.intake.inspect import inspect_file

    table = "school,wins,losses\nNorth,1,2\nSouth,3,4\nWest,5,6\n"
    for last, footer in (("Notes,,", 0), ("Source: the league,,", 1), ("\nTotal,,", 1)):
        path = tmp_path / f"{footer}{len(last)}.csv"
        path.write_text(table + last + "\n")
        assert len(inspect_file(path).layout.footer) == footer, last


@pytest.mark.parametrize("size", [100_000, 1_500_000, 5_000_000])
@pytest.mark.parametrize("cell", ["x", "x, y "], ids=["bare", "quoted"])
def test_a_huge_first_cell_raises_no_doubt_about_the_header(cell: str, size: int, tmp_path: Path) -> None:
    text = cell * (size // len(cell))
    path = put(tmp_path, "huge.csv", f'id,text\n1,{text if cell == "x" else chr(34) + text + chr(34)}\n2,"a"\n')
    plan, names, rows = read(path)
    assert (names, rows, plan.told) == (["id", "text"], [(1, text), (2, "a")], ())


def test_a_cell_of_thousands_of_lines_is_one_cell(tmp_path: Path) -> None:
    text = "line of a log\n" * 3_000
    _, _, rows = read(put(tmp_path, "logs.csv", f'id,text\n1,"{text}"\n2,short\n'))
    assert rows == [(1, text), (2, "short")]
