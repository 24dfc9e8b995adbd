"""Lineage side by side with sqlglot and sqllineage: right answers, speed, and a deep question to a large graph.

    python bench/lineage.py [--skip-peers]

Peers run in an environment of their own, made in a temporary folder with uv (or venv and pip). The probes and TPC-DS
come from the folder in DATASTEWARD_CASES; without it those parts are skipped with the reason. Times are CPU seconds of
the process unless said otherwise.
"""

import argparse
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from datasteward.lineage.edges import Edge, StatementLineage
from datasteward.lineage.faces.text import write_text
from datasteward.lineage.graph import find_starts, trace
from datasteward.lineage.resolve import resolve
from datasteward.lineage.schemas import Catalog, Column, ColumnRef, Dataset, DatasetKey
from datasteward.lineage.store import SCRIPTS, LineageStore, RunStamp

PEER = Path(__file__).with_name("lineage_peer.py")
PEER_PACKAGES = ("sqlglot[c]==30.*", "sqllineage==1.5.9")
PEER_TIMEOUT_SECONDS = 1200
Schema = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Queries over a schema, resolved one after another; `expected` (per query) lets the answers be scored."""

    name: str
    queries: tuple[str, ...]
    schema: Schema
    expected: tuple[Mapping[str, Sequence[str]], ...] = ()
    accepted: tuple[Mapping[str, Sequence[Sequence[str]]], ...] = ()
    repeats: int = 1


def make_chain(length: int = 100) -> Task:
    """A chain of CTEs over one table of four columns."""
    steps = ["c0 AS (SELECT a, b, c, d FROM t)"]
    steps += [f"c{i} AS (SELECT a, b + {i} AS b, c, d FROM c{i - 1} WHERE c > {i})" for i in range(1, length)]
    sql = f"WITH {', '.join(steps)} SELECT a, b, c, d FROM c{length - 1}"
    return Task(name=f"{length}-CTE chain", queries=(sql,), schema={"t": dict.fromkeys("abcd", "INTEGER")}, repeats=3)


def make_wide(width: int = 500) -> Task:
    """A star over `width` columns through two CTEs."""
    columns = {f"column_{i}": "INTEGER" for i in range(width)}
    sql = "WITH a AS (SELECT * FROM wide), b AS (SELECT * FROM a) SELECT * FROM b"
    return Task(name=f"{width}-column select", queries=(sql,), schema={"wide": columns})


def read_probes(cases: Path) -> Task:
    """The probes with their right answers."""
    probes = json.loads((cases / "lineage" / "probes.json").read_text())
    return Task(
        name=f"{len(probes)} probes",
        queries=tuple(p["sql"] for p in probes),
        schema=probes[0]["schema"],
        expected=tuple(p["expected"] for p in probes),
        accepted=tuple(p.get("also_ok") or {} for p in probes),
    )


def read_tpcds(cases: Path) -> Task:
    """TPC-DS's 99 queries."""
    import duckdb

    schema: dict[str, dict[str, str]] = {}
    with duckdb.connect() as connection:
        for path in sorted((cases / "tpc" / "tpcds_sf0.01").glob("*.parquet")):
            rows = connection.execute(
                "SELECT column_name, column_type FROM (DESCRIBE FROM read_parquet(?))", [str(path)]
            )
            schema[path.stem] = dict(rows.fetchall())
    queries = sorted((cases / "tpc" / "queries" / "tpcds").glob("*.sql"))
    return Task(name=f"TPC-DS {len(queries)}", queries=tuple(q.read_text() for q in queries), schema=schema)


def run_ours(task: Task) -> dict[str, float | int]:
    """Seconds, queries resolved by column, and right answers of a task."""
    catalog = Catalog(
        [
            Dataset(
                namespace="duckdb", name=t, kind="table", columns=tuple(Column(name=c, type=k) for c, k in cs.items())
            )
            for t, cs in task.schema.items()
        ]
    )
    files = {f: (Column(name="oid", type="INTEGER"), Column(name="val", type="DOUBLE")) for f in
             ("data/*.parquet", "data/a.parquet")}  # fmt: skip
    best = float("inf")
    found: list[StatementLineage] = []
    for _ in range(task.repeats):
        started = time.process_time()
        found = [resolve(sql, catalog, files=files) for sql in task.queries]
        best = min(best, time.process_time() - started)
    resolved = sum(1 for f in found if f.confidence == "bound")
    right = 0
    for index, expected in enumerate(task.expected):
        answers = {c: sorted(str(s) for s in found[index].sources_of(c)) for c in expected}
        right += is_right(answers, expected, task.accepted[index])
    return {"seconds": best, "resolved": resolved, "right": right}


def is_right(
    answers: Mapping[str, Sequence[str]],
    expected: Mapping[str, Sequence[str]],
    accepted: Mapping[str, Sequence[Sequence[str]]],
) -> bool:
    """True when every column's sources are the expected or an accepted set."""
    return all(
        sorted(answers.get(c, ["?"])) in [sorted(e), *(sorted(o) for o in accepted.get(c, ()))]
        for c, e in expected.items()
    )


