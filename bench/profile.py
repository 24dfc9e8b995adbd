"""Time, memory and facts of a profile beside DuckDB's SUMMARIZE, polars describe and ydata-profiling (minimal).

Run: python -m bench.profile [--rows 200000] [--csv-megabytes 20] [--peer PYTHON] [--keep FOLDER] [--memory-megabytes 1024]
The full size is --rows 10000000 --csv-megabytes 1000. Every contender runs in a process of its own, one after the other,
on the same files. PYTHON is the interpreter of an environment with polars, ydata-profiling and pyarrow; without it, or
where one of them is missing or fails, that contender is skipped with a note.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_GENERATE = """
SELECT i AS order_id, uuid()::VARCHAR AS reference, i % 50000 AS customer_id, 'user' || (i % 50000) || '@mail.example' AS email,
       ['DE', 'FR', 'US', 'GB', 'JP'][1 + (i * 7 % 5)::INT] AS country, ['new', 'paid', 'sent', 'done', 'Paid'][1 + (hash(i) % 5)::INT] AS status,
       round(random() * 500, 2) AS price, (1 + random() * 9)::INT AS quantity, round(random() * 40 - 20, 1) AS temperature,
       DATE '2020-01-01' + (i % 1500)::INT AS ordered_on, TIMESTAMP '2020-01-01' + to_seconds(i * 13) AS created_at,
       random() < 0.3 AS is_gift, CASE WHEN random() < 0.2 THEN NULL ELSE (random() * 100)::INT END AS score,
       ['N/A', 'red', 'green', 'blue', ' blue'][1 + (hash(i, 1) % 5)::INT] AS colour, 47 + random() * 8 AS lat, 6 + random() * 9 AS lon,
       'note ' || (i % 997) AS note, (random() * 1e6)::DECIMAL(12, 2) AS amount, lpad((i % 90000)::VARCHAR, 5, '0') AS zip, 'same' AS source
FROM range({rows}) AS r(i)
"""
_FIVE_MORE = """
SELECT *, '$' || price AS price_text, strftime(ordered_on, '%d.%m.%Y') AS ordered_text, i.order_id % 40 AS store_id,
       'Store ' || (order_id % 40) AS store, CASE WHEN order_id % 300 = 7 THEN 'reach me at ' || email ELSE 'fine' END AS remark
FROM ({rows}) AS i
"""
_ROWS_PER_MEGABYTE = 5_000
_CHARACTERS_PER_TOKEN = 3.6
_CONTENDERS = ("summarize", "steward", "polars", "ydata")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a contender did: `facts` are figures and words that say something, `notes` what it left out."""

    facts: int
    notes: tuple[str, ...] = ()


def profile_it(path: str, memory_megabytes: int) -> Measured:
    """The whole way of the product: intake, profile, JSON."""
    import duckdb

    from datasteward.intake.inspect import inspect_file
    from datasteward.intake.plan import read_plan
    from datasteward.profiling.model import ProfileOptions, ProfileSource
    from datasteward.profiling.profile import profile
    from datasteward.profiling.storing import to_json

    with tempfile.TemporaryDirectory() as cache:
        connection = duckdb.connect(config={"memory_limit": f"{memory_megabytes}MiB", "temp_directory": cache})
        intake = inspect_file(Path(path))
        plan = read_plan(connection, intake, Path(cache))
        kind = intake.format if plan.kind == "direct" else "table"
        source = ProfileSource(
            name=Path(path).stem, table_sql=plan.table_sql, format=kind, size_bytes=intake.size_bytes
        )
        made = profile(connection, source, ProfileOptions(budget_seconds=600))
        return Measured(facts=_count_facts(json.loads(to_json(made))), notes=made.left_out)


def summarize_it(path: str, memory_megabytes: int) -> Measured:
    """DuckDB's SUMMARIZE with the same memory limit."""
    import duckdb

    connection = duckdb.connect(config={"memory_limit": f"{memory_megabytes}MiB"})
    rows = connection.execute(f"SUMMARIZE SELECT * FROM '{path}'").fetchall()
    return Measured(facts=sum(1 for r in rows for v in r if v is not None))


def describe_with_polars(path: str, _memory_megabytes: int) -> Measured:
    """polars describe of the frame in memory."""
    import polars  # type: ignore[import-not-found]

    frame = (polars.scan_parquet(path) if path.endswith("parquet") else polars.scan_csv(path)).collect()
    return Measured(facts=sum(1 for c in frame.describe().iter_columns() for v in c if v is not None))


