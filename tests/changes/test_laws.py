"""Laws that hold for any change: the preview is the effect, and taking back restores the exact fingerprint."""

import asyncio
import random
import re
import tempfile
from pathlib import Path

import duckdb
import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.support.changes_workspace import ChangesWorkspace

from datasteward.changes.names import hash_columns
from datasteward.changes.service import ChangeReport
from datasteward.changes.stamps import stamp_database
from datasteward.errors import ToolError

TABLES = (
    "CREATE TABLE k (id INTEGER PRIMARY KEY, v INTEGER, s VARCHAR);"
    "INSERT INTO k SELECT i, i % 4, 's' || (i % 3) FROM range(30) AS r (i);"
    "CREATE TABLE h (v INTEGER, s VARCHAR, l INTEGER[]);"
    "INSERT INTO h SELECT i % 3, 's' || (i % 2), [i % 2] FROM range(20) AS r (i)"
)
CONDITIONS = st.sampled_from(["true", "v = 1", "v > 1", "s = 's1'", "v IS NULL", "s LIKE '%x'", "false", "v % 2 = 0"])
VALUES = st.sampled_from(["1", "v + 1", "NULL", "v", "7"])
TEXTS = st.sampled_from(["s || 'x'", "s", "'s1'", "NULL"])
TABLE = st.sampled_from(["k", "h"])
UPDATES = st.builds("UPDATE {} SET v = {}, s = {} WHERE {}".format, TABLE, VALUES, TEXTS, CONDITIONS)
DELETES = st.builds("DELETE FROM {} WHERE {}".format, TABLE, CONDITIONS)
INSERTS = st.one_of(
    st.builds("INSERT INTO h SELECT v, s, l FROM h WHERE {}".format, CONDITIONS),
    st.builds("INSERT INTO k SELECT id + {}, v, s FROM k WHERE {}".format, st.integers(1000, 9000), CONDITIONS),
    st.builds("INSERT INTO k VALUES ({}, 1, 'n') ON CONFLICT DO UPDATE SET v = 50".format, st.integers(0, 40)),
    st.builds(
        "MERGE INTO k USING (SELECT {} + i AS id FROM range(4) AS r (i)) AS n ON n.id = k.id WHEN MATCHED AND k.v = 1"
        " THEN DELETE WHEN MATCHED THEN UPDATE SET v = 60 WHEN NOT MATCHED THEN INSERT VALUES (n.id, 0, 'm')".format,
        st.integers(0, 40),
    ),
)
KEYS = st.builds("UPDATE k SET id = id + 10000 WHERE {}".format, CONDITIONS)
LISTS = st.builds("UPDATE h SET l = [5, v] WHERE {}".format, CONDITIONS)
DDL = st.sampled_from(
    [
        "ALTER TABLE h ADD COLUMN extra INTEGER DEFAULT 3",
        "CREATE OR REPLACE VIEW w AS SELECT v FROM k",
        "CREATE OR REPLACE TABLE h AS SELECT 1 AS v, 's1' AS s, [1] AS l",
        "CREATE TABLE IF NOT EXISTS extra AS SELECT * FROM k",
    ]
)
STATEMENTS = st.one_of(UPDATES, DELETES, INSERTS, KEYS, LISTS)
SCRIPTS = st.one_of(STATEMENTS, st.lists(STATEMENTS, min_size=2, max_size=3).map("; ".join))


def difference(workspace: ChangesWorkspace, table: str, before: list[tuple[object, ...]]) -> tuple[int, int]:
    """Rows that went and rows that came, counted by content."""
    left = [repr(r) for r in before]
    came = 0
    for row in workspace.run(f"SELECT * FROM {table}"):
        try:
            left.remove(repr(row))
        except ValueError:
            came += 1
    return len(left), came


def assert_prints_are_exact(workspace: ChangesWorkspace) -> set[str]:
    """Names of the tables whose prints are remembered for the file as it is; each must be what its rows hash to."""
    stamp = stamp_database(workspace.database)
    known = workspace.service().store.known_prints(stamp, duckdb.__version__)
    for found in known:
        types = dict(workspace.run(f"SELECT column_name, column_type FROM (DESCRIBE {found.name})"))
        value = hash_columns(map(str, types), {str(c): str(t) for c, t in types.items()})
        row = workspace.run(
            f"SELECT count(*), coalesce(sum({value}), 0)::VARCHAR, coalesce(bit_xor({value}), 0)::VARCHAR"
            f" FROM {found.name}"
        )
        assert row == [(found.row_count, found.hash_sum, found.hash_xor)], found
    return {found.name for found in known}


def test_prints_are_remembered_across_a_change_for_the_tables_it_leaves_alone_too() -> None:
    with tempfile.TemporaryDirectory() as folder:
        workspace = ChangesWorkspace(Path(folder)).make(TABLES)
        asyncio.run(workspace.service().propose("DELETE FROM k WHERE v = 1", requested_by="t"))
        approve(workspace, asyncio.run(workspace.service().propose("UPDATE h SET v = 9", requested_by="t")))
        assert assert_prints_are_exact(workspace) == {"k", "h"}
        workspace.run("INSERT INTO k VALUES (77, 1, 'out')")
        assert assert_prints_are_exact(workspace) == set()


def approve(workspace: ChangesWorkspace, report: ChangeReport) -> ChangeReport:
    service = workspace.service()
    return asyncio.run(service.approve(report.change, digest=report.digest, by="ada", channel="terminal"))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sql=SCRIPTS)
