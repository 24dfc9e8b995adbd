"""Lines that are no JSON objects are set aside and told, and no value is read as something it does not say."""

import gzip
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datasteward.errors import ToolError
from datasteward.intake.inspect import inspect_file
from datasteward.intake.model import BadRowLimit, Overrides, ReadPlan
from datasteward.intake.plan import read_plan

GOOD = "".join(f'{{"id": {n}}}\n' for n in range(5))


def plan_of(path: Path, limit: BadRowLimit | None = None, look: str = "sample") -> ReadPlan:
    overrides = Overrides(look=look)  # type: ignore[arg-type]
    return read_plan(duckdb.connect(), inspect_file(path, overrides), path.parent / "cache", limit)


def cells(plan: ReadPlan) -> list[tuple[object, ...]]:
    return duckdb.connect().execute(f"SELECT COLUMNS(*)::VARCHAR FROM {plan.table_sql}").fetchall()


def set_aside(plan: ReadPlan) -> list[tuple[object, ...]]:
    assert plan.quarantine is not None, plan.told
    return duckdb.connect().execute(f"SELECT line_number, raw, reason FROM {plan.quarantine.table_sql}").fetchall()


def put(folder: Path, name: str, data: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def test_lines_that_do_not_parse_keep_their_line_number_text_and_reason(tmp_path: Path) -> None:
    path = put(tmp_path, "bad.ndjson", GOOD + '{"id": 9, "v": "b"\n\n{"id": 10}\nnonsense\n42\n')
    plan = plan_of(path)
    assert set_aside(plan) == [
        (6, '{"id": 9, "v": "b"', "not JSON: Expecting ',' delimiter"),
        (9, "nonsense", "not JSON: Expecting value"),
        (10, "42", "a number where the other lines are objects"),
    ]
    assert [row[0] for row in cells(plan)] == ["0", "1", "2", "3", "4", "10"]
    assert "3 lines that did not parse are in quarantine." in plan.told


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("packed.ndjson.gz", gzip.compress((GOOD + "oops\n").encode())),
        ("wide.ndjson", (GOOD + "oops\n").encode("utf-16")),
        ("bytes.ndjson", ('{"id": "Größe, Maß, Öl"}\n' * 5).encode() + b'{"id": "\xff"}\n'),
        ("last.jsonl", GOOD + "oops"),
    ],
)
def test_bad_lines_are_set_aside_whatever_the_encoding_and_compression(
    name: str, data: str | bytes, tmp_path: Path
) -> None:
    plan = plan_of(put(tmp_path, name, data))
    assert len(set_aside(plan)) == 1 and len(cells(plan)) == 5


def test_too_many_bad_lines_stop_the_reading_with_reason_and_line(tmp_path: Path) -> None:
    path = put(tmp_path, "bad.ndjson", GOOD + "x\n" * 30)
    with pytest.raises(ToolError, match=r"30 of 35 rows of bad\.ndjson .* the first at line 6"):
        plan_of(path)
    assert len(cells(plan_of(path, BadRowLimit(count=30)))) == 5


def test_a_key_that_comes_late_is_a_column(tmp_path: Path) -> None:
    path = put(tmp_path, "late.ndjson", GOOD * 5_000 + '{"id": 1, "late": "x"}\n')
    assert cells(plan_of(path))[-1] == ("1", "x")


@pytest.mark.parametrize(
    "text", ["02-01-2020", "01-02-2020 10:00:00", "31/12/2020", "007", "2020-01-02T10:00:00.123", "12,5"]
)
def test_a_text_is_not_taken_for_a_day_or_number_that_it_may_not_be(text: str, tmp_path: Path) -> None:
    path = put(tmp_path, "texts.ndjson", f'{{"a": "{text}", "b": {{"c": "{text}"}}}}\n' * 3)
    plain, nested = cells(plan_of(path))[0]
    assert plain == text and str(nested).replace("'", "") == f"{{c: {text}}}"


def test_values_that_do_not_stand_one_to_a_line_are_all_read(tmp_path: Path) -> None:
    path = put(tmp_path, "stream.jsonl", '{"a":\n1}\n{"a": 2}{"a": 3}\n')
    plan = plan_of(path)
    assert cells(plan) == [("1",), ("2",), ("3",)] and any("stream" in t for t in plan.told)


@pytest.mark.parametrize(("end", "is_told"), [("]", False), ("]\n\n", False), (",\n", True)])
def test_a_list_without_an_end_is_told(end: str, is_told: bool, tmp_path: Path) -> None:
    plan = plan_of(put(tmp_path, "list.json", '[{"a": 1},\n{"a": 2}' + end))
    assert len(cells(plan)) == 2 and any("cut short" in t for t in plan.told) == is_told


def test_a_damaged_document_says_where_it_stops_being_json(tmp_path: Path) -> None:
    path = put(tmp_path, "doc.json", '[\n {"a": 1},\n {"a": 2,,}\n]')
    with pytest.raises(ToolError, match=r"doc\.json is not JSON from line 3, column 10 on"):
        plan_of(path)


LINES = st.lists(
    st.one_of(
        st.integers(-9, 9).map(lambda n: f'{{"id": {n}}}'),
        st.sampled_from(["", "  ", '{"id": 1', "nope", "[1]", "null", '{"id": 2}}', '{"id": 3} {"id": 4}']),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=LINES)
def test_every_line_is_read_or_set_aside(lines: list[str], tmp_path: Path) -> None:
    path = tmp_path / f"{abs(hash(tuple(lines)))}.ndjson"
    path.write_text("\n".join([*(f'{{"id": {n}}}' for n in range(12)), "{broken", *lines]) + "\n")
    plan = plan_of(path, BadRowLimit(count=99))
    filled = 12 + 1 + sum(1 for line in lines if line.strip())
    assert len(cells(plan)) + len(set_aside(plan)) == filled
