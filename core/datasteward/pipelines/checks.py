"""Checks as one kind of object, whatever file they come from, and the SQL that finds what breaks them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from datasteward.lineage.sql_tokens import quote_name, quote_text
from datasteward.pipelines.loading import Asset
from datasteward.pipelines.options import CheckOptions, OnFail, Threshold
from datasteward.pipelines.problems import PipelineFault, Problem

CheckScope = Literal["row", "table"]
_RELATIONSHIP = re.compile(r"\s*(\w+|\"[^\"]+\")\s*->\s*([\w.\"]+)\.(\w+|\"[^\"]+\")\s*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """An assertion on one table.

    A `row` check has in `sql` a condition that is true for a bad row, never NULL. A `table` check has a query of one
    number that is 0 when all is well, in which `{this}` stands for the table.
    """

    name: str
    scope: CheckScope
    sql: str
    on_fail: OnFail = "block"
    limit: Threshold | None = None
    columns: tuple[str, ...] = ()
    source: Literal["header", "contract"] = "header"

    def count_query(self, table: str) -> str:
        """A query giving how many rows of `table` break the check, or the number a table check gives."""
        if self.scope == "row":
            return f"SELECT count(*) FROM {table} WHERE {self.sql}"
        return self.sql.replace("{this}", table)


def compile_checks(asset: Asset) -> tuple[Check, ...]:
    """The checks of an asset's header; raises `PipelineFault` when one cannot be understood."""
    checks = [_compile(asset, options) for options in asset.options.checks]
    if asset.options.unique:
        checks.append(_unique(asset.options.unique, CheckOptions(unique=asset.options.unique)))
    if asset.options.materialize == "merge":
        checks += [_not_null((c,), CheckOptions(not_null=(c,))) for c in asset.options.unique]
    checks += _freshness(asset)
    time = asset.options.time
    if asset.options.materialize == "incremental" and time is not None:
        placed = {c.casefold() for o in asset.options.checks if o.not_null and o.on_fail != "warn" for c in o.not_null}
        if time.casefold() not in placed:
            checks.append(_not_null((time,), CheckOptions(not_null=(time,))))
    return _named(checks)


def _freshness(asset: Asset) -> list[Check]:
    fresh = asset.options.fresh
    if fresh is None:
        return []
    newest = f"CAST(max({quote_name(fresh.column)}) AS TIMESTAMP)"
    found = []
    limits: tuple[tuple[float | None, OnFail], ...] = ((fresh.warn, "warn"), (fresh.error, "block"))
    for seconds, on_fail in limits:
        if seconds is not None:
            age = f"CAST(now() AS TIMESTAMP) - to_seconds({seconds:.0f})"
            sql = f"SELECT CASE WHEN {newest} >= {age} THEN 0 ELSE 1 END FROM {{this}}"
            name = f"fresh {fresh.column} within {seconds / 3600:g} h"
            found.append(Check(name=name, scope="table", sql=sql, on_fail=on_fail, columns=(fresh.column,)))
    return found


def _named(checks: Sequence[Check]) -> tuple[Check, ...]:
    """The checks with names made unique, equal ones once."""
    found: list[Check] = []
    taken: set[str] = set()
    for check in dict.fromkeys(checks):
        name, number = check.name, 2
        while name in taken:
            name, number = f"{check.name} ({number})", number + 1
        taken.add(name)
        found.append(
            Check(
                name=name,
                scope=check.scope,
                sql=check.sql,
                on_fail=check.on_fail,
                limit=check.limit,
                columns=check.columns,
                source=check.source,
            )
        )
    return tuple(found)


def join_checks(*groups: Sequence[Check]) -> tuple[Check, ...]:
    """The checks of several sources together, each once, names made unique."""
    seen: dict[tuple[str, str], Check] = {}
    for check in (c for group in groups for c in group):
        seen.setdefault((check.scope, check.sql), check)
    return _named(list(seen.values()))