def test_previewed_counts_are_the_effect_and_undo_restores_it(sql: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        workspace = ChangesWorkspace(Path(folder)).make(TABLES)
        before = workspace.fingerprint()
        rows = {t: workspace.run(f"SELECT * FROM {t}") for t in ("k", "h")}
        try:
            report = asyncio.run(workspace.service().propose(sql, requested_by="t"))
        except ToolError as error:
            assert "Constraint" in error.message, error
            assert workspace.fingerprint() == before
            return
        assert workspace.fingerprint() == before
        done = approve(workspace, report)
        assert done.status == "applied", done.message
        for effect in report.preview.tables:
            went, came = difference(workspace, effect.table.name, rows[effect.table.name])
            counts = (effect.inserted, effect.updated, effect.deleted)
            assert came - went == effect.inserted - effect.deleted, (sql, counts)
            assert came <= effect.inserted + effect.updated, (sql, counts)
            assert went <= effect.deleted + effect.updated, (sql, counts)
            assert workspace.run(f"SELECT count(*) FROM {effect.table.name}") == [(effect.rows_after,)]
            if effect.table.name == "k":
                assert (came, went) == (effect.inserted + effect.updated, effect.deleted + effect.updated), (
                    sql,
                    counts,
                )
        undo = asyncio.run(workspace.service().propose_undo(report.change, requested_by="t"))
        assert approve(workspace, undo).proven
        assert workspace.fingerprint() == before


class Changes(RuleBasedStateMachine):
    """Random changes, decisions, foreign writes and undos, by services that come and go."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.workspace = ChangesWorkspace(Path(self.folder.name)).make(TABLES)
        self.waiting: dict[str, str] = {}
        self.applied: list[tuple[str, dict[str, tuple[object, ...]]]] = []
        self.stands: dict[str, bool] = {}
        self.undoes: dict[str, str] = {}
        self.expected = self.workspace.fingerprint()

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()

    @rule(sql=st.one_of(SCRIPTS, DDL))
    def propose(self, sql: str) -> None:
        try:
            report = asyncio.run(self.workspace.service().propose(sql, requested_by="t"))
        except ToolError:
            return
        self.waiting[report.change] = report.digest

    @precondition(lambda self: self.waiting)
    @rule(choice=st.randoms(use_true_random=False))
    def approve(self, choice: random.Random) -> None:
        change = choice.choice(sorted(self.waiting))
        digest = self.waiting.pop(change)
        before = self.workspace.tables()
        service = self.workspace.service()
        try:
            done = asyncio.run(service.approve(change, digest=digest, by="ada", channel="terminal"))
        except ToolError as error:
            assert asyncio.run(service.status(change)).status == "failed", error
            return
        if done.status == "moved":
            if done.successor:
                again = asyncio.run(service.status(done.successor))
                self.waiting[again.change] = again.digest
            return
        assert done.status == "applied"
        self.expected = self.workspace.fingerprint()
        if done.undo_of:
            change_before = next(f for c, f in reversed(self.applied) if c == done.undo_of)
            assert done.proven
            now = self.workspace.tables()
            touched = [t.table.label for t in done.preview.tables]
            assert {t: now.get(t) for t in touched} == {t: change_before.get(t) for t in touched}
            self.undoes[change] = done.undo_of
            self.take_back(done.undo_of, stands=False)
        self.applied.append((change, before))
        self.stands[change] = True

    def take_back(self, change: str, *, stands: bool) -> None:
        self.stands[change] = stands
        if change in self.undoes:
            self.take_back(self.undoes[change], stands=not stands)

    @precondition(lambda self: self.waiting)
    @rule(choice=st.randoms(use_true_random=False))
    def reject(self, choice: random.Random) -> None:
        change = choice.choice(sorted(self.waiting))
        del self.waiting[change]
        asyncio.run(self.workspace.service().reject(change, by="ada", channel="app"))

    @precondition(lambda self: self.applied)
    @rule(choice=st.randoms(use_true_random=False))
    def propose_undo(self, choice: random.Random) -> None:
        change = choice.choice(self.applied)[0]
        try:
            report = asyncio.run(self.workspace.service().propose_undo(change, requested_by="t"))
        except ToolError as error:
            assert error.code == "conflict", error
            if "later changes" in error.message:
                named = re.findall(r"c\d+", str(error.hint))
                assert named[-1] == change
                assert all(self.stands[c] and c not in self.undoes for c in named[:-1]), error
            elif "already taken back" in error.message:
                assert not self.stands[change]
            return
        self.waiting[report.change] = report.digest

    @rule()
    def write_from_outside(self) -> None:
        self.workspace.run("INSERT INTO k SELECT max(id) + 1, 9, 'out' FROM k HAVING max(id) IS NOT NULL")
        self.expected = self.workspace.fingerprint()
        self.applied.clear()

    @invariant()
    def nothing_changes_unseen(self) -> None:
        if hasattr(self, "workspace"):
            assert self.workspace.fingerprint() == self.expected

    @invariant()
    def remembered_prints_are_exact(self) -> None:
        if hasattr(self, "workspace"):
            assert_prints_are_exact(self.workspace)

    @invariant()
    def every_receipt_has_an_applied_change(self) -> None:
        if hasattr(self, "workspace"):
            applied = {s.handle for s in self.workspace.service().store.summaries(("applied",), limit=1000)}
            assert set(self.workspace.receipts()) == applied


Changes.TestCase.settings = settings(
    max_examples=5, stateful_step_count=10, deadline=None, suppress_health_check=list(HealthCheck)
)
TestChanges = pytest.mark.slow(Changes.TestCase)