def run_peers(tasks: Sequence[Task], folder: Path) -> dict[str, dict[str, dict[str, float | int]]]:
    """What each peer needed and got right, by task and peer; empty with a word when the environment cannot be made."""
    python = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    uv = shutil.which("uv")
    make = [uv, "venv", "-q", str(folder / "env")] if uv else [sys.executable, "-m", "venv", str(folder / "env")]
    install = (
        [uv, "pip", "install", "-q", "--python", str(python)] if uv else [str(python), "-m", "pip", "install", "-q"]
    )
    try:
        subprocess.run(make, check=True, timeout=120, capture_output=True)
        subprocess.run([*install, *PEER_PACKAGES], check=True, timeout=600, capture_output=True)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"peers skipped: their environment could not be made ({error})")
        return {}
    given = folder / "tasks.json"
    given.write_text(json.dumps([asdict(t) for t in tasks]))
    done = subprocess.run(
        [str(python), str(PEER), str(given)], capture_output=True, text=True, timeout=PEER_TIMEOUT_SECONDS, check=False
    )
    if done.returncode != 0:
        print(f"peers failed: {done.stderr[-800:]}")
        return {}
    answers: dict[str, dict[str, dict[str, float | int]]] = json.loads(done.stdout)
    return answers


def measure_graph() -> None:
    """A graph of 10,000 datasets and 200,000 edges: loading, and questions five levels deep."""
    dice = random.Random(1)
    connection = sqlite3.connect(":memory:")
    connection.executescript(SCRIPTS[0])
    store = LineageStore(connection)
    pairs = []
    for layer in range(1, 20):
        for table in range(527):
            for column in range(5):
                for _ in range(4):
                    source = _ref(f"t{layer - 1}_{dice.randrange(527)}", dice.randrange(5))
                    edge = Edge(source=source, target=_ref(f"t{layer}_{table}", column), subtype="identity")
                    pairs.append(edge)
    statement = StatementLineage(
        kind="other", outputs=(), inputs=(), target=DatasetKey("d", "x"), edges=tuple(pairs), confidence="bound"
    )
    started = time.process_time()
    store.record(statement, RunStamp(run_id="made", at=1.0), statement_hash="made")
    loading = time.process_time() - started
    datasets, edges = (connection.execute(f"SELECT count(*) FROM {t}").fetchone()[0]
                       for t in ("lineage_dataset", "lineage_edge"))  # fmt: skip
    print(f"\ngraph: {datasets:,} datasets, {edges:,} edges, written in {loading:.1f} CPU-s")
    for name, columns in (("one column", ["c1"]), ("all columns of a table", [])):
        best, size = float("inf"), 0
        for table in range(7):
            starts = find_starts(connection, f"t14_{table}", columns)
            began = time.perf_counter()
            graph = trace(connection, starts, "upstream", depth=5)
            best, size = min(best, time.perf_counter() - began), len(graph.edges)
            write_text(graph)
        print(f"  {name}, five levels up: {best * 1000:.0f} ms wall, {size:,} edges found")


def _ref(table: str, column: int) -> ColumnRef:
    return ColumnRef(DatasetKey("d", table), f"c{column}")


def print_table(tasks: Sequence[Task], answers: Mapping[str, Mapping[str, Mapping[str, float | int]]]) -> None:
    """One line a task: seconds, resolved and right answers of each."""
    peers = list(dict.fromkeys(p for by_peer in answers.values() for p in by_peer))
    print(f"{'task':22}" + "".join(f"{p:>28}" for p in peers))
    for task in tasks:
        cells = []
        for peer in peers:
            told = answers[task.name].get(peer)
            if told is None:
                cells.append("-")
                continue
            text = f"{told['seconds']:.3f} s, {told['resolved']}/{len(task.queries)}"
            cells.append(text + (f", right {told['right']}" if task.expected else ""))
        print(f"{task.name:22}" + "".join(f"{c:>28}" for c in cells))


def guard(name: str, make: Callable[[Path], Task], cases: Path | None) -> list[Task]:
    """The task, or nothing with the reason told."""
    if cases is None or not cases.is_dir():
        print(f"{name} skipped: set DATASTEWARD_CASES to the folder of outside cases")
        return []
    return [make(cases)]


def main() -> None:
    """Run everything and print plain tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--skip-peers", action="store_true")
    options = parser.parse_args()
    named = os.environ.get("DATASTEWARD_CASES")
    cases = Path(named) if named else None
    tasks = [*guard("probes", read_probes, cases), *guard("TPC-DS", read_tpcds, cases), make_chain(), make_wide()]
    answers: dict[str, dict[str, dict[str, float | int]]] = {t.name: {"datasteward": run_ours(t)} for t in tasks}
    if not options.skip_peers:
        with tempfile.TemporaryDirectory(prefix="lineage-peers-") as folder:
            for task, by_peer in run_peers(tasks, Path(folder)).items():
                answers[task].update(by_peer)
    print_table(tasks, answers)
    measure_graph()


if __name__ == "__main__":
    main()
