"""Choosing a column's SQL type from its text, never one that changes what is written."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from datasteward.intake.model import SourceColumn
from datasteward.intake.sql_text import quote_name, quote_text

NULL_SPELLINGS = (
    "NA", "N/A", "n/a", "na", "#N/A", "NULL", "null", "Null", "None", "none", "NaN", "nan", "-", "--", "?", ".", "..",
    "missing", "Missing", "unknown", "\\N", "(null)", "#NULL!", "#DIV/0!", "#REF!", "#VALUE!",
)  # fmt: skip
_TEXT_NAMES = re.compile(
    r"(?i)(^|[_\s.-])(zip|zip_?codes?|postal(_?code)?|post_?code|plz|fips|phone|tel|telephone|fax|mobile|ssn|iban|isbn|ean|upc|gtin)"
    r"([_\s.-]|$)"
)
_SNIFF_TYPES = "['BOOLEAN', 'BIGINT', 'DOUBLE', 'DATE', 'TIMESTAMP', 'VARCHAR']"
_GUARD_ROWS = 20_480
_SPELLED = ", ".join(quote_text(s) for s in NULL_SPELLINGS)


@dataclass(frozen=True, slots=True)
class _Counts:
    filled: int
    integers: int
    decimals: int
    digits: int
    dates: int
    timestamps: int
    booleans: int


def is_text_by_name(name: str) -> bool:
    """Whether a name stands for a code that may hold leading zeros, such as a postcode or a phone number."""
    return bool(_TEXT_NAMES.search(name))


def sniff_types(connection: duckdb.DuckDBPyConnection, read_arguments: str, names: Sequence[str]) -> list[str]:
    """Types by DuckDB's sniffer over the first 20,480 rows, kept as text where a number or date would lose its look."""
    query = f"SELECT Columns, DateFormat, TimestampFormat FROM sniff_csv({read_arguments}, auto_type_candidates={_SNIFF_TYPES})"
    row = connection.cursor().execute(query).fetchone()
    if row is None or len(row[0]) != len(names):
        return ["VARCHAR"] * len(names)
    types = [str(column["type"]) for column in row[0]]
    if row[1] not in (None, "", "%Y-%m-%d"):
        types = ["VARCHAR" if t == "DATE" else t for t in types]
    if row[2] and not str(row[2]).startswith("%Y-%m-%d"):
        types = ["VARCHAR" if t == "TIMESTAMP" else t for t in types]
    kept = {"BOOLEAN", "BIGINT", "DOUBLE", "DATE", "TIMESTAMP"}
    return [
        t if t in kept and not (t in {"BIGINT", "DOUBLE"} and is_text_by_name(n)) else "VARCHAR"
        for t, n in zip(types, names, strict=True)
    ]


def guard_types(
    connection: duckdb.DuckDBPyConnection, text_relation: str, names: Sequence[str], types: list[str]
) -> list[str]:
    """`types` with VARCHAR where the first rows show leading zeros, signs or more digits than the type can hold."""
    risky = [i for i, t in enumerate(types) if t in {"BIGINT", "DOUBLE", "BOOLEAN"}]
    if not risky:
        return types
    checks = []
    for i in risky:
        c = quote_name(names[i])
        if types[i] == "BOOLEAN":
            checks.append(f"bool_or(lower({c}) NOT IN ('true', 'false'))")
        else:
            long = f" OR length(replace({c}, '.', '')) > {18 if types[i] == 'BIGINT' else 17}"
            checks.append(f"bool_or(({c} LIKE '0_%' AND {c} NOT LIKE '0.%') OR {c} LIKE '+%' OR {c} LIKE '-0_' {long})")
    query = f"SELECT {', '.join(checks)} FROM (SELECT * FROM {text_relation} LIMIT {_GUARD_ROWS})"
    row = connection.cursor().execute(query).fetchone() or ()
    unsafe = {i for i, flag in zip(risky, row, strict=True) if flag}
    return ["VARCHAR" if i in unsafe else t for i, t in enumerate(types)]


