"""The policy judges facts in order, fails closed, and says why."""

import itertools
import re
import tomllib
from pathlib import Path

import pytest
from tests.support.changes_workspace import ChangesWorkspace, GateInspector

from datasteward.changes.contract_writing import WRITE_CONTRACT
from datasteward.changes.kinds import CHANGE_KINDS
from datasteward.changes.policy import ChangeFacts, PolicyRule, PolicySettings, judge, run_cases
from datasteward.errors import ConfigError, ToolError
from datasteward.pipelines.statement import KINDS as RUN_KINDS

FACTS = ChangeFacts(kinds=("insert",), tables=("main.orders",), rows=10, share=0.01, asked_by="mcp:claude-code")


def rule(verdict: str, **conditions: object) -> PolicySettings:
    return PolicySettings.model_validate({"rules": [{"name": "r", "verdict": verdict, **conditions}]})


def facts(**changed: object) -> ChangeFacts:
    return FACTS.model_copy(update=changed)


@pytest.mark.parametrize(
    ("conditions", "given", "holds"),
    [
        ({"kinds": ["insert"]}, FACTS, True),
        ({"kinds": ["create_*", "drop_*"]}, facts(kinds=("drop_table",)), True),
        ({"tables": ["orders"]}, FACTS, True),
        ({"tables": ["orders"]}, facts(tables=("orders",)), True),
        ({"tables": ["main.orders"]}, facts(tables=("orders",)), True),
        ({"tables": ["staging.*"]}, FACTS, False),
        ({"tables": ["staging.*"]}, facts(tables=("staging.a",)), True),
        ({"max_rows": 10}, FACTS, True),
        ({"max_rows": 9}, FACTS, False),
        ({"min_rows": 11}, FACTS, False),
        ({"max_share": 0.05}, FACTS, True),
        ({"min_share": 0.5}, FACTS, False),
        ({"reversible": True}, FACTS, True),
        ({"asked_by": ["mcp:claude-*"]}, FACTS, True),
        ({"asked_by": ["cli:*"]}, FACTS, False),
        ({"touches_pii": False}, facts(touches_pii=False), True),
        ({"touches_pii": True}, facts(touches_pii=False), False),
    ],
)
@pytest.mark.parametrize("verdict", ["allow", "deny"])
def test_a_rule_holds_when_its_conditions_do(
    verdict: str, conditions: dict[str, object], given: ChangeFacts, holds: bool
) -> None:
    assert judge(rule(verdict, **conditions), given).verdict == (verdict if holds else "ask")


@pytest.mark.parametrize(
    ("conditions", "given"),
    [
        ({"kinds": ["insert"]}, facts(kinds=("insert", "drop_table"))),
        ({"tables": ["orders"]}, facts(tables=("main.orders", "main.customers"))),
        ({"touches_pii": False}, FACTS),
        ({}, facts(is_reversible=False)),
        ({"reversible": False}, facts(is_reversible=False, breaks_checks=True)),
        ({}, facts(breaks_checks=True)),
        ({"tables": ["orders"]}, facts(tables=())),
    ],
)
def test_allow_fails_closed_where_deny_would_hold(conditions: dict[str, object], given: ChangeFacts) -> None:
    assert judge(rule("allow", **conditions), given).verdict == "ask"


@pytest.mark.parametrize(
    ("conditions", "given"),
    [
        ({"kinds": ["drop_*"]}, facts(kinds=("insert", "drop_table"))),
        ({"tables": ["customers"]}, facts(tables=("main.orders", "main.customers"))),
        ({"touches_pii": True}, FACTS),
    ],
)
def test_deny_holds_for_any_part_and_for_what_is_not_known(conditions: dict[str, object], given: ChangeFacts) -> None:
    assert judge(rule("deny", **conditions), given).verdict == "deny"


