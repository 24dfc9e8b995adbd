"""Time and memory of a profile beside DuckDB's SUMMARIZE, ydata-profiling (minimal) and polars describe.

Run: python -m bench.profile [--rows 10000000] [--csv-megabytes 1000] [--peers] [--keep FOLDER]
Every contender runs in a process of its own. Peers get a virtual environment of their own; one that does not install
is skipped with a note.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

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


def _measure(what: str, path: str) -> None:
    """Run one contender in this process and print a JSON line."""
    started = time.perf_counter()
    cpu = time.process_time()
    facts = 0
    if what == "steward":
        from datasteward.intake.inspect import inspect_file
        from datasteward.intake.plan import read_plan
        from datasteward.profiling.model import ProfileSource
        from datasteward.profiling.profile import profile
        from datasteward.profiling.rendering import render_for_model
        from datasteward.profiling.storing import to_json

        connection = duckdb.connect()
        intake = inspect_file(Path(path))
        plan = read_plan(connection, intake, Path(tempfile.mkdtemp()))
        kind = intake.format if plan.kind == "direct" else "table"
        made = profile(
            connection,
            ProfileSource(name=Path(path).stem, table_sql=plan.table_sql, format=kind, size_bytes=intake.size_bytes),
        )
        text = render_for_model(made)
        facts = _count_facts(json.loads(to_json(made)))
        extra = {"characters": len(text), "findings": len(made.findings), "left_out": list(made.left_out)}
    elif what == "summarize":
        rows = duckdb.connect().execute(f"SUMMARIZE SELECT * FROM '{path}'").fetchall()
        facts = sum(1 for r in rows for v in r if v is not None)
        extra = {}
    elif what == "polars":
        import polars  # type: ignore[import-not-found]

        frame = (polars.scan_parquet(path) if path.endswith("parquet") else polars.scan_csv(path)).collect()
        facts = sum(1 for c in frame.describe().iter_columns() for v in c if v is not None)
        extra = {}
    else:
        import pandas  # type: ignore[import-not-found]
        from ydata_profiling import ProfileReport  # type: ignore[import-not-found]

        frame = pandas.read_parquet(path) if path.endswith("parquet") else pandas.read_csv(path)
        text = ProfileReport(frame, minimal=True, progress_bar=False).to_json()
        extra = {"characters": len(text)}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    seconds = round(time.perf_counter() - started, 2)
    print(
        json.dumps(
            {
                "seconds": seconds,
                "cpu_seconds": round(time.process_time() - cpu, 2),
                "peak_mb": peak,
                "facts": facts,
                **extra,
            }
        )
    )


def _count_facts(value: object) -> int:
    """Leaves that say something: no nulls, no empty lists, no false flags."""
    if isinstance(value, dict):
        return sum(_count_facts(v) for v in value.values())
    if isinstance(value, list):
        return sum(_count_facts(v) for v in value)
    return int(value not in (None, "", False))


def _run(python: str, what: str, path: Path) -> dict[str, object]:
    done = subprocess.run(
        [python, "-m", "bench.profile", "--one", what, str(path)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return {"note": (done.stderr.strip().splitlines() or ["failed"])[-1][:160]}
    found: dict[str, object] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _make_peer(folder: Path, packages: list[str]) -> str | None:
    """The Python of a virtual environment with `packages`, or None when they do not install."""
    python = folder / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages]
    for command in ([sys.executable, "-m", "venv", str(folder)], install):
        if subprocess.run(command, capture_output=True, check=False).returncode:
            return None
    return str(python)


def main() -> None:
    if len(sys.argv) > 3 and sys.argv[1] == "--one":
        _measure(sys.argv[2], sys.argv[3])
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--csv-megabytes", type=int, default=1_000)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="steward-bench-"))
    folder.mkdir(exist_ok=True)
    parquet, text = folder / f"orders_{options.rows}.parquet", folder / f"orders_{options.csv_megabytes}mb.csv"
    if not parquet.exists():
        duckdb.execute(f"COPY ({_GENERATE.format(rows=options.rows)}) TO '{parquet}' (FORMAT parquet)")
    if not text.exists() and options.csv_megabytes:
        duckdb.execute(f"COPY ({_GENERATE.format(rows=options.csv_megabytes * 5_000)}) TO '{text}' (HEADER)")
    peers = {"summarize": sys.executable, "steward": sys.executable}
    if options.peers:
        for name, packages in (
            ("polars", ["polars", "duckdb==2.0.0"]),
            ("ydata", ["ydata-profiling", "setuptools<80", "pyarrow", "duckdb==2.0.0"]),
        ):
            python = _make_peer(folder / f"venv_{name}", packages)
            if python:
                peers[name] = python
            else:
                print(f"{name}: does not install here, skipped")
    for path in (p for p in (parquet, text) if p.exists() and p.stat().st_size):
        print(f"{path.name}: {path.stat().st_size / 1e6:.0f} MB")
        for name, python in peers.items():
            print(f"  {name:10} {_run(python, name, path)}", flush=True)


if __name__ == "__main__":
    main()