def tell_points(
    connection: duckdb.DuckDBPyConnection, text_relation: str, columns: Sequence[SourceColumn]
) -> tuple[str, ...]:
    """The columns read as decimals whose first rows could all be thousands parted by a point, as in 1.250, in sentences.

    To be asked where the file is one of those that write decimals with a comma, as a semicolon for delimiter suggests.
    """
    doubles = [quote_name(c.name) for c in columns if c.type == "DOUBLE"]
    if not doubles:
        return ()
    thousands = "'-?[1-9][0-9]{0,2}[.][0-9]{3}'"
    checks = ", ".join(
        f"CASE WHEN bool_and(regexp_full_match(trim({n}), '-?[0-9]{{1,3}}|' || {thousands}))"
        f" THEN any_value({n}) FILTER (regexp_full_match(trim({n}), {thousands})) END"
        for n in doubles
    )
    query = f"SELECT {checks} FROM (SELECT {', '.join(doubles)} FROM {text_relation} LIMIT {_GUARD_ROWS})"
    row = connection.cursor().execute(query).fetchone() or ()
    return tuple(
        f"{name}: {example} may mean {str(example).strip().replace('.', '')}; points were read as decimal points."
        for name, example in zip(doubles, row, strict=True)
        if example is not None
    )


def decide_columns(
    connection: duckdb.DuckDBPyConnection, text_relation: str, names: Sequence[str], labels: Sequence[str]
) -> tuple[SourceColumn, ...]:
    """Columns typed by every row of `text_relation`, whose columns `names` are all text."""
    query = f"""
        SELECT name, {_count_expression()}, list(DISTINCT v ORDER BY v) FILTER (is_spelled) AS spellings
        FROM (SELECT name, v, v IN ({_SPELLED}) AS is_spelled
              FROM (SELECT name, trim(v) AS v FROM (UNPIVOT {text_relation} ON COLUMNS(*) INTO NAME name VALUE v)))
        WHERE v <> '' GROUP BY name
    """
    counted = {str(r[0]): r for r in connection.cursor().execute(query).fetchall()}
    return tuple(
        _decide(name, label, _Counts(*counted[name][1:8]), tuple(counted[name][8] or ()))
        if name in counted
        else SourceColumn(name=name, label=label, type="VARCHAR")
        for name, label in zip(names, labels, strict=True)
    )


def _count_expression() -> str:
    integer = "regexp_full_match(v, '-?(0|[1-9][0-9]{0,17})')"
    decimal = "regexp_full_match(v, '-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][-+]?[0-9]{1,3})?')"
    date = "(v LIKE '____-__-__' AND TRY_CAST(v AS DATE) IS NOT NULL)"
    stamp_shape = "regexp_full_match(v, '[-0-9]{10}([ T][0-9:.]{5,18})?')"
    stamp = f"(v LIKE '____-__-__%' AND {stamp_shape} AND TRY_CAST(v AS TIMESTAMP) IS NOT NULL)"
    return (
        f"count(*) FILTER (NOT is_spelled), count(*) FILTER ({integer}), count(*) FILTER ({decimal}), "
        f"coalesce(max(length(regexp_replace(v, '[^0-9]', '', 'g'))) FILTER ({decimal}), 0), "
        f"count(*) FILTER ({date}), count(*) FILTER ({stamp}), count(*) FILTER (lower(v) IN ('true', 'false'))"
    )


def _decide(name: str, label: str, counts: _Counts, spellings: tuple[str, ...]) -> SourceColumn:
    chosen = "VARCHAR"
    if counts.filled and not is_text_by_name(name):
        chosen = _type_of(counts)
    elif counts.filled and counts.dates == counts.filled:
        chosen = "DATE"
    kept = spellings if chosen != "VARCHAR" else ()
    return SourceColumn(name=name, label=label, type=chosen, null_spellings=kept)


def _type_of(counts: _Counts) -> str:
    whole = counts.filled
    if counts.integers == whole:
        return "BIGINT"
    if counts.decimals == whole and counts.digits <= 15:
        return "DOUBLE"
    if counts.dates == whole:
        return "DATE"
    if counts.timestamps == whole:
        return "TIMESTAMP"
    return "BOOLEAN" if counts.booleans == whole else "VARCHAR"


def typed_expression(column: SourceColumn) -> str:
    """The SQL expression that turns a text column into its type, null spellings and blanks into NULL."""
    name = quote_name(column.name)
    if column.type == "VARCHAR":
        return name
    inner = f"nullif(trim({name}), '')"
    if column.null_spellings:
        words = ", ".join(quote_text(w) for w in column.null_spellings)
        inner = f"CASE WHEN trim({name}) NOT IN ({words}, '') THEN trim({name}) END"
    return f"CAST({inner} AS {column.type}) AS {name}"