def describe_with_ydata(path: str, _memory_megabytes: int) -> Measured:
    """ydata-profiling, minimal, to JSON; its lists of single values are not counted as facts."""
    import pandas  # type: ignore[import-untyped]
    from ydata_profiling import ProfileReport  # type: ignore[import-not-found]

    frame = pandas.read_parquet(path) if path.endswith("parquet") else pandas.read_csv(path)
    text = ProfileReport(frame, minimal=True, progress_bar=False).to_json()
    variables = json.loads(text)["variables"]
    facts = sum(1 for v in variables.values() for f in v.values() if not isinstance(f, dict | list) and f is not None)
    return Measured(facts=facts, notes=(f"{len(text):,} characters of JSON",))


_WORK: dict[str, Callable[[str, int], Measured]] = {
    "steward": profile_it, "summarize": summarize_it, "polars": describe_with_polars, "ydata": describe_with_ydata
}  # fmt: skip


def _count_facts(value: object) -> int:
    """Leaves that say something: no nulls, no empty lists, no false flags, no list of bins."""
    if isinstance(value, dict):
        return sum(_count_facts(v) for k, v in value.items() if k not in {"edges", "counts", "show_sql", "mend_sql"})
    if isinstance(value, list):
        return sum(_count_facts(v) for v in value)
    return int(value not in (None, "", False))


def measure_here(what: str, path: str, memory_megabytes: int) -> None:
    """Run one contender in this process and print a JSON line."""
    started, cpu = time.perf_counter(), time.process_time()
    found = asdict(_WORK[what](path, memory_megabytes))
    found["seconds"] = round(time.perf_counter() - started, 2)
    found["cpu_seconds"] = round(time.process_time() - cpu, 2)
    found["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps(found))


def _run(python: str, what: str, path: Path, options: argparse.Namespace) -> dict[str, Any]:
    command = [python, "-m", "bench.profile", "--one", what, str(path), str(options.memory_megabytes)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=options.timeout_seconds)
    except subprocess.TimeoutExpired:
        return {"note": f"stopped after {options.timeout_seconds} s"}
    if done.returncode:
        why = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return {"note": f"failed: {why[:140]}"}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def measure_answer() -> str:
    """The size of the answer a model gets for 25 columns, eight of them faulty."""
    import duckdb

    from datasteward.profiling.model import ProfileSource
    from datasteward.profiling.profile import profile
    from datasteward.profiling.rendering import render_for_model

    base = duckdb.connect()
    base.execute(f"CREATE TABLE orders AS {_FIVE_MORE.format(rows=_GENERATE.format(rows=100_000))}")
    made = profile(base.cursor(), ProfileSource(name="orders", table_sql="orders"))
    text = render_for_model(made)
    tokens = round(len(text) / _CHARACTERS_PER_TOKEN)
    return (
        f"{len(made.columns)} columns, {len(made.findings)} findings: {len(text):,} characters, about {tokens:,} tokens"
    )


def _make_files(folder: Path, options: argparse.Namespace) -> list[Path]:
    import duckdb

    parquet, text = folder / f"orders_{options.rows}.parquet", folder / f"orders_{options.csv_megabytes}mb.csv"
    folder.mkdir(parents=True, exist_ok=True)
    if not parquet.exists():
        duckdb.execute(f"COPY ({_GENERATE.format(rows=options.rows)}) TO '{parquet}' (FORMAT parquet)")
    if not text.exists() and options.csv_megabytes:
        rows = options.csv_megabytes * _ROWS_PER_MEGABYTE
        duckdb.execute(f"COPY ({_GENERATE.format(rows=rows)}) TO '{text}' (HEADER)")
    return [p for p in (parquet, text) if p.exists()]


def main() -> None:
    if len(sys.argv) == 5 and sys.argv[1] == "--one":
        measure_here(sys.argv[2], sys.argv[3], int(sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--csv-megabytes", type=int, default=20)
    parser.add_argument("--memory-megabytes", type=int, default=1_024)
    parser.add_argument("--timeout-seconds", type=int, default=3_600)
    parser.add_argument("--peer", metavar="PYTHON")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="steward-bench-"))
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, memory limit {options.memory_megabytes} MiB")
    for path in _make_files(folder, options):
        print(f"{path.name}: {path.stat().st_size / 1e6:.0f} MB")
        for what in _CONTENDERS:
            is_peer = what in {"polars", "ydata"}
            found = {"note": "skipped: no --peer"} if is_peer and not options.peer else _run(options.peer if is_peer else sys.executable, what, path, options)  # fmt: skip
            if "note" in found:
                print(f"  {what:10} {found['note']}", flush=True)
                continue
            print(f"  {what:10} {found['seconds']:8.2f} s {found['cpu_seconds']:8.2f} CPU-s {found['peak_mb']:6} MB "
                  f"{found['facts']:6} facts  {'; '.join(found['notes'])}", flush=True)  # fmt: skip
    print(f"answer for a model: {measure_answer()}")


if __name__ == "__main__":
    main()
