"""A change suggests the narrowest rule that would have allowed it, which goes into steward.toml and nowhere else."""

import tomllib

import pytest
from tests.support.changes_workspace import ChangesWorkspace

from datasteward.changes.policy import PolicyRule, PolicySettings
from datasteward.changes.render import render_preview
from datasteward.changes.rules import add_rule, rule_for
from datasteward.errors import ConfigError, ToolError
from datasteward.settings import load_settings
from datasteward.workspace import Workspace

pytestmark = pytest.mark.anyio
UPDATE = "UPDATE orders SET amount = amount * 2 WHERE customer = 3"
SETTINGS = """# ours
[limits]
workers = 3   # few

[policy]
default = "deny"  # strict

[[policy.rules]]
name = "no drops"
verdict = "deny"
kinds = ["drop_*"]
"""


async def suggest(workspace: ChangesWorkspace, sql: str = UPDATE, policy: PolicySettings | None = None) -> str:
    service = workspace.service(policy=policy)
    report = await service.propose(sql, requested_by="mcp:claude-code")
    return rule_for((await service.show(report.change)).proposal, service.policy)


async def test_the_suggested_rule_allows_the_same_change_and_nothing_larger(workspace: ChangesWorkspace) -> None:
    rule = add_rule(Workspace(root=workspace.root), await suggest(workspace))
    policy = load_settings(Workspace(root=workspace.root)).policy
    assert policy.rules == (rule,)
    service = workspace.service(policy=policy)
    assert (await service.propose(UPDATE, requested_by="mcp:claude-code")).status == "applied"
    for sql, by in [
        (UPDATE.replace("= 3", "IN (3, 4)"), "mcp:claude-code"),
        ("DELETE FROM orders WHERE id = 1", "mcp:claude-code"),
        (UPDATE, "mcp:cursor"),
        ("INSERT INTO orders VALUES (9999, 3, 1, 'x')", "mcp:claude-code"),
    ]:
        assert (await service.propose(sql, requested_by=by)).status == "waiting", sql


async def test_names_that_look_like_patterns_or_toml_match_only_themselves(workspace: ChangesWorkspace) -> None:
    workspace.run('CREATE TABLE "a*[b\'\n""]" AS SELECT 1 AS x; CREATE TABLE ab AS SELECT 1 AS x')
    rule = add_rule(Workspace(root=workspace.root), await suggest(workspace, 'UPDATE "a*[b\'\n""]" SET x = 2'))
    service = workspace.service(policy=PolicySettings(rules=(rule,)))
    assert (await service.propose("UPDATE ab SET x = 2", requested_by="mcp:claude-code")).status == "waiting"
    again = await service.propose('UPDATE "a*[b\'\n""]" SET x = 3', requested_by="mcp:claude-code")
    assert again.status == "applied"


async def test_adding_a_rule_keeps_every_byte_of_the_file(workspace: ChangesWorkspace) -> None:
    path = workspace.root / "steward.toml"
    path.write_bytes(SETTINGS.replace("few\n", "few\r\n").encode())
    before = path.read_bytes()
    path.chmod(0o600)
    text = await suggest(workspace, policy=load_settings(Workspace(root=workspace.root)).policy)
    add_rule(Workspace(root=workspace.root), text)
    assert path.read_bytes() == before + f"\n{text}".encode()
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(load_settings(Workspace(root=workspace.root)).policy.rules) == 2
    with pytest.raises(ToolError, match="already"):
        add_rule(Workspace(root=workspace.root), text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[[policy.rules]]\nname = 'x'",
        "[[policy.rules]]\nname = 'x'\nverdict = 'allow'\n[limits]\nworkers = 64",
        "[[policy.rules]]\nname = 'x'\nverdict = 'allow'\n[[policy.rules]]\nname = 'y'\nverdict = 'allow'",
        "[policy]\ndefault = 'deny'",
        "not toml",
    ],
)
def test_a_text_that_is_not_one_rule_is_refused_and_nothing_written(workspace: ChangesWorkspace, text: str) -> None:
    (workspace.root / "steward.toml").write_text(SETTINGS)
    with pytest.raises(ConfigError):
        add_rule(Workspace(root=workspace.root), text)
    assert (workspace.root / "steward.toml").read_text() == SETTINGS


@pytest.mark.parametrize("broken", ["[policy]\nrules = []\n", "nonsense", "[limits]\nworkers = 'many'\n", "[other]\n"])
def test_a_file_that_cannot_take_the_rule_stays_as_it_is(workspace: ChangesWorkspace, broken: str) -> None:
    (workspace.root / "steward.toml").write_text(broken)
    with pytest.raises(ConfigError):
        add_rule(Workspace(root=workspace.root), "[[policy.rules]]\nname = 'x'\nverdict = 'ask'\n")
    assert (workspace.root / "steward.toml").read_text() == broken


@pytest.mark.parametrize(
    ("sql", "rules", "reason"),
    [
        ("ALTER TABLE orders RENAME COLUMN status TO state", (), None),
        ("COPY orders TO 'data/x.csv'", (), "a rule cannot name"),
        (UPDATE, (PolicyRule(name="all", verdict="ask", kinds=("*",)),), "rule 'all' comes first"),
    ],
)
async def test_no_rule_is_suggested_where_none_would_help(
    workspace: ChangesWorkspace, sql: str, rules: tuple[PolicyRule, ...], reason: str | None
) -> None:
    policy = PolicySettings(rules=rules)
    if reason is None:
        assert tomllib.loads(await suggest(workspace, sql, policy))["policy"]["rules"][0]["verdict"] == "allow"
    else:
        with pytest.raises(ToolError, match=reason):
            await suggest(workspace, sql, policy)


@pytest.mark.parametrize(
    ("sql", "level", "reason"),
    [
        ("UPDATE orders SET status = 'x' WHERE customer = 3 AND id < 500", "low", None),
        (UPDATE, "medium", "10% of the rows of orders change or go"),
        ("DELETE FROM orders", "high", "100% of the rows of orders change or go"),
        ("DROP TABLE orders", "high", "orders is dropped"),
        ("ALTER TABLE orders ADD COLUMN more INTEGER", "medium", "the definition of orders changes"),
        ("INSERT INTO orders SELECT id + 5000, customer, amount, status FROM orders", "low", None),
    ],
)
async def test_the_preview_tells_how_much_care_it_needs(
    workspace: ChangesWorkspace, sql: str, level: str, reason: str | None
) -> None:
    preview = (await workspace.service().propose(sql, requested_by="t")).preview
    assert (preview.risk.level, preview.risk.reasons) == (level, (reason,) if reason else ())
    assert (f"risk {level}: {reason}" if reason else f"risk {level}") in render_preview(preview).splitlines()
