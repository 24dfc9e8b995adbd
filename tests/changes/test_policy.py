"""The policy judges facts in order, fails closed, and says why."""

import itertools
from pathlib import Path

import pytest
from tests.support.changes_workspace import ChangesWorkspace

from datasteward.changes.policy import ChangeFacts, PolicySettings, judge, run_cases
from datasteward.errors import ConfigError, ToolError

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


def test_a_file_that_is_not_of_cases_is_a_configuration_error(tmp_path: Path) -> None:
    path = tmp_path / "cases.toml"
    path.write_text("[[case]]\nnam = 1\n")
    with pytest.raises(ConfigError, match="not a file of policy cases"):
        run_cases(PolicySettings(), path)


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
    assert "1001 rows change" in (await service.explain(large.change)).to_text()