def test_the_first_rule_that_holds_decides() -> None:
    rules = [{"name": n, "verdict": v} for n, v in (("one", "ask"), ("two", "allow"))]
    found = judge(PolicySettings.model_validate({"rules": rules, "default": "deny"}), FACTS)
    assert (found.verdict, found.rule) == ("ask", "rule 'one'")


def test_without_rules_everything_is_asked() -> None:
    assert judge(PolicySettings(), FACTS).verdict == "ask"


def test_an_explanation_names_the_condition_that_failed() -> None:
    settings = PolicySettings.model_validate(
        {"rules": [{"name": "small", "verdict": "allow", "max_rows": 5}, {"name": "rest", "verdict": "deny"}]}
    )
    text = judge(settings, FACTS).to_text()
    assert "deny: decided by rule 'rest'" in text
    assert "no     small (allow): 10 rows change, more than 5" in text


def test_more_rows_or_more_kinds_never_turn_a_no_into_an_allow() -> None:
    settings = rule("allow", kinds=["insert", "update"], max_rows=10, max_share=0.1)
    kinds = [("insert",), ("update",), ("insert", "update"), ("insert", "delete")]
    for rows, share, some in itertools.product((0, 10, 11), (0.0, 0.1, 0.2), kinds):
        verdict = judge(settings, facts(rows=rows, share=share, kinds=some)).verdict
        assert (verdict == "allow") == (rows <= 10 and share <= 0.1 and "delete" not in some)


def test_a_file_of_cases_is_run(tmp_path: Path) -> None:
    path = tmp_path / "cases.toml"
    path.write_text(
        '[[case]]\nname = "small"\nexpect = "allow"\nfacts = { kinds = ["insert"], rows = 3 }\n'
        '[[case]]\nname = "drop"\nexpect = "deny"\nfacts = { kinds = ["drop_table"] }\n'
    )
    outcomes = run_cases(rule("allow", kinds=["insert"]), path)
    assert [(o.case.name, o.passed) for o in outcomes] == [("small", True), ("drop", False)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "[[case]]\nnam = 'x'\n",
            ("case number 1: unknown key 'nam', did you mean 'name'?", "case number 1: expect is"),
        ),
        (
            "[[case]]\nname = 'x'\nexpect = 'alow'\nfacts = { kinds = ['insert'], row = 3 }\n",
            (
                "case number 1 ('x'): expect is 'alow', did you mean 'allow'? It takes allow, ask or deny.",
                "case number 1 ('x'): unknown key 'facts.row', did you mean 'rows'?",
            ),
        ),
        (
            "[[case]]\nname = 'x'\nexpect = 'ask'\nfacts = { kinds = ['inset'] }\n",
            (
                "case number 1 ('x'): facts.kinds is ['inset']: no change is of the kind 'inset', did you mean 'insert'?",
            ),
        ),
        (
            "[[case]]\nname = 'x'\nexpect = 'ask'\nfacts = { kinds = ['drop_*'] }\n",
            ("of the kind 'drop_*', did you mean",),
        ),
        ("[[case\n", ("not a file of policy cases",)),
    ],
)
def test_a_file_that_is_not_of_cases_says_which_case_and_key_is_wrong(
    tmp_path: Path, text: str, words: tuple[str, ...]
) -> None:
    path = tmp_path / "cases.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="not a file of policy cases") as caught:
        run_cases(PolicySettings(), path)
    for word in words:
        assert word in str(caught.value)
    assert "pydantic" not in str(caught.value)


