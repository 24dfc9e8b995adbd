"""The gate's verdicts on statements of our own and on the outside list, checked against a real locked reader."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.gate_sandbox import CANARY, Sandbox, build_sandbox

CASES = [json.loads(line) for line in (Path(__file__).parent / "hostile.jsonl").read_text().splitlines()]
WAITS_FOR_VALUES = ("$1", "$name", "?")


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    built = build_sandbox(tmp_path / "box")
    monkeypatch.chdir(built.root)
    yield built
    built.connection.close()


def verdict_of(sandbox: Sandbox, sql: str, intent: str = "read") -> str:
    refusal = sandbox.gate.check(sql, intent="write" if intent == "write" else "read").refusal
    if refusal is None:
        return "allow"
    return "needs_approval" if refusal.code == "needs_approval" else "block"


def test_every_statement_of_ours_gets_its_verdict(sandbox: Sandbox) -> None:
    wrong = [
        (case["sql"][:120], case["must"], found)
        for case in CASES
        if (found := verdict_of(sandbox, sandbox.fill(case["sql"]))) != case["must"]
    ]
    assert wrong == []


def test_what_is_allowed_runs_and_shows_nothing_from_outside_the_roots(sandbox: Sandbox) -> None:
    before = sandbox.snapshot()
    for case in CASES:
        sql = sandbox.fill(case["sql"])
        if case["must"] == "allow" and not (any(mark in sql for mark in WAITS_FOR_VALUES) and "'" not in sql):
            for statement in sandbox.gate.check(sql, intent="read").statements:
                assert CANARY not in str(sandbox.run(statement.text)), sql
    assert sandbox.snapshot() == before


def test_a_change_that_needs_approval_passes_as_a_change(sandbox: Sandbox) -> None:
    refused = [
        (sql, refusal.message)
        for case in CASES
        if case["must"] == "needs_approval" and not case["sql"].startswith("EXPLAIN")
        if (refusal := sandbox.gate.check(sql := sandbox.fill(case["sql"]), intent="write").refusal) is not None
    ]
    assert refused == []


def test_what_is_blocked_for_queries_is_blocked_for_changes_save_an_export_below_the_roots(sandbox: Sandbox) -> None:
    passed = [
        case["sql"]
        for case in CASES
        if case["must"] == "block" and verdict_of(sandbox, sandbox.fill(case["sql"]), "write") == "allow"
    ]
    assert passed == ["COPY orders TO '{{R}}/data/x.csv'"]


def test_the_outside_list_gets_its_verdicts_and_the_disk_stays_as_it_was(sandbox: Sandbox, shared_data: Path) -> None:
    path = shared_data / "hostile_sql.jsonl"
    cases = [json.loads(line) for line in path.read_text().splitlines()]
    before = sandbox.snapshot()
    wrong = []
    for case in cases:
        sql = sandbox.fill(case["sql"])
        found = verdict_of(sandbox, sql)
        if case["must"] == "allow":
            if found != "allow":
                wrong.append((case["id"], found))
                continue
            for statement in sandbox.gate.check(sql, intent="read").statements:
                sandbox.run(statement.text)
        elif found == "allow" and case["kind"] != "dos":
            wrong.append((case["id"], found))
    assert wrong == []
    assert sandbox.snapshot() == before


def test_facts_name_what_is_read_written_and_asked_for(sandbox: Sandbox) -> None:
    sql = "SELECT * FROM v_orders JOIN r17 ON random() < $1; COPY sales.monthly FROM 'data/sales.csv' (HEADER true)"
    first, second = sandbox.gate.check(sql, intent="write").statements
    assert (first.kind, first.effect, first.parameters, first.volatile) == ("select", "read", ("1",), ("random",))
    assert [r.parts for r in first.reads] == [("main", "v_orders"), ("main", "orders")]
    assert [n.shown for n in first.named_sources] == ["r17"]
    assert (second.kind, [w.parts for w in second.writes]) == ("copy_from", [("sales", "monthly")])
    assert second.files[0].paths == (sandbox.root / "data/sales.csv",)
    assert sql[second.start : second.end] == second.text


def test_facts_of_changes_tell_condition_and_returning(sandbox: Sandbox) -> None:
    sql = "DELETE FROM orders; DELETE FROM orders WHERE id = 1 RETURNING id; UPDATE orders SET id = 2 WHERE id = 1"
    facts = sandbox.gate.check(sql, intent="write").statements
    assert [(f.kind, f.has_where, f.has_returning) for f in facts] == [
        ("delete", False, False),
        ("delete", True, True),
        ("update", True, False),
    ]


def test_an_export_names_its_file(sandbox: Sandbox) -> None:
    (facts,) = sandbox.gate.check("COPY orders TO 'data/out.csv' (HEADER true)", intent="write").statements
    assert facts.refusal is None and facts.kind == "copy_to"
    assert [(f.access, f.paths) for f in facts.files] == [("write", (sandbox.root / "data/out.csv",))]


@pytest.mark.parametrize(
    "target",
    [
        "data/out.py",
        "data/.out.csv",
        "../out.csv",
        "evil/out.csv",
        "data/dlink/out.csv",
        "data/hardlink.csv",
        "data/*.csv",
    ],
)
def test_an_export_to_anywhere_else_is_refused(sandbox: Sandbox, target: str) -> None:
    assert verdict_of(sandbox, f"COPY orders TO '{target}'", "write") == "block"


@pytest.mark.parametrize(
    "option", ["PARTITION_BY (region)", "USE_TMP_FILE false", "PER_THREAD_OUTPUT", "APPEND", "OVERWRITE"]
)
def test_an_export_with_options_beyond_one_plain_file_is_refused(sandbox: Sandbox, option: str) -> None:
    assert verdict_of(sandbox, f"COPY orders TO 'data/out.csv' (FORMAT csv, {option})", "write") == "block"


def test_positions_count_characters_of_the_whole_text(sandbox: Sandbox) -> None:
    sql = "SELECT '🦆é'; SELECT 'ü', getenv('X')"
    refusal = sandbox.gate.check(sql, intent="read").refusal
    assert refusal is not None and refusal.position is not None
    assert sql[refusal.position :].startswith("getenv")


def test_a_missing_table_is_answered_with_the_nearest_names(sandbox: Sandbox) -> None:
    refusal = sandbox.gate.check("FROM ordrs", intent="read").refusal
    assert refusal is not None and refusal.code == "not_found"
    assert "orders" in (refusal.hint or "")


def test_a_text_beyond_the_limit_is_refused_as_too_large(sandbox: Sandbox) -> None:
    refusal = sandbox.gate.check("SELECT 1 -- " + "x" * 70_000, intent="read").refusal
    assert refusal is not None and refusal.code == "too_large"


def test_comments_only_hold_no_statement_and_no_refusal(sandbox: Sandbox) -> None:
    report = sandbox.gate.check("-- nothing\n/* at all */ ;", intent="read")
    assert report.statements == () and report.refusal is None


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE made AS SELECT 1 AS a; INSERT INTO made VALUES (2); UPDATE made SET a = 3",
        "CREATE SCHEMA fresh; CREATE TABLE fresh.t (a int); INSERT INTO fresh.t SELECT 1",
        "CREATE TABLE made (a int); DROP TABLE made; CREATE TABLE made (b int); INSERT INTO made SELECT 1",
        "CREATE SCHEMA fresh; COMMENT ON SCHEMA fresh IS 'x'; CREATE TABLE fresh.t (a int); INSERT INTO fresh.t SELECT 1",
    ],
)
def test_later_statements_of_a_change_know_what_earlier_ones_make(sandbox: Sandbox, sql: str) -> None:
    report = sandbox.gate.check(sql, intent="write")
    assert [s.refusal for s in report.statements] == [None] * len(report.statements)


@pytest.mark.parametrize(
    "sql",
    [
        'CREATE TABLE "{{R}}/outside/secret.csv" (a int); DROP TABLE "{{R}}/outside/secret.csv";'
        ' CREATE TABLE loot AS FROM "{{R}}/outside/secret.csv"',
        'CREATE TABLE "/etc/passwd" (a int); ALTER TABLE "/etc/passwd" RENAME TO b; CREATE TABLE loot AS FROM "/etc/passwd"',
        "CREATE SCHEMA s; CREATE TABLE s.t (a int); DROP SCHEMA s CASCADE; CREATE TABLE loot AS FROM s.t",
        "CREATE TABLE made (a int); DROP TABLE made; INSERT INTO made VALUES (1)",
    ],
)
def test_a_name_that_is_dropped_again_stands_for_no_table(sandbox: Sandbox, sql: str) -> None:
    report = sandbox.gate.check(sandbox.fill(sql), intent="write")
    assert report.statements[-1].refusal is not None


def test_a_missing_schema_is_named_with_the_way_to_make_it(sandbox: Sandbox) -> None:
    refusal = sandbox.gate.check("CREATE TABLE scratch.t (a int)", intent="write").statements[0].refusal
    assert refusal is not None and "no schema 'scratch'" in refusal.message
    assert refusal.hint is not None and "CREATE SCHEMA scratch" in refusal.hint
