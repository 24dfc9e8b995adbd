"""The golden set's schema and reader, and a generator of random queries for lineage tests."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from datasteward.lineage.schemas import Catalog, Column, Dataset

TABLES: Mapping[str, Mapping[str, str]] = {
    "shipments": {
        "id": "INTEGER",
        "hub_id": "INTEGER",
        "kg": "DOUBLE",
        "price": "DECIMAL(10,2)",
        "sent": "DATE",
        "tags": "VARCHAR[]",
        "dim": "STRUCT(w INTEGER, h INTEGER)",
        "state": "VARCHAR",
    },
    "hubs": {"id": "INTEGER", "city": "VARCHAR", "country": "VARCHAR", "boss_id": "INTEGER"},
    "rates": {"country": "VARCHAR", "since": "DATE", "rate": "DOUBLE"},
    "stock": {"hub_id": "INTEGER", "jan": "INTEGER", "feb": "INTEGER", "mar": "INTEGER"},
    "links": {"a": "INTEGER", "b": "INTEGER", "km": "DOUBLE"},
    "bill": {"id": "INTEGER", "city": "VARCHAR", "total": "DECIMAL(10,2)", "day": "DATE"},
}
MACROS = (
    "CREATE MACRO twice(x) AS x * 2",
    "CREATE MACRO heavy_ones(least) AS TABLE SELECT id, kg FROM shipments WHERE kg > least",
)
_DAY = (Column(name="oid", type="INTEGER"), Column(name="val", type="DOUBLE"))
GOLDEN_FILES: Mapping[str, tuple[Column, ...]] = {
    "in/day.parquet": _DAY,
    "in/two.parquet": _DAY,
    "in/*.csv": _DAY,
    "in/rates.csv": (
        Column(name="c", type="VARCHAR"),
        Column(name="s", type="VARCHAR"),
        Column(name="r", type="DOUBLE"),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenCase:
    """A statement with its expected columns, row conditions and target; `is_partial` when not all columns are named."""

    sql: str
    columns: Mapping[str, list[str]]
    rows: list[str] | None
    writes: str
    is_partial: bool


def make_dataset(name: str, columns: Mapping[str, str]) -> Dataset:
    """A table of the namespace `duckdb`."""
    return Dataset(
        namespace="duckdb",
        name=name,
        kind="table",
        columns=tuple(Column(name=c, type=t) for c, t in columns.items()),
    )


@cache
def golden_catalog() -> Catalog:
    """The golden set's tables and macros."""
    return Catalog([make_dataset(n, c) for n, c in TABLES.items()], macros=MACROS)


def read_golden(path: Path) -> list[GoldenCase]:
    """The cases of a golden file, as its head describes."""
    blocks = path.read_text(encoding="utf-8").split("\n\n")
    return [_read_case(lines) for b in blocks if (lines := [x for x in b.splitlines() if x and x[0] != "#"])]


def _read_case(lines: list[str]) -> GoldenCase:
    columns: dict[str, list[str]] = {}
    rows: list[str] | None = None
    writes = ""
    for line in lines[1:]:
        if line.startswith("="):
            for part in filter(None, (p.strip() for p in line[1:].split(" | "))):
                name, _, sources = part.partition(":")
                columns[name] = [s.strip() for s in sources.split(",") if s.strip()]
        elif line.startswith("rows:"):
            rows = [r.strip() for r in line.removeprefix("rows:").split(",")]
        else:
            writes = line.removeprefix("> ")
    is_partial = lines[0].startswith(("SUMMARIZE", "DESCRIBE"))
    return GoldenCase(sql=lines[0], columns=columns, rows=rows, writes=writes, is_partial=is_partial)


def random_query(seed: int) -> str:
    """A query of joins, filters, subqueries, CTEs, unions and windows over the golden tables, the same for a seed."""
    dice = random.Random(seed)
    base = _random_select(dice, depth=2)
    if dice.random() < 0.3:
        return f"WITH c AS ({_random_select(dice, depth=1)}), d AS ({base}) SELECT d.x, c.y AS z FROM d JOIN c ON c.x = d.x"
    return base


def _random_select(dice: random.Random, depth: int) -> str:
    source, numbers = _random_source(dice, depth)
    one, two = dice.choice(numbers), dice.choice(numbers)
    match dice.randrange(4):
        case 0:
            query = f"SELECT {one} AS x, {two} + {one} AS y FROM {source}"
        case 1:
            query = f"SELECT {one} AS x, sum({two}) AS y FROM {source} GROUP BY {one}"
        case 2:
            query = f"SELECT {one} AS x, CASE WHEN {one} > 1 THEN {two} ELSE 0 END AS y FROM {source}"
        case _:
            query = f"SELECT {one} AS x, coalesce({two}, {one}) AS y FROM {source} WHERE {two} > 3"
    if depth and dice.random() < 0.25:
        query = f"{query} UNION ALL {_random_select(dice, 0)}"
    return query


def _random_source(dice: random.Random, depth: int) -> tuple[str, list[str]]:
    if depth and dice.random() < 0.4:
        return f"({_random_select(dice, depth - 1)}) AS q", ["q.x", "q.y"]
    table = dice.choice(["shipments", "hubs", "links", "stock"])
    numbers = {
        "shipments": ["id", "hub_id", "kg"],
        "hubs": ["id", "boss_id"],
        "links": ["a", "b", "km"],
        "stock": ["hub_id", "jan", "feb"],
    }
    if dice.random() < 0.5:
        return f"{table} AS t", [f"t.{n}" for n in numbers[table]]
    other = dice.choice(["hubs", "links"])
    on = f"t.{numbers[table][0]} = o.{numbers[other][0]}"
    return f"{table} AS t JOIN {other} AS o ON {on}", [
        *(f"t.{n}" for n in numbers[table]),
        *(f"o.{n}" for n in numbers[other]),
    ]
