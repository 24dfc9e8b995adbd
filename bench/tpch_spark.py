"""TPC-H's 22 queries on a Spark Connect server (Sail) next to DuckDB: equal rows, seconds and CPU seconds.

    python bench/tpch_spark.py [--times N] [--address HOST:PORT]

The tables and queries come from the folder in DATASTEWARD_CASES (scale 0.01); without it nothing is run. `--times`
repeats orders and line items with other order keys, so that N of 100 is about scale 1 of those two. Without an address
a Sail server is started on this machine and ended again. Reading and computing is timed, the copying out and back in of
a pipeline's step is not. The queries are the pipeline's own translations, run by its own session.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from datasteward.lineage.schemas import Column
from datasteward.pipelines.spark.comparing import compare_rows
from datasteward.pipelines.spark.computing import SESSION_SETTINGS, describe, source_of
from datasteward.pipelines.spark.transpiling import to_spark

if TYPE_CHECKING:
    from datasteward.pipelines.spark.session import SparkSession

SERVER = """
import sys
from pysail.spark import SparkConnectServer
server = SparkConnectServer("127.0.0.1", 0)
server.start(background=True)
print(server.listening_address[1], flush=True)
sys.stdin.read()
"""
KEY_STEP = 100_000
REPEATED = {
    "orders": "f.o_orderkey + n.range * {step} AS o_orderkey",
    "lineitem": "f.l_orderkey + n.range * {step} AS l_orderkey, f.l_extendedprice + n.range * 0.01 AS l_extendedprice",
}
"""What a repetition changes: keys, and prices by cents, so that no LIMIT has to choose among equals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """One query on both engines, in seconds; `verdict` says whether the rows were equal."""

    name: str
    duckdb_seconds: float
    spark_seconds: float
    rows: int
    verdict: str


def make_tables(cases: Path, folder: Path, connection: duckdb.DuckDBPyConnection, times: int) -> None:
    """One Parquet file a table in `folder`, and a view of it in DuckDB."""
    for path in sorted((cases / "tpc" / "tpch_sf0.01").glob("*.parquet")):
        target = folder / path.name
        changed = REPEATED.get(path.stem)
        if changed is None or times == 1:
            shutil.copyfile(path, target)
        else:
            replaced = changed.format(step=KEY_STEP)
            rows = f"SELECT f.* REPLACE ({replaced}) FROM '{path}' f, range({times}) n"
            connection.execute(f"COPY ({rows}) TO '{target}' (FORMAT parquet)")
        connection.execute(f"CREATE VIEW {path.stem} AS FROM '{target}'")


def time_query(
    name: str,
    sql: str,
    tables: dict[str, tuple[Column, ...]],
    connection: duckdb.DuckDBPyConnection,
    session: "SparkSession",
    folder: Path,
) -> Timed:
    """A query on both engines, each writing its rows."""
    from datasteward.pipelines.spark.session import SparkFault

    columns = describe(connection, f"({sql})")
    began = time.perf_counter()
    connection.execute(f"CREATE OR REPLACE TEMP TABLE mine AS {sql}")
    duckdb_seconds = time.perf_counter() - began
    output = folder / name
    began = time.perf_counter()
    try:
        session.write_rows(to_spark(sql, tables, [c.name for c in columns]).sql, str(output))
    except SparkFault as fault:
        return Timed(name=name, duckdb_seconds=duckdb_seconds, spark_seconds=0.0, rows=0, verdict=str(fault)[:60])
    spark_seconds = time.perf_counter() - began
    source = source_of(connection, output, columns, asset=name)
    different = compare_rows(connection, "mine", f"read_parquet('{source}')", columns)
    row = connection.execute("SELECT count(*) FROM mine").fetchone()
    verdict = "differs" if different.only_left or different.only_right else "equal"
    return Timed(
        name=name,
        duckdb_seconds=duckdb_seconds,
        spark_seconds=spark_seconds,
        rows=int(row[0]) if row else 0,
        verdict=verdict,
    )


def measure(cases: Path, address: str, server: "subprocess.Popen[str] | None", times: int) -> None:
    """Run every query and print the table."""
    from datasteward.pipelines.spark.session import SparkSession

    connection = duckdb.connect(config={"threads": os.cpu_count() or 1})
    connection.execute("SET TimeZone = 'UTC'")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make_tables(cases, folder, connection, times)
        names = [p.stem for p in folder.glob("*.parquet")]
        tables = {n: describe(connection, n) for n in names}
        session = SparkSession(address)
        session.configure(SESSION_SETTINGS)
        for name in names:
            session.name_files(name, [str(folder / f"{name}.parquet")])
        server_before = cpu_seconds_of(server)
        mine_before = time.process_time()
        timed = []
        for path in sorted((cases / "tpc" / "queries" / "tpch").glob("*.sql")):
            sql = path.read_text().strip().rstrip(";")
            timed.append(time_query(path.stem, sql, tables, connection, session, folder))
        session.close()
        server_cpu = cpu_seconds_of(server) - server_before
    print(f"{'query':8}{'rows':>8}{'DuckDB s':>10}{'Spark s':>10}  rows are")
    for t in timed:
        print(f"{t.name:8}{t.rows:8,}{t.duckdb_seconds:10.3f}{t.spark_seconds:10.3f}  {t.verdict}")
    equal = sum(t.verdict == "equal" for t in timed)
    print(
        f"{'sum':8}{'':8}{sum(t.duckdb_seconds for t in timed):10.3f}{sum(t.spark_seconds for t in timed):10.3f}"
        f"  {equal} of {len(timed)} equal"
    )
    print(f"CPU seconds: this process (DuckDB and the client) {time.process_time() - mine_before:.2f}", end="")
    print(f", server {server_cpu:.2f}" if server is not None else "")


def cpu_seconds_of(process: "subprocess.Popen[str] | None") -> float:
    """User and system seconds of a process so far; 0 where the system does not tell."""
    try:
        facts = Path(f"/proc/{process.pid}/stat").read_text() if process is not None else ""
    except OSError:
        facts = ""
    fields = facts.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def main() -> None:
    """Start what is needed and measure."""
    here = str(Path(__file__).resolve().parent)
    sys.path[:] = [p for p in sys.path if p != here]  # profile.py beside this file would stand for the library's
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--times", type=int, default=1, help="how often orders and line items are repeated")
    parser.add_argument("--address", help="host:port of a Spark Connect server that sees this machine's files")
    options = parser.parse_args()
    named = os.environ.get("DATASTEWARD_CASES")
    cases = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (cases / "tpc" / "tpch_sf0.01").is_dir():
        print("skipped: set DATASTEWARD_CASES to the folder with tpc/tpch_sf0.01 and tpc/queries/tpch")
        return
    if options.address:
        measure(cases, options.address, None, options.times)
        return
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={"RUST_LOG": "off"},
    )
    try:
        assert server.stdout is not None
        measure(cases, f"127.0.0.1:{int(server.stdout.readline())}", server, options.times)
    finally:
        server.kill()
        server.wait(timeout=10)


if __name__ == "__main__":
    main()
