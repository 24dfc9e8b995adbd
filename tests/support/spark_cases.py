"""Rows with awkward values, computed by DuckDB and by a Spark Connect server from one Parquet file."""

from dataclasses import dataclass
from pathlib import Path

import duckdb

from datasteward.lineage.schemas import Column
from datasteward.pipelines.spark.comparing import RowDifferences, compare_rows
from datasteward.pipelines.spark.computing import SESSION_SETTINGS, describe, source_of
from datasteward.pipelines.spark.session import SparkSession
from datasteward.pipelines.spark.transpiling import to_spark

ROWS = """
SELECT * FROM (VALUES
    (1, 10::BIGINT, 1.25::DECIMAL(10,2), 0.1::DOUBLE, 'Ann', DATE '2024-02-29', TIMESTAMP '2024-02-29 23:59:59.123456', true),
    (2, -7, -2.50, -2.5, 'bob', DATE '1969-12-31', TIMESTAMP '1969-12-31 00:00:00', false),
    (3, 3, 2.675, 1e10, '', DATE '2000-01-01', TIMESTAMP '2000-01-01 12:30:00', NULL),
    (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (5, 9223372036854775807, 99999999.99, 'NaN'::DOUBLE, 'ÄÖ''ü\\n%_', DATE '2026-11-21', TIMESTAMP '2026-11-21 00:00:00.5', true),
    (6, 9223372036854775806, 0.05, -0.0, '  Ann  ', DATE '2024-12-30', TIMESTAMP '2024-12-30 01:00:00', true),
    (6, 0, 0.00, 5.5, 'ann', DATE '2024-12-31', TIMESTAMP '2024-12-31 22:00:00', false)
) t(i, b, d, f, s, dt, ts, bo)
"""


@dataclass
class SparkCases:
    """Both engines over the table `t`."""

    folder: Path
    session: SparkSession
    connection: duckdb.DuckDBPyConnection
    count: int = 0

    @classmethod
    def open(cls, folder: Path, address: str) -> "SparkCases":
        """Both engines with the rows."""
        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'")
        session = SparkSession(address)
        session.configure(SESSION_SETTINGS)
        cases = cls(folder=folder, session=session, connection=connection)
        cases.add("t", ROWS)
        return cases

    def add(self, name: str, query: str) -> None:
        """Give both engines the rows of a query as the table `name`."""
        path = self.folder / f"{name}.parquet"
        self.connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
        self.connection.execute(f"CREATE VIEW {name} AS FROM '{path}'")
        self.session.name_files(name, [str(path)])

    def differences(self, sql: str) -> RowDifferences:
        """What the two engines do not share of a query's rows."""
        columns = describe(self.connection, f"({sql})")
        tables = [r[0] for r in self.connection.execute("SHOW TABLES").fetchall()]
        schemas: dict[str, tuple[Column, ...]] = {n: describe(self.connection, n) for n in tables}
        self.count += 1
        output = self.folder / f"rows{self.count}"
        self.session.write_rows(to_spark(sql, schemas, [c.name for c in columns]).sql, str(output))
        source = source_of(self.connection, output, columns, asset="t")
        return compare_rows(self.connection, f"({sql})", f"read_parquet('{source}')", columns)

    def close(self) -> None:
        """Let go of both."""
        self.session.close()
        self.connection.close()
