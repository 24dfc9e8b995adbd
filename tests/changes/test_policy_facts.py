"""Rules on tables see every table, schema and file of a change, however it is named."""

import os
from pathlib import Path

import pytest
from tests.support.changes_workspace import ChangesWorkspace

from datasteward.changes.model import Preview, Proposal, TableEffect, TableName
from datasteward.changes.policy import PolicyRule, PolicySettings, facts_of, judge
from datasteward.changes.service import ChangeReport

pytestmark = pytest.mark.anyio
TABLES = """
CREATE SCHEMA staging; CREATE TABLE staging.t AS SELECT 1 AS a; CREATE SCHEMA prod; CREATE TABLE prod.prod AS SELECT 1 AS a;
CREATE VIEW prod.seen AS SELECT a FROM prod.prod; CREATE SCHEMA empty; CREATE TABLE secret AS SELECT 1 AS a
"""


@pytest.fixture(autouse=True)
def stay_here() -> object:
    here = Path.cwd()
    yield
    os.chdir(here)


async def propose(tmp_path: Path, sql: str, verdict: str, tables: str, **conditions: object) -> ChangeReport:
    workspace = ChangesWorkspace(tmp_path).make(TABLES)
    os.chdir(workspace.root)
    rule = PolicyRule(name="r", verdict=verdict, tables=(tables,), **conditions)  # type: ignore[arg-type]
    service = workspace.service(policy=PolicySettings(rules=(rule,)), with_gate=True)
    return await service.propose(sql, requested_by="t")


@pytest.mark.parametrize(
    ("sql", "status"),
    [
        ("UPDATE staging.t SET a = 2", "applied"),
        ("CREATE TABLE staging.u AS SELECT 1 AS a", "applied"),
        ("UPDATE staging.t SET a = 2; COPY secret TO 'data/leak.csv'", "waiting"),
        ("UPDATE staging.t SET a = 2; COPY (SELECT 1 AS a) TO 'data/one.csv'", "waiting"),
        ("COPY staging.t TO 'data/t.csv'", "waiting"),
        ("UPDATE staging.t SET a = 2; DROP SCHEMA empty", "waiting"),
        ("UPDATE staging.t SET a = 2; CREATE SCHEMA other", "waiting"),
        ('CREATE VIEW "staging.v" AS SELECT 1 AS a', "waiting"),
        ("ALTER TABLE secret RENAME TO known", "waiting"),
    ],
)
async def test_a_rule_allows_only_what_stays_inside_its_tables(tmp_path: Path, sql: str, status: str) -> None:
    assert (await propose(tmp_path, sql, "allow", "staging.*")).status == status


async def test_a_rule_that_names_exports_allows_those_of_its_tables(tmp_path: Path) -> None:
    kinds = ("copy_to",)
    own = await propose(tmp_path / "1", "COPY staging.t TO 'data/t.csv'", "allow", "staging.*", kinds=kinds)
    other = await propose(tmp_path / "2", "COPY secret TO 'data/t.csv'", "allow", "staging.*", kinds=kinds)
    large = await propose(
        tmp_path / "3", "COPY staging.t TO 'data/t.csv'", "allow", "staging.*", kinds=kinds, max_rows=0
    )
    assert (own.status, other.status, large.status) == ("applied", "waiting", "waiting")


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE prod.prod SET a = 2",
        "CREATE OR REPLACE VIEW prod.prod2 AS SELECT 1 AS a",
        "CREATE OR REPLACE VIEW prod.seen AS SELECT 2 AS a",
        "DROP TABLE prod.prod",
        "ALTER TABLE prod.prod RENAME TO other",
        "COPY prod.prod TO 'data/leak.csv'",
        "UPDATE staging.t SET a = 2; COPY (SELECT * FROM prod.prod) TO 'data/leak.csv'",
        "DROP SCHEMA prod CASCADE",
    ],
)
async def test_a_rule_denies_whatever_reaches_its_tables(tmp_path: Path, sql: str) -> None:
    assert (await propose(tmp_path, sql, "deny", "prod.*")).status == "denied"


@pytest.mark.parametrize(
    ("verdict", "condition", "decided"),
    [
        ("allow", "max_rows", "ask"),
        ("deny", "min_rows", "deny"),
        ("allow", "max_share", "ask"),
        ("deny", "min_share", "deny"),
    ],
)
def test_rows_that_are_only_estimated_are_not_known(verdict: str, condition: str, decided: str) -> None:
    effect = TableEffect(table=TableName(name="t"), action="created", inserted=5, is_estimated=True)
    proposal = Proposal.model_construct(statements=(), undo=None, preview=Preview(tables=(effect,)), requested_by="t")
    rule = PolicyRule(name="r", verdict=verdict, **{condition: 1})  # type: ignore[arg-type]
    assert judge(PolicySettings(rules=(rule,)), facts_of(proposal)).verdict == decided
