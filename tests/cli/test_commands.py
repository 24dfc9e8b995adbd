"""The commands: results on stdout, words on stderr, exit codes as promised."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from tests.support.workspaces import make_workspace, owned_workspace, steward

STDLIB_ONLY = """
import sys
before = set(sys.modules)
import datasteward_cli.main, datasteward_cli.pump
foreign = {m.split('.')[0] for m in set(sys.modules) - before} - sys.stdlib_module_names - {'datasteward', 'datasteward_cli'}
print(sorted(foreign))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with owned_workspace(tmp_path / "shop") as place:
        yield place


def test_query_prints_a_table_json_csv_and_lines(folder: Path) -> None:
    sql = "SELECT region, count(*) AS n FROM sales GROUP BY ALL ORDER BY ALL"
    assert "north|2" in steward(folder, "query", sql).stdout
    body = json.loads(steward(folder, "query", sql, "--format", "json").stdout)
    assert body["results"][0]["data"] == [["north", 2], ["south", 1]]
    assert steward(folder, "query", sql, "--format", "csv").stdout == "region,n\nnorth,2\nsouth,1\n"
    lines = steward(folder, "query", "-", "--format", "ndjson", stdin=sql).stdout.splitlines()
    assert [json.loads(line) for line in lines] == [{"region": "north", "n": 2}, {"region": "south", "n": 1}]


def test_csv_gives_every_row_not_the_view(folder: Path) -> None:
    lines = steward(folder, "query", "FROM orders ORDER BY id", "--format", "csv").stdout.splitlines()
    assert len(lines) == 1001
    assert lines[-1] == "999,1498.5"


