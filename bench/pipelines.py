"""Pipelines: plain DuckDB, ours and other tools on the same assets, a plan with nothing to do, and what quarantine costs.

Run as `python bench/pipelines.py [--rows 6000000] [--peers FOLDER]`. CPU seconds (user and system, with those of child
processes) of whole processes, so that imports count. `FOLDER` holds an environment for each of dbt-duckdb, SQLMesh and
yato (see `pipeline_peers.py`); one that is missing is left out and that is said.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from pipeline_peers import PEERS, run_peer

from datasteward.engine.engine import make_worker_settings
from datasteward.pipelines.loading import read_folder
from datasteward.pipelines.plan_model import PlanRequest
from datasteward.settings import Settings
from datasteward.workspace import Workspace

AS_OF = datetime(2026, 1, 6)
PLAIN = """
import json, sys, duckdb
queries = json.load(open(sys.argv[1]))
connection = duckdb.connect(sys.argv[2])
connection.execute("SET threads = 2")
for name, sql in queries:
    connection.execute(f"CREATE OR REPLACE TABLE {name} AS {sql}")
connection.close()
"""
OURS = """
import json, sys, os, threading
job, settings = json.load(open(sys.argv[1]))
from datasteward.engine.jobs import WorkerSettings
from datasteward.pipelines.loading import PipelineFiles
from datasteward.pipelines.plan_model import PlanRequest
from datasteward.pipelines.preparing import prepare
from datasteward.pipelines.run_model import RunJob
from datasteward.pipelines.running import run_pipeline
from datasteward.engine.lockdown import open_cursor, open_reader
settings = WorkerSettings.from_json(settings)
os.chdir(settings.workspace_root)
database = settings.database if settings.database.exists() else None
connection = open_reader(database, roots=settings.roots, results=(settings.results_folder,),
    memory_limit_bytes=settings.memory_bytes, threads=settings.threads, temp_folder=settings.temp_folder,
    temp_limit_bytes=settings.temp_bytes)
name = database.stem if database else None
files = PipelineFiles(folder=job["folder"], texts=job["texts"])
request = PlanRequest.model_validate({**job["request"], "full_refresh": sys.argv[2] == "refresh"})
plan = prepare(files, request, open_cursor(connection, name), name, settings).plan
connection.close()
if sys.argv[2] != "plan":
    outcome = run_pipeline(RunJob(run="bench", folder=job["folder"], texts=job["texts"], request=request, approved=plan),
        settings, lambda e, d: None, threading.Event())
    assert outcome.status == "done", outcome
print(len(plan.running))
"""


def cpu_of(code: str, *arguments: str) -> tuple[float, str]:
    """CPU seconds of one Python process, and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def make_assets(count: int) -> list[tuple[str, str]]:
    """A source, a fan of derived tables, and a total, all trivial."""
    assets = [("base", "SELECT range AS id, range % 7 AS g FROM range(1000)")]
    for number in range(1, count - 1):
        source = "base" if number % 3 else f"a{number - 1}"
        assets.append((f"a{number}", f"SELECT id + {number} AS id, g FROM {source} WHERE id >= 0"))
    assets.append(("total", f"SELECT g, count(*) AS n FROM a{count - 2} GROUP BY g"))
    return assets


def make_workspace(folder: Path, assets: list[tuple[str, str]]) -> tuple[Path, Path]:
    """A workspace with these assets; the job file of ours and the query file of plain DuckDB."""
    workspace = Workspace(root=folder.resolve())
    (folder / "p").mkdir()
    for name, sql in assets:
        (folder / "p" / f"{name}.sql").write_text(sql)
    workspace.make_state_folder()
    settings = replace(make_worker_settings(workspace, Settings()), threads=2)
    files = read_folder(folder / "p")
    request = PlanRequest(as_of=AS_OF)
    job = {"folder": "p", "texts": dict(files.texts), "request": request.model_dump(mode="json")}
    (folder / "job.json").write_text(json.dumps([job, settings.to_json()]))
    (folder / "queries.json").write_text(json.dumps(assets))
    return folder / "job.json", folder / "queries.json"


def measure_assets(count: int, rounds: int, peers: Path | None) -> None:
    """Plain DuckDB, ours for a first run, for the same built anew and with nothing to do, and the peers."""
    times: dict[str, list[float]] = {}
    assets = make_assets(count)
    for _ in range(rounds):
        folder = Path(tempfile.mkdtemp(prefix="bench-pipelines-"))
        job, queries = make_workspace(folder, assets)
        times.setdefault("plain DuckDB", []).append(cpu_of(PLAIN, str(queries), str(folder / "plain.duckdb"))[0])
        for name, mode, expected in (
            ("ours, first plan and run", "run", count),
            ("ours, nothing to do", "plan", 0),
            ("ours, all built again", "refresh", count),
        ):
            seconds, printed = cpu_of(OURS, str(job), mode)
            assert int(printed) == expected, (name, printed)
            times.setdefault(name, []).append(seconds)
        shutil.rmtree(folder)
    base = min(times["plain DuckDB"])
    for name, found in times.items():
        print(f"{count:4} assets  {name:28} {min(found):7.2f} CPU-s {min(found) / base:6.2f}x")
    for peer in PEERS:
        folder = Path(tempfile.mkdtemp(prefix="bench-peer-"))
        made = run_peer(peer, peers / peer.name, folder, assets) if peers else "no --peers given"
        if isinstance(made, str):
            print(f"{count:4} assets  {peer.name:28} not run: {made}")
        else:
            again = "" if made.again_seconds is None else f", again with nothing to do {made.again_seconds:.2f}"
            print(
                f"{count:4} assets  {peer.name:28} {made.first_seconds:7.2f} CPU-s {made.first_seconds / base:6.2f}x{again}"
            )
        shutil.rmtree(folder)


def measure_quarantine(rows: int) -> None:
    """A table of `rows` rows: without checks, with five checks that hold, and with a tenth of the rows bad."""
    sql = f"SELECT range AS id, range % 1000 AS a, (range * 7919 % 100) AS b, range / 3.0 AS c FROM range({rows})"
    good = "\n".join(
        f"  - {rule}\n    on_fail: quarantine"
        for rule in ("not_null: id", "expect: a >= 0", "expect: b < 100", "range: {column: c, min: 0}", "not_null: c")
    )
    bad = good.replace("expect: b < 100", "expect: b < 90")
    results = {}
    for name, header in (("no checks", ""), ("5 checks, all good", good), ("5 checks, 10 % bad", bad)):
        folder = Path(tempfile.mkdtemp(prefix="bench-quarantine-"))
        text = f"/* @asset\nchecks:\n{header}\n@end */ {sql}" if header else sql
        job, _ = make_workspace(folder, [("big", text)])
        results[name] = cpu_of(OURS, str(job), "run")[0]
        shutil.rmtree(folder)
    base = results["no checks"]
    for name, seconds in results.items():
        print(f"{rows:,} rows, {name}: {seconds:.2f} CPU-s ({seconds / base:.2f}x)")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=6_000_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--peers", type=Path, help="folder with an environment for each peer")
    options = parser.parse_args()
    for count in (10, 100):
        measure_assets(count, options.rounds, options.peers.resolve() if options.peers else None)
    if options.rows:
        measure_quarantine(options.rows)


if __name__ == "__main__":
    main()
