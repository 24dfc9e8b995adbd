"""DuckDB's SQL as Spark's, where that is known to mean the same; everything else is refused with the reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify

from datasteward.errors import ToolError
from datasteward.lineage.schemas import Column
from datasteward.pipelines.spark.portable import JUDGED, REASONS, SAME, family_of

MAX_REASONS = 8
SNIPPET_CHARACTERS = 60
HINT = "Write it in another way, write the asset in Spark's own SQL (dialect: spark), or compute it in DuckDB."
_WIDE = "DECIMAL(19, 0)"
"""Holds every BIGINT; the sum of such values has ten digits more, where Spark's sum of BIGINT would overflow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """A query of Spark's dialect, and the names in lower case that columns have anywhere in it."""

    sql: str
    names: frozenset[str]


def to_spark(sql: str, tables: Mapping[str, Sequence[Column]], names: Sequence[str]) -> Translation:
    """The query for Spark, giving columns called `names`; `tables` are the columns of what it reads.

    Raises `ToolError` with every part of the query that is not known to mean the same.
    """
    schema = {table: {c.name: c.type for c in columns} for table, columns in tables.items()}
    try:
        tree = parse_one(sql, dialect="duckdb")
        _spell_out_groups(tree)
        tree = qualify(
            tree, dialect="duckdb", schema=dict(schema), expand_alias_refs=False, validate_qualify_columns=False
        )
        _use_doubles(tree)
        tree = annotate_types(tree, schema=dict(schema), dialect="duckdb")
    except (SqlglotError, RecursionError) as error:
        raise _refusal([f"it could not be read: {str(error).splitlines()[0]}"]) from error
    reasons = list(dict.fromkeys(_reasons(tree, frozenset(tables))))
    if reasons:
        raise _refusal(reasons)
    _name_columns(tree, names)
    _widen_sums(tree)
    _count_midnights(tree)
    used = frozenset(c.name.casefold() for c in tree.find_all(exp.Column))
    return Translation(sql=tree.sql(dialect="spark"), names=used)


def _refusal(reasons: Sequence[str]) -> ToolError:
    shown = "; ".join(reasons[:MAX_REASONS])
    more = f"; and {len(reasons) - MAX_REASONS} more" if len(reasons) > MAX_REASONS else ""
    return ToolError(f"this query cannot run on Spark as it is: {shown}{more}", code="invalid_arguments", hint=HINT)


def _reasons(tree: exp.Expr, tables: frozenset[str]) -> "list[str]":
    known = tables | {cte.alias.casefold() for cte in tree.find_all(exp.CTE)}
    found = []
    for node in tree.walk():
        kind = type(node)
        if isinstance(node, exp.Table) and (node.db or node.name.casefold() not in known):
            found.append(f"`{_snippet(node)}` is not a table of this query")
        elif kind in JUDGED:
            reason = JUDGED[kind](node)
            found += [f"`{_snippet(node)}`: {reason}"] if reason else []
        elif kind not in SAME:
            reason = REASONS.get(kind, "it is not known to mean the same on Spark")
            found.append(f"`{_snippet(node)}`: {reason}")
    return found


def _snippet(node: exp.Expr) -> str:
    bare = node.copy()
    for column in bare.find_all(exp.Column):
        column.set("table", None)
    for identifier in bare.find_all(exp.Identifier):
        identifier.set("quoted", False)
    text = bare.sql(dialect="duckdb")
    return text if len(text) <= SNIPPET_CHARACTERS else text[: SNIPPET_CHARACTERS - 1] + "…"


def _spell_out_groups(tree: exp.Expr) -> None:
    """GROUP BY ALL by its expressions, which not every server understands."""
    for select in tree.find_all(exp.Select):
        group = select.args.get("group")
        if group is not None and group.args.get("all"):
            keys = [e.unalias().copy() for e in select.expressions if not e.find(exp.AggFunc)]
            select.set("group", exp.Group(expressions=keys) if keys else None)


def _use_doubles(tree: exp.Expr) -> None:
    """DuckDB's `/` and `avg` are computed in floating point whatever they are given; Spark's keep decimals."""
    for node in [*tree.find_all(exp.Div, exp.Avg)]:
        _cast_operand(node, "DOUBLE")
        if isinstance(node, exp.Div):
            node.set("expression", _cast(node.expression, "DOUBLE"))


def _widen_sums(tree: exp.Expr) -> None:
    for node in tree.find_all(exp.Sum):
        if family_of(node.this) == "integer":
            _cast_operand(node, _WIDE)


def _cast_operand(node: exp.Expr, kind: str) -> None:
    if isinstance(node.this, exp.Distinct):
        node.this.set("expressions", [_cast(e, kind) for e in node.this.expressions])
    else:
        node.set("this", _cast(node.this, kind))


def _cast(node: exp.Expr, kind: str) -> exp.Expr:
    return exp.cast(exp.paren(node) if isinstance(node, exp.Binary) else node, kind, copy=False)


def _count_midnights(tree: exp.Expr) -> None:
    """Spark counts whole days between timestamps; between dates it counts what DuckDB counts."""
    for node in tree.find_all(exp.DateDiff):
        node.set("this", exp.cast(node.this, "DATE", copy=False))
        node.set("expression", exp.cast(node.expression, "DATE", copy=False))


def _name_columns(tree: exp.Expr, names: Sequence[str]) -> None:
    """Give the columns their names by place, having seen that the places agree with DuckDB's."""
    first = tree
    while isinstance(first, exp.SetOperation | exp.Subquery):
        first = first.this
    if not isinstance(first, exp.Select):
        raise _refusal(["it is not a SELECT"])
    selected = first.expressions
    found = [e.alias_or_name for e in selected]
    agree = len(found) == len(names) and all(
        have.casefold() == want.casefold() or have.startswith("_col_") or not want.isidentifier()
        for have, want in zip(found, names, strict=True)
    )
    if not agree:
        raise _refusal([f"its columns are {', '.join(names)} in DuckDB and would be {', '.join(found)} on Spark"])
    renamed = {have: want.lower() for have, want in zip(found, names, strict=True) if have != want.lower()}
    for column in tree.find_all(exp.Column):
        if not column.table and column.name in renamed and column.parent_select in {first, None}:
            column.set("this", exp.to_identifier(renamed[column.name], quoted=True))
    aliased = [exp.alias_(e.unalias(), n.lower(), quoted=True) for e, n in zip(selected, names, strict=True)]
    first.set("expressions", aliased)