def test_parameters_go_by_position_or_name(folder: Path) -> None:
    run = steward(folder, "query", "SELECT id FROM orders WHERE id = ?", "-p", "7", "--format", "csv")
    assert run.stdout == "id\n7\n"
    run = steward(folder, "query", "SELECT $a AS a", "-p", 'a="x"', "--format", "csv")
    assert run.stdout == "a\nx\n"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("query", "DELETE FROM orders"), 3, "needs_approval|propose"),
        (("query", "FROM '/etc/passwd'"), 3, "data"),
        (("query", "SELEC 1"), 10, "syntax"),
        (("query", "SELECT count(*) FROM range(1000000000000) t(i) WHERE hash(i) = 7", "--timeout", "0.3"), 12, "time"),
        (("query",), 2, "No SQL"),
        (("qurey", "SELECT 1"), 2, "query"),
        (("--workspace", "nowhere", "query", "SELECT 1"), 2, "nowhere"),
    ],
)
def test_what_goes_wrong_is_one_message_and_an_exit_code(
    folder: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    run = steward(folder, *arguments)
    assert run.returncode == code, run.stderr
    assert run.stdout == ""
    assert any(word in run.stderr for word in words.split("|")), run.stderr
    assert "Traceback" not in run.stderr


def test_without_an_owner_everything_runs_in_one_process(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "shop")
    assert "1000" in steward(folder, "--no-owner", "query", "SELECT count(*) FROM orders").stdout
    assert not (folder / ".steward" / "owner.json").exists()


def test_init_writes_settings_that_load_and_doctor_looks_around(folder: Path) -> None:
    assert steward(folder, "init").returncode == 0
    again = steward(folder, "init")
    assert again.returncode == 2
    assert "--force" in again.stderr
    text = (folder / "steward.toml").read_text()
    live = "\n".join(
        line[2:] if " = " in line and line[2:3].islower() and line[2:].split(" = ")[0].isidentifier() else line
        for line in text.splitlines()
    )
    (folder / "steward.toml").write_text(live)
    run = steward(folder, "doctor")
    assert run.returncode == 0, run.stdout + run.stderr
    for word in ("workspace", "2 data files", "DuckDB", "database", "owner", "ANTHROPIC_API_KEY"):
        assert word in run.stdout


def test_the_example_rules_of_init_load(folder: Path) -> None:
    _, _, example = steward(folder, "init", "--print").stdout.partition("[[policy.rules]]")
    rules = "[[policy.rules]]" + example.replace("\n#   ", "\n").replace("\n#\n", "\n\n")
    (folder / "steward.toml").write_text(rules)
    assert rules.count("[[policy.rules]]") == 2
    run = steward(folder, "doctor")
    assert "policy: 2 rules, 1 of them allow" in run.stdout, run.stdout + run.stderr


def test_a_wrong_setting_stops_every_command_with_its_name(folder: Path) -> None:
    (folder / "steward.toml").write_text("[limits]\nmemroy = '1GB'\n")
    for command in (("--no-owner", "query", "SELECT 1"), ("doctor",), ("query", "SELECT 1")):
        run = steward(folder, *command)
        assert run.returncode != 0
        assert "memory" in run.stdout + run.stderr


def test_the_journal_tells_follows_and_verifies(folder: Path) -> None:
    steward(folder, "query", "SELECT 'a secret value' AS x")
    steward(folder, "query", "SELEC")
    text = steward(folder, "log").stdout
    assert "outcome=ok" in text
    assert "outcome=syntax" in text
    assert "a secret value" not in (folder / ".steward" / "journal" / "journal.jsonl").read_text()
    assert steward(folder, "log", "--outcome", "syntax", "--json").stdout.count("\n") == 1
    assert steward(folder, "log", "--verify").returncode == 0
    path = folder / ".steward" / "journal" / "journal.jsonl"
    path.write_text(path.read_text().replace('"outcome":"ok"', '"outcome":"no"', 1))
    assert steward(folder, "log", "--verify").returncode == 1


def test_results_are_pinned_and_pruned(folder: Path) -> None:
    (folder / "steward.toml").write_text("[results]\nquota = 1\n")
    steward(folder, "--no-owner", "query", "SELECT 1 AS a")
    assert "kept" in steward(folder, "results", "pin", "r1").stdout
    steward(folder, "--no-owner", "query", "SELECT 2 AS a")
    assert "removed 1: r2" in steward(folder, "results", "prune").stdout
    assert steward(folder, "--no-owner", "query", "FROM r1", "--format", "csv").stdout == "a\n1\n"
    gone = steward(folder, "--no-owner", "results", "show", "r2")
    assert "removed" in gone.stderr
    assert "SELECT 2" in gone.stderr


def test_the_pump_imports_the_standard_library_only(tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, "-c", STDLIB_ONLY], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


OWNER_IS_LIGHT = """
import sys
import datasteward_cli.owner_process, datasteward.local_calls, datasteward.services
import datasteward_tools.registry, datasteward_mcp.framing, datasteward_mcp.server
print([m for m in ("duckdb", "pyarrow", "sqlglot", "anthropic", "textual") if m in sys.modules])
"""


def test_the_owner_starts_without_the_engine_a_model_or_a_screen() -> None:
    run = subprocess.run([sys.executable, "-c", OWNER_IS_LIGHT], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_a_person_proposes_a_change_and_is_told_the_commands_that_go_on(folder: Path) -> None:
    proposed = steward(folder, "changes", "propose", "DELETE FROM orders WHERE id < 10", "--purpose", "old ones")
    assert proposed.returncode == 4, proposed.stderr
    assert "orders: +0 ~0 -10 rows" in proposed.stdout
    assert "steward changes approve c1" in proposed.stderr
    assert "steward changes show c1 tells of it" in proposed.stdout
    assert "change_status" not in proposed.stdout
    wrong = steward(folder, "query", "DELETE FROM orders")
    assert wrong.returncode == 3 and "steward changes propose" in wrong.stderr
    nothing = steward(folder, "changes", "propose")
    assert nothing.returncode == 2


def test_the_state_of_runs_is_told_in_commands_not_in_tool_names(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "shop")
    none = steward(folder, "--no-owner", "pipeline", "status")
    assert "steward changes list shows what waits" in none.stdout, none.stdout + none.stderr
    gone = steward(folder, "--no-owner", "pipeline", "status", "c99")
    assert gone.returncode == 10 and gone.stdout == ""
    assert "There is no run c99; none has begun yet.\nsteward changes list" in gone.stderr
    assert steward(folder, "pipeline", "init", "daily").returncode == 0
    run = steward(folder, "--no-owner", "pipeline", "run", "daily")
    assert run.returncode == 4, run.stdout + run.stderr
    assert "c1 waits for a decision" in run.stdout
    assert not re.search("change_status|pipeline_status|run_pipeline", none.stdout + run.stdout)


NIGHTLY = '[[policy.rules]]\nname = "nightly"\nverdict = "allow"\nkinds = ["pipeline_run"]\n'


def test_an_applied_run_names_the_command_that_tells_its_rows_instead_of_estimates(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "shop")
    (folder / "steward.toml").write_text(NIGHTLY)
    assert steward(folder, "pipeline", "init", "daily").returncode == 0
    run = steward(folder, "--no-owner", "pipeline", "run", "daily")
    assert run.returncode == 0, run.stdout + run.stderr
    shown = steward(folder, "changes", "show", "c1").stdout
    assert "tables of the run: staging.first\nsteward pipeline status c1 tells its rows" in shown
    assert "known when" not in shown and "about" not in shown
    for command in ("status", "resume"):
        gone = steward(folder, "pipeline", command, "c99")
        assert gone.returncode == 10 and gone.stdout == ""
        assert "There is no run c99.\nThe newest is c1." in gone.stderr
    assert steward(folder, "pipeline", "status", "c99", "--json").returncode == 10


def test_results_are_listed_to_the_last_also_when_they_take_more_than_one_page(folder: Path) -> None:
    columns = ", ".join(f"{n} AS a_column_with_a_long_name_{n}" for n in range(300))
    for _ in range(4):
        assert steward(folder, "query", f"SELECT {columns}").returncode == 0
    told = steward(folder, "results", "list").stdout
    assert told.startswith("4 datasets") and "cut:" not in told
    assert re.findall(r"^result (r\d+)", told, re.MULTILINE) == ["r4", "r3", "r2", "r1"]
    body = json.loads(steward(folder, "results", "list", "--json").stdout)
    assert len(body["datasets"]) == body["total"] == 4 and "next_offset" not in body
    assert body["datasets"][0]["columns"][299][0] == "a_column_with_a_long_name_299"


def test_the_catalog_counts_what_is_there_after_rows_were_deleted(tmp_path: Path) -> None:
    make_workspace(tmp_path)
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute("DELETE FROM orders WHERE id < 10")
    listed = steward(tmp_path, "--no-owner", "catalog", "orders", "--json")
    (table,) = [d for d in json.loads(listed.stdout)["datasets"] if d["name"] == "orders"]
    assert table["rows"] == 990