def _compile(asset: Asset, options: CheckOptions) -> Check:
    match options.rule:
        case "not_null":
            return _not_null(options.not_null or (), options)
        case "expect":
            return _row(options, f"expect {options.expect}", f"NOT ({options.expect})")
        case "accepted":
            assert options.accepted is not None
            values = ", ".join(literal(v) for v in options.accepted.values)
            column = quote_name(options.accepted.column)
            return _row(options, f"accepted {options.accepted.column}", f"{column} NOT IN ({values})")
        case "pattern":
            assert options.pattern is not None
            text = f"CAST({quote_name(options.pattern.column)} AS VARCHAR)"
            return _row(
                options,
                f"pattern {options.pattern.column}",
                f"NOT regexp_full_match({text}, {quote_text(options.pattern.regex)})",
            )
        case "range":
            return _range(options)
        case "relationship":
            return _relationship(asset, options)
        case "unique":
            return _unique(options.unique or (), options)
        case "rows":
            return _rows(options)
        case _:
            query = re.sub(r"\bthis\b", "{this}", (options.query or "").strip().rstrip(";"))
            return _table(options, "query", f"SELECT coalesce(({query}), 0)")


def _row(options: CheckOptions, name: str, bad: str, columns: tuple[str, ...] = ()) -> Check:
    return Check(
        name=options.name or name,
        scope="row",
        sql=f"coalesce({bad}, false)",
        on_fail=options.on_fail,
        limit=options.max,
        columns=columns,
    )


def _table(options: CheckOptions, name: str, sql: str, columns: tuple[str, ...] = ()) -> Check:
    return Check(name=options.name or name, scope="table", sql=sql, on_fail=options.on_fail, columns=columns)


def _not_null(columns: tuple[str, ...], options: CheckOptions) -> Check:
    bad = " OR ".join(f"{quote_name(c)} IS NULL" for c in columns)
    return _row(options, f"not_null {', '.join(columns)}", f"({bad})", columns)


def _unique(columns: tuple[str, ...], options: CheckOptions) -> Check:
    names = ", ".join(quote_name(c) for c in columns)
    filled = " AND ".join(f"{quote_name(c)} IS NOT NULL" for c in columns)
    sql = (
        f"SELECT coalesce(sum(n), 0)::BIGINT FROM (SELECT count(*) - 1 AS n FROM {{this}} WHERE {filled}"
        f" GROUP BY {names} HAVING count(*) > 1)"
    )
    return _table(options, f"unique {', '.join(columns)}", sql, columns)


def _range(options: CheckOptions) -> Check:
    assert options.range is not None
    column = quote_name(options.range.column)
    bounds = []
    if options.range.min is not None:
        bounds.append(f"{column} < {literal(options.range.min)}")
    if options.range.max is not None:
        bounds.append(f"{column} > {literal(options.range.max)}")
    return _row(options, f"range {options.range.column}", f"({' OR '.join(bounds)})", (options.range.column,))


def _relationship(asset: Asset, options: CheckOptions) -> Check:
    match = _RELATIONSHIP.match(options.relationship or "")
    if match is None:
        message = f"relationship '{options.relationship}' is not 'column -> table.column'"
        raise PipelineFault([Problem(path=asset.path, message=message)])
    column, table, other = (part.replace('"', "") for part in match.groups())
    parts = ".".join(quote_name(p) for p in table.split("."))
    bad = (
        f"({quote_name(column)} IS NOT NULL AND {quote_name(column)} NOT IN"
        f" (SELECT {quote_name(other)} FROM {parts} WHERE {quote_name(other)} IS NOT NULL))"
    )
    return _row(options, f"relationship {column} -> {table}.{other}", bad, (column,))


def relationship_targets(asset: Asset) -> tuple[str, ...]:
    """The tables that the asset's relationship checks look into, as written."""
    texts = [c.relationship for c in asset.options.checks if c.relationship]
    return tuple(m[2].replace('"', "") for t in texts if (m := _RELATIONSHIP.match(t)))


def _rows(options: CheckOptions) -> Check:
    assert options.rows is not None
    least, most = options.rows.min, options.rows.max
    parts = []
    if least is not None:
        parts.append(f"greatest({least} - count(*), 0)")
    if most is not None:
        parts.append(f"greatest(count(*) - {most}, 0)")
    words = f"{'' if least is None else least}..{'' if most is None else most}"
    return _table(options, f"rows {words}", f"SELECT {' + '.join(parts) or '0'} FROM {{this}}")


def literal(value: object) -> str:
    """A constant as SQL."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, datetime):
        return f"TIMESTAMP {quote_text(value.isoformat(sep=' '))}"
    if isinstance(value, date):
        return f"DATE {quote_text(value.isoformat())}"
    return quote_text(str(value))
