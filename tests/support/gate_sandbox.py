"""A small workspace with planted traps, for the tests of the gate: data below `data/`, secrets in `outside/`."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from datasteward.engine.gate import AttachedCatalog, FileRules, Gate, NamedSource
from datasteward.engine.gate_facts import Refused
from datasteward.engine.lockdown import open_cursor, open_reader

CANARY = "CANARY_OUTSIDE"


class FriendlyNames:
    """A resolver that knows two names: `sales_file` for a data file, `r17` for a result."""

    def __init__(self, root: Path) -> None:
        self._known = {
            "sales_file": NamedSource(
                parts=("sales_file",), kind="file", shown="data/sales.csv", path=root / "data/sales.csv"
            ),
            "r17": NamedSource(parts=("r17",), kind="result", shown="r17", path=root / "results/r17.parquet"),
        }

    def resolve(self, parts: tuple[str, ...]) -> NamedSource | None:
        """The source of that name."""
        return self._known.get(parts[0].lower()) if len(parts) == 1 else None

    def names(self) -> Iterable[str]:
        """Both names."""
        return self._known

    def explain_missing(self, parts: tuple[str, ...]) -> Refused | None:
        """Nothing is near."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """The sandbox's folder, its locked reader, and a gate over it."""

    root: Path
    database: Path
    connection: duckdb.DuckDBPyConnection
    gate: Gate

    def fill(self, sql: str) -> str:
        """`sql` with the placeholders {{R}} and {{DB}} put in."""
        return sql.replace("{{R}}", str(self.root)).replace("{{DB}}", str(self.database))

    def run(self, sql: str) -> list[tuple[object, ...]]:
        """What the locked reader answers."""
        cursor = open_cursor(self.connection, self.database.stem)
        try:
            found = cursor.execute(sql)
            return [] if found is None else found.fetchall()
        finally:
            cursor.close()

    def snapshot(self) -> dict[str, bytes]:
        """Every file below the folder with its content, spill files left out."""
        return {
            str(p.relative_to(self.root)): p.read_bytes()
            for p in sorted(self.root.rglob("*"))
            if p.is_file() and not p.is_symlink() and "spill" not in p.parts
        }


def build_sandbox(root: Path, *, database_name: str = "warehouse") -> Sandbox:
    """A fresh sandbox below `root`."""
    root = root.resolve()
    for folder in ("data/year=2024", "data/year=2025", "outside", "evil", "results", "home", ".steward"):
        (root / folder).mkdir(parents=True)
    _write_files(root)
    database = root / f"{database_name}.duckdb"
    _fill_database(database, root)
    connection = open_reader(
        database,
        roots=[root / "data"],
        results=[root / "results"],
        memory_limit_bytes=256 * 2**20,
        threads=1,
        temp_folder=root / "spill",
        temp_limit_bytes=64 * 2**20,
    )
    connection.cursor().execute(
        "CREATE VIEW memory.main.sales_file AS SELECT * FROM read_csv($p)".replace("$p", f"'{root}/data/sales.csv'")
    )
    connection.cursor().execute("CREATE VIEW memory.main.r17 AS SELECT 17 AS n")
    rules = FileRules(
        roots=[root / "data"], workspace_root=root, denied=[root / ".steward", database, root / f"{database.name}.wal"]
    )
    gate = Gate(AttachedCatalog(connection, database.stem), FriendlyNames(root), rules)
    return Sandbox(root=root, database=database, connection=connection, gate=gate)


def _write_files(root: Path) -> None:
    (root / "data/sales.csv").write_text("id,region,amount\n1,north,10.5\n2,south,20.25\n")
    (root / "data/events.json").write_text('[{"id": 1, "tags": ["a", "b"]}, {"id": 2, "tags": ["c"]}]')
    (root / "data/notes.txt").write_text("nothing to see\n")
    (root / "data/.env").write_text(f"KEY={CANARY}\n")
    (root / "outside/secret.csv").write_text(f"k,v\n{CANARY},1\n")
    (root / "outside/secret.json").write_text(f'[{{"k": "{CANARY}"}}]')
    for year in (2024, 2025):
        (root / f"data/year={year}/part.csv").write_text(f"id,v\n{year},1\n")
    maker = duckdb.connect()
    maker.execute(f"COPY (SELECT '{CANARY}' AS k) TO '{root}/outside/secret.parquet'")
    maker.execute(f"COPY (SELECT i AS id, i * 2 AS v FROM range(10) t(i)) TO '{root}/data/numbers.parquet'")
    maker.close()
    other = duckdb.connect(str(root / "outside/other.duckdb"))
    other.execute("CREATE TABLE t AS SELECT 1 AS a")
    other.close()
    (root / "data/dlink").symlink_to(root / "outside")
    (root / "data/slink.csv").symlink_to(root / "outside/secret.csv")
    os.link(root / "outside/secret.csv", root / "data/hardlink.csv")


def _fill_database(database: Path, root: Path) -> None:
    connection = duckdb.connect(str(database), config={"storage_compatibility_version": "v1.0.0"})
    secret = f"{root}/outside/secret.csv"
    for statement in (
        "CREATE TABLE orders AS SELECT i AS id, i % 7 AS customer_id, (i * 1.5)::DOUBLE AS amount,"
        " ['north', 'south', 'east'][i % 3 + 1] AS region, ['open', 'paid', 'void'][i % 3 + 1] AS status,"
        " TIMESTAMP '2024-01-01' + to_days(i::INT) AS ts, 'note ' || i AS note FROM range(60) t(i)",
        "CREATE TABLE customers (id INTEGER PRIMARY KEY, name VARCHAR, email VARCHAR)",
        "INSERT INTO customers SELECT i, 'c' || i, 'c' || i || '@example.com' FROM range(7) t(i)",
        'CREATE TABLE "delete" AS SELECT 1 AS a',
        "CREATE SCHEMA sales",
        "CREATE TABLE sales.monthly AS SELECT 1 AS m, 2.5 AS total",
        "CREATE VIEW v_orders AS SELECT id, amount FROM orders WHERE status = 'paid'",
        "CREATE VIEW sales.v_month AS SELECT * FROM sales.monthly",
        "CREATE MACRO add_tax(x) AS x * 1.2",
        "CREATE MACRO top_orders(n) AS TABLE SELECT * FROM orders ORDER BY amount DESC LIMIT n",
        "CREATE MACRO read_any(p) AS TABLE SELECT * FROM read_csv(p)",
        "CREATE SEQUENCE sq",
        "CREATE TYPE mood AS ENUM ('sad', 'ok')",
        f"CREATE VIEW v_evil_read AS SELECT * FROM read_csv('{secret}')",
        f"CREATE VIEW v_evil_query AS SELECT * FROM query('FROM read_csv(''{secret}'')')",
        f"CREATE MACRO m_evil_table() AS TABLE SELECT * FROM read_csv('{secret}')",
        f"CREATE MACRO m_evil_default() AS (SELECT max(k) FROM read_csv('{secret}'))",
        f"CREATE MACRO lower(x) AS (SELECT max(k) FROM read_csv('{secret}'))",
    ):
        connection.execute(statement)
    connection.close()