DOCS = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_documented_rules_decide_the_documented_cases_as_it_says(tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    (rules,) = (b for b in blocks if "[[policy.rules]]" in b)
    (cases,) = (b for b in blocks if "[[case]]" in b)
    (tmp_path / "cases.toml").write_text(cases)
    policy = PolicySettings.model_validate(tomllib.loads(rules)["policy"])
    outcomes = run_cases(policy, tmp_path / "cases.toml")
    assert len(outcomes) == 3 and all(o.passed for o in outcomes), outcomes


def test_every_key_of_a_rule_and_every_fact_is_documented() -> None:
    text = DOCS.read_text(encoding="utf-8")
    keys = {*PolicyRule.model_fields, *ChangeFacts.model_fields, *PolicySettings.model_fields} - {"rules"}
    assert {k for k in keys if f"`{k}`" not in text and f"policy.{k}" not in text} <= {
        "proposal_hours",
        "approval_minutes",
        "undo_bytes",
        "undo_days",
    }


GATE_TEXTS = (
    "INSERT INTO orders SELECT * FROM orders",
    "UPDATE orders SET amount = 1",
    "DELETE FROM orders",
    "TRUNCATE orders",
    "MERGE INTO orders USING (SELECT 1 AS id) AS s ON orders.id = s.id WHEN MATCHED THEN DELETE",
    "COPY orders TO 'data/x.csv'",
    "COPY orders FROM 'data/in.csv'",
    "CREATE TABLE a (i INTEGER)",
    "CREATE TABLE a AS SELECT 1 AS i",
    "CREATE VIEW a AS SELECT 1 AS i",
    "CREATE MACRO a(x) AS x + 1",
    "CREATE SEQUENCE a",
    "CREATE TYPE a AS ENUM ('x')",
    "CREATE SCHEMA a",
    "CREATE INDEX a ON orders (status)",
    "ALTER TABLE orders ADD COLUMN more INTEGER",
    "ALTER VIEW seen RENAME TO saw",
    "DROP TABLE orders",
    "DROP VIEW seen",
    "DROP MACRO doubled",
    "DROP SEQUENCE counter",
    "DROP TYPE mood",
    "DROP SCHEMA empty",
    "DROP INDEX by_customer",
    "COMMENT ON TABLE orders IS 'sold'",
)


@pytest.mark.anyio
async def test_the_kinds_that_the_gate_gives_are_those_that_rules_know(workspace: ChangesWorkspace) -> None:
    workspace.run(
        "CREATE VIEW seen AS SELECT * FROM orders; CREATE MACRO doubled(x) AS x * 2; CREATE SEQUENCE counter;"
        "CREATE TYPE mood AS ENUM ('x'); CREATE SCHEMA empty; CREATE INDEX by_customer ON orders (customer)"
    )
    (workspace.root / "data" / "in.csv").write_text("id,customer,amount,status\n")
    inspector = GateInspector(workspace)
    given = {(await inspector.inspect(sql)).statements[0].kind for sql in GATE_TEXTS}
    others = {"undo", WRITE_CONTRACT, *RUN_KINDS, "alter_sequence"}
    assert given | others == set(CHANGE_KINDS)


@pytest.mark.anyio
async def test_policy_allows_denies_and_asks_about_real_changes(workspace: ChangesWorkspace) -> None:
    policy = PolicySettings.model_validate(
        {
            "rules": [
                {"name": "no drops", "verdict": "deny", "kinds": ["drop_*"]},
                {"name": "small inserts", "verdict": "allow", "kinds": ["insert"], "tables": ["orders"], "max_rows": 2},
            ]
        }
    )
    service = workspace.service(policy=policy)
    small = await service.propose("INSERT INTO orders VALUES (9001, 1, 1, 'x')", requested_by="mcp:x")
    large = await service.propose("INSERT INTO orders SELECT id + 9100, 1, 1, 'x' FROM orders", requested_by="mcp:x")
    drop = await service.propose("DROP TABLE orders", requested_by="mcp:x")
    assert [r.status for r in (small, large, drop)] == ["applied", "waiting", "denied"]
    assert (await service.show(small.change)).approval.channel == "policy"  # type: ignore[union-attr]
    with pytest.raises(ToolError, match="is denied"):
        await service.approve(drop.change, digest=drop.digest, by="ada", channel="terminal")
    assert "1,001 rows change" in (await service.explain(large.change)).to_text()
