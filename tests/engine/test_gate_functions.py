"""Every function of this DuckDB has been judged, and unknown ones are refused."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.gate_sandbox import CANARY, Sandbox, build_sandbox

from datasteward.engine import gate_functions as lists
from datasteward.engine.gate_parser import Parser, tokens_of

CASES = [json.loads(line)["sql"] for line in (Path(__file__).parent / "hostile.jsonl").read_text().splitlines()]
PIECES = [sql for sql in CASES if len(sql) < 200 and "{{" not in sql]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    built = build_sandbox(tmp_path_factory.mktemp("functions") / "box")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(built.root)
        yield built
    built.connection.close()


def test_every_function_of_duckdb_is_on_one_list_or_the_other() -> None:
    judged = (
        lists.SCALAR_FUNCTIONS
        | lists.OPERATORS
        | lists.SEQUENCE_WRITERS
        | lists.REFUSED_FUNCTIONS
        | lists.TABLE_FUNCTIONS
        | lists.TABLE_NAME_FUNCTIONS
        | lists.REFUSED_TABLE_FUNCTIONS
        | lists.FILE_FUNCTIONS.keys()
        | lists.REFUSED_PRAGMAS
    )
    known = {n for n in Parser().functions() if not n.startswith(lists.REFUSED_PREFIXES) and " " not in n}
    assert sorted(known - judged) == [], "new in this DuckDB: judge them"


def test_no_function_is_both_allowed_and_refused() -> None:
    assert frozenset() == lists.SCALAR_FUNCTIONS & lists.REFUSED_FUNCTIONS
    assert frozenset() == lists.TABLE_FUNCTIONS & lists.REFUSED_TABLE_FUNCTIONS
    assert frozenset() == lists.SYSTEM_VIEWS & lists.REFUSED_SYSTEM_VIEWS


def test_every_function_that_passes_reads_nothing_outside_and_changes_nothing(sandbox: Sandbox) -> None:
    before = sandbox.snapshot()
    secret = f"'{sandbox.root}/outside/secret.csv'"
    for name in sorted(Parser().functions()):
        for call in (f'"{name}"()', f'"{name}"({secret})', f'"{name}"({secret}, 1)'):
            for sql in (f"SELECT {call}", f"FROM {call}"):
                if sandbox.gate.check(sql, intent="read").refusal is None and "repeat" not in name:
                    try:
                        rows = sandbox.run(f"{sql} LIMIT 5")
                    except Exception as error:
                        assert "file system operations are disabled" not in str(error), sql
                        continue
                    assert CANARY not in str(rows), sql
    assert sandbox.snapshot() == before


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_mutated_statements_that_pass_change_nothing(sandbox: Sandbox, data: st.DataObject) -> None:
    first, second = data.draw(st.sampled_from(PIECES)), data.draw(st.sampled_from(PIECES))
    one, two = ([t.text for t in tokens_of(s)] for s in (first, second))
    at, to = data.draw(st.integers(0, len(one))), data.draw(st.integers(0, len(two)))
    sql = " ".join([*one[:at], *two[to : to + 6], *one[at + data.draw(st.integers(0, 3)) :]])
    if sandbox.gate.check(sql, intent="read").refusal is not None:
        return
    before = sandbox.snapshot()
    try:
        assert CANARY not in str(sandbox.run(sql))
    except AssertionError:
        raise
    except Exception as error:
        assert "file system operations are disabled" not in str(error), sql
    assert sandbox.snapshot() == before
