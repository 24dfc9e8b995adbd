"""Time of reading a large clean CSV through intake beside DuckDB's plain `read_csv`: first look, and a whole scan.

Run: python -m bench.intake_speed [megabytes, 1000]
Each contender scans the file three times in a process of its own; the best is told, with the CPU it took.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

_RUNS = 3
_ROWS = """
SELECT i AS id, uuid()::VARCHAR AS reference, 'user' || (i % 50000) || '@mail.example' AS email, lpad((i % 90000)::VARCHAR, 5, '0') AS zip,
       round(random() * 500, 2) AS price, DATE '2020-01-01' + (i % 1500)::INT AS day, TIMESTAMP '2020-01-01' + to_seconds(i * 13) AS made_at,
       random() < 0.3 AS is_gift, CASE WHEN random() < 0.2 THEN NULL ELSE (random() * 100)::INT END AS score, 'note, ' || (i % 997) AS note
FROM range({rows}) AS r(i)
"""


def measure(what: str, path: Path) -> None:
    """Scan the file and print one line."""
    connection = duckdb.connect(config={"threads": 2})
    started = time.perf_counter()
    if what == "intake":
        from datasteward.intake.inspect import inspect_file
        from datasteward.intake.plan import read_plan

        plan = read_plan(connection, inspect_file(path), path.parent / "cache")
        source = plan.table_sql
    else:
        source = f"read_csv('{path}')"
        connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    first = time.perf_counter() - started
    scans = []
    for _ in range(_RUNS):
        before = (time.perf_counter(), time.process_time())
        connection.execute(f"SELECT count(*), max(COLUMNS(*)) FROM {source}").fetchall()
        scans.append((time.perf_counter() - before[0], time.process_time() - before[1]))
    wall, cpu = min(scans)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{what:9} first look {first:.2f} s, scan {wall:.2f} s wall, {cpu:.2f} s CPU, peak {peak:.0f} MB", flush=True)


def main() -> None:
    if len(sys.argv) == 3:
        measure(sys.argv[1], Path(sys.argv[2]))
        return
    megabytes = int(sys.argv[1]) if len(sys.argv) == 2 else 1000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.csv"
        duckdb.execute(f"COPY ({_ROWS.format(rows=megabytes * 9_000)}) TO '{path}' (HEADER)")
        print(f"{path.stat().st_size / 1e6:,.0f} MB")
        for what in ("intake", "read_csv", "intake", "read_csv"):
            subprocess.run([sys.executable, "-m", "bench.intake_speed", what, str(path)], check=True)


if __name__ == "__main__":
    main()
