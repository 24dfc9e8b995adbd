"""Hostile statements through the whole reader: gate, worker and limits; nothing changes and nothing hangs."""

import hashlib
import json
import time
from pathlib import Path

import pytest
from tests.support.gate_sandbox import build_sandbox

from datasteward.engine.engine import QueryRequest
from datasteward.errors import ToolError
from datasteward.services import open_services
from datasteward.settings import load_settings
from datasteward.workspace import Workspace

pytestmark = pytest.mark.anyio

GREEDY = [
    "SELECT count(*) FROM range(1000000000000) t(i) WHERE hash(i) % 1000003 = 7",
    "SELECT length(repeat('x', 3000000000))",
    "SELECT list(i) FROM range(10000000000) t(i)",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r",
    "SELECT count(*) FROM range(100000) a, range(100000) b, range(100000) c",
    "SELECT * FROM range(100000000) a, range(100000000) b ORDER BY hash(a.range + b.range)",
]


def prints(root: Path) -> dict[str, str]:
    """Every file below the root, the state folder set aside, by its hash."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".steward" not in path.parts
    }


def fill(sql: str, sandbox_root: Path, database: Path) -> str:
    return sql.replace("{{R}}", str(sandbox_root)).replace("{{DB}}", str(database))


def settings_of(root: Path, database: Path) -> str:
    return (
        f"[data]\nroots = ['data']\ndatabase = '{database.relative_to(root)}'\n"
        "[limits]\nmemory = '400MB'\ntemp = '200MB'\nworkers = 2\nresult_rows = 1000000\n[owner]\nwarm_workers = 1\n"
    )


async def outcome(engine: object, sql: str, seconds: float) -> str:
    """`ok`, or the code of the error."""
    try:
        await engine.query(QueryRequest(sql=sql, timeout_seconds=seconds))  # type: ignore[attr-defined]
    except ToolError as error:
        return error.code
    return "ok"


@pytest.mark.parametrize("sql", GREEDY)
async def test_a_greedy_query_ends_in_time_and_the_next_one_answers(tmp_path: Path, sql: str) -> None:
    sandbox = build_sandbox(tmp_path)
    (tmp_path / "steward.toml").write_text(settings_of(tmp_path, sandbox.database))
    workspace = Workspace(root=tmp_path)
    async with open_services(workspace, load_settings(workspace, environment={})) as services:
        started = time.monotonic()
        code = await outcome(services.engine, sql, 1.5)
        assert code in {"timeout", "too_large", "runtime", "ok", "unavailable", "disk_full"}
        assert time.monotonic() - started < 20
        assert await outcome(services.engine, "SELECT 1", 30) == "ok"


@pytest.mark.slow
async def test_the_outside_list_changes_nothing_and_every_allowed_item_runs(tmp_path: Path, shared_data: Path) -> None:
    sandbox = build_sandbox(tmp_path)
    (tmp_path / "steward.toml").write_text(settings_of(tmp_path, sandbox.database))
    workspace = Workspace(root=tmp_path)
    before = prints(tmp_path)
    wrong = []
    async with open_services(workspace, load_settings(workspace, environment={})) as services:
        for line in (shared_data / "hostile_sql.jsonl").read_text().splitlines():
            item = json.loads(line)
            code = await outcome(services.engine, fill(item["sql"], tmp_path, sandbox.database), 2.0)
            is_bounded = item["kind"] == "dos" and code in {"ok", "timeout", "too_large", "runtime", "disk_full"}
            if (item["must"] == "allow") != (code == "ok") and not is_bounded:
                wrong.append((item["id"], item["kind"], item["must"], code, item["sql"][:80]))
    assert wrong == []
    assert prints(tmp_path) == before
