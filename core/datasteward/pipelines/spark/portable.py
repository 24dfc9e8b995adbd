"""What of DuckDB's SQL means the same on Spark: the lists that a query is held to, and the reasons for what is refused.

What is on no list is refused, as something unknown may differ without an error. Each entry of the lists was compared
on both engines; the parity tests keep them true.
"""

from collections.abc import Callable, Mapping
from typing import Literal

from sqlglot import exp
from sqlglot.expressions import DType

Family = Literal["integer", "decimal", "float", "text", "boolean", "date", "timestamp", "zoned", "other"]
Rule = Callable[[exp.Expr], str | None]
"""Why a node cannot cross, or None when it can."""

_FAMILIES: tuple[tuple[frozenset[DType], Family], ...] = (
    (frozenset(exp.DataType.INTEGER_TYPES), "integer"),
    (frozenset({DType.DECIMAL}), "decimal"),
    (frozenset({DType.FLOAT, DType.DOUBLE}), "float"),
    (frozenset(exp.DataType.TEXT_TYPES), "text"),
    (frozenset({DType.BOOLEAN}), "boolean"),
    (frozenset({DType.DATE}), "date"),
    (frozenset({DType.TIMESTAMP, DType.TIMESTAMPNTZ}), "timestamp"),
    (frozenset({DType.TIMESTAMPTZ, DType.TIMESTAMPLTZ}), "zoned"),
)
_TEXT_MAKERS = (exp.Left, exp.Right, exp.Pad, exp.Replace, exp.Substring, exp.Concat)
_EXACT_CASTS: Mapping[Family, frozenset[Family]] = {
    "integer": frozenset({"integer", "boolean", "text"}),
    "decimal": frozenset({"integer", "decimal", "text"}),
    "float": frozenset({"integer", "decimal", "float", "text"}),
    "text": frozenset({"integer", "decimal", "text", "boolean", "date", "timestamp"}),
    "boolean": frozenset({"boolean"}),
    "date": frozenset({"text", "date", "timestamp"}),
    "timestamp": frozenset({"text", "date", "timestamp"}),
}
_CAST_ADVICE: Mapping[tuple[Family, Family], str] = {
    ("float", "integer"): "DuckDB rounds and Spark cuts off; write CAST(round(x) AS …) or floor(x)",
    ("decimal", "integer"): "DuckDB rounds and Spark cuts off; write CAST(round(x) AS …) or floor(x)",
    ("float", "text"): "the two engines write floating-point numbers differently; cast to DECIMAL first",
    ("float", "decimal"): "halves of floating-point numbers are rounded differently",
}
_DATE_PARTS = frozenset({"YEAR", "QUARTER", "MONTH", "DAY", "HOUR", "MINUTE"})
_TRUNCATIONS = frozenset({"YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND"})
_INTERVALS = frozenset({"YEAR", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND"})


def family_of(node: exp.Expr | None) -> Family | None:
    """The kind of value that an annotated expression gives, or None when that is not known."""
    if node is None:
        return None
    if isinstance(node, exp.Paren | exp.Alias):
        return family_of(node.this)
    if isinstance(node, _TEXT_MAKERS):
        return "text"
    if isinstance(node, exp.Ceil | exp.Floor | exp.Round):
        return family_of(node.this)
    kind = node.type.this if node.type is not None else DType.UNKNOWN
    if kind in {DType.UNKNOWN, DType.NULL}:
        return None
    return next((family for types, family in _FAMILIES if kind in types), "other")


def _judge_cast(node: exp.Expr) -> str | None:
    wanted = family_of(node)
    have = family_of(node.this)
    if wanted is None or wanted not in _EXACT_CASTS:
        return "this type is not known to be the same on Spark"
    if wanted == "integer" and isinstance(node.this.unnest(), exp.Round | exp.Floor | exp.Ceil):
        return None
    if isinstance(node.this, exp.Null):
        return None
    if have is None:
        return "the type of what is cast is not known, so neither is how it would be rounded or written"
    if have not in _EXACT_CASTS[wanted]:
        return _CAST_ADVICE.get((have, wanted), f"a cast from {have} to {wanted} differs between the engines")
    return None


def _judge_round(node: exp.Expr) -> str | None:
    digits = node.args.get("decimals")
    if digits is None or family_of(node.this) in {"integer", "decimal"}:
        return None if digits is None or _is_count(digits) else "the number of digits must be a plain number"
    return "halves of floating-point numbers are rounded differently; cast to DECIMAL first"


def _judge_part(node: exp.Expr) -> str | None:
    part = node.this.name.upper() if isinstance(node, exp.Extract) else type(node).__name__.upper()
    if part not in _DATE_PARTS:
        return f"{part.lower()} is counted differently on Spark"
    return _judge_moment(node.expression if isinstance(node, exp.Extract) else node.this)


def _judge_moment(node: exp.Expr) -> str | None:
    found = family_of(node)
    if isinstance(node, exp.TsOrDsToDate):
        found = family_of(node.this)
    return (
        None if found in {"date", "timestamp"} else f"it needs a DATE or TIMESTAMP, found {found or 'an unknown type'}"
    )


def _judge_truncation(node: exp.Expr) -> str | None:
    unit = str(node.args["unit"].name).upper()
    return (
        f"{unit.lower()} is not known to be the same on Spark" if unit not in _TRUNCATIONS else _judge_moment(node.this)
    )


def _judge_difference(node: exp.Expr) -> str | None:
    unit = node.args.get("unit")
    if unit is None or unit.name.upper() != "DAY":
        return "DuckDB counts the boundaries between two moments, Spark whole units; only 'day' is the same"
    return _judge_moment(node.this) or _judge_moment(node.expression)


def _judge_interval(node: exp.Expr) -> str | None:
    unit = node.args.get("unit")
    name = unit.name.upper().removesuffix("S") if unit is not None else ""
    if name not in _INTERVALS or not isinstance(node.this, exp.Literal):
        return "write intervals as INTERVAL 3 DAY, with one plain number and one unit"
    return None


def _judge_sum_of_moments(node: exp.Expr) -> str | None:
    sides = [node.this, node.expression]
    families = [family_of(side) for side in sides]
    if isinstance(node, exp.Sub) and families[0] in {"date", "timestamp"} and families[1] in {"date", "timestamp"}:
        return "differences of moments have another type on Spark; use date_diff('day', a, b)"
    if any(f in {"date", "timestamp"} for f in families) and not any(isinstance(s, exp.Interval) for s in sides):
        return "add an INTERVAL to a moment instead of a number"
    return "moments with a time zone differ by session settings" if "zoned" in families else None


def _judge_total(node: exp.Expr) -> str | None:
    found = family_of(node.this)
    return None if found in {"integer", "decimal", "float", None} else f"the sum of a {found} is not known on Spark"


def _judge_pattern(node: exp.Expr) -> str | None:
    pattern = node.expression
    if not isinstance(pattern, exp.Literal) or "\\" in pattern.name:
        return "only constant patterns without a backslash mean the same, as Spark takes the backslash for an escape"
    return None


def _judge_substring(node: exp.Expr) -> str | None:
    start, length = node.args.get("start"), node.args.get("length")
    if start is None or not _is_count(start) or start.name == "0" or not (length is None or _is_count(length)):
        return "only a constant start from 1 on, and a constant length, mean the same on both"
    return None


def _judge_length(node: exp.Expr) -> str | None:
    return None if _is_count(node.expression) else "only a constant number of characters means the same on both"


def _judge_texts(node: exp.Expr) -> str | None:
    is_concat = isinstance(node, exp.Concat)
    parts = node.expressions if is_concat else [node.this, node.expression]
    taken = {"text"} if is_concat else {"text", "integer", "decimal", "date"}
    odd = next((p for p in parts if family_of(p) not in taken and not isinstance(p, exp.Null)), None)
    return None if odd is None else "cast what is not text to VARCHAR yourself, as its text form may differ"


def _judge_join(node: exp.Expr) -> str | None:
    method, kind = node.args.get("method"), str(node.args.get("kind") or "").upper()
    if method or node.args.get("match_condition") or kind == "POSITIONAL":
        return f"{method or kind} joins are DuckDB's own"
    return None


def _judge_star(node: exp.Expr) -> str | None:
    return None if isinstance(node.parent, exp.Count) else "this star is not understood"


def _judge_frame(node: exp.Expr) -> str | None:
    kind = str(node.args.get("kind") or "ROWS").upper()
    return (
        "only ROWS and RANGE frames without EXCLUDE mean the same"
        if kind == "GROUPS" or node.args.get("exclude")
        else None
    )


def _judge_union(node: exp.Expr) -> str | None:
    if not isinstance(node, exp.Union) and not node.args.get("distinct"):
        return "INTERSECT ALL and EXCEPT ALL give other rows on some servers"
    return "BY NAME is DuckDB's own; list the columns" if node.args.get("by_name") else None


def _judge_with(node: exp.Expr) -> str | None:
    return "recursive queries are not known to be the same on Spark" if node.args.get("recursive") else None


def _judge_distinct(node: exp.Expr) -> str | None:
    return "DISTINCT ON is DuckDB's own; use row_number()" if node.args.get("on") else None


def _judge_count(node: exp.Expr) -> str | None:
    return "count takes one expression" if len(node.expressions) > 0 else None


def _is_count(node: exp.Expr | None) -> bool:
    return isinstance(node, exp.Literal) and not node.is_string and node.name.isdigit()


SAME: frozenset[type[exp.Expr]] = frozenset(
    {
        *(exp.Select, exp.From, exp.Where, exp.Group, exp.Having, exp.Order, exp.Ordered, exp.Limit, exp.Offset),
        *(
            exp.CTE,
            exp.Subquery,
            exp.Table,
            exp.TableAlias,
            exp.Alias,
            exp.Column,
            exp.Identifier,
            exp.Paren,
            exp.Tuple,
        ),
        *(exp.Literal, exp.Boolean, exp.Null, exp.DataType, exp.DataTypeParam, exp.Var, exp.Values),
        *(exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between, exp.In, exp.Is),
        *(exp.NullSafeEQ, exp.NullSafeNEQ, exp.Exists, exp.Case, exp.If, exp.Coalesce, exp.Nullif),
        *(exp.Greatest, exp.Least, exp.Mul, exp.Div, exp.Neg, exp.Abs, exp.Ceil, exp.Floor, exp.Pow, exp.Exp),
        *(exp.Mod, exp.IntDiv, exp.Avg, exp.Min, exp.Max, exp.Filter),
        *(exp.StddevSamp, exp.Stddev, exp.StddevPop, exp.Variance, exp.VariancePop, exp.LogicalAnd, exp.LogicalOr),
        *(exp.Window, exp.RowNumber, exp.Rank, exp.DenseRank, exp.PercentRank, exp.CumeDist, exp.Ntile),
        *(exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue, exp.NthValue),
        *(exp.Lower, exp.Upper, exp.Length, exp.Trim, exp.Replace, exp.StrPosition, exp.StartsWith, exp.EndsWith),
    }
)
"""What means the same wherever it stands."""

JUDGED: Mapping[type[exp.Expr], Rule] = {
    exp.Cast: _judge_cast,
    exp.Round: _judge_round,
    exp.Extract: _judge_part,
    exp.Year: _judge_part,
    exp.Quarter: _judge_part,
    exp.Month: _judge_part,
    exp.Day: _judge_part,
    exp.Hour: _judge_part,
    exp.Minute: _judge_part,
    exp.TimestampTrunc: _judge_truncation,
    exp.DateTrunc: _judge_truncation,
    exp.DateDiff: _judge_difference,
    exp.Interval: _judge_interval,
    exp.Add: _judge_sum_of_moments,
    exp.Sub: _judge_sum_of_moments,
    exp.Sum: _judge_total,
    exp.Count: _judge_count,
    exp.Like: _judge_pattern,
    exp.ILike: _judge_pattern,
    exp.Substring: _judge_substring,
    exp.Left: _judge_length,
    exp.Right: _judge_length,
    exp.Pad: _judge_length,
    exp.Concat: _judge_texts,
    exp.DPipe: _judge_texts,
    exp.Join: _judge_join,
    exp.Star: _judge_star,
    exp.WindowSpec: _judge_frame,
    exp.Union: _judge_union,
    exp.Intersect: _judge_union,
    exp.Except: _judge_union,
    exp.With: _judge_with,
    exp.Distinct: _judge_distinct,
}
"""What means the same in some forms."""

REASONS: Mapping[type[exp.Expr], str] = {
    exp.RegexpReplace: "DuckDB replaces the first match and Spark all of them",
    exp.RegexpLike: "the engines read regular expressions differently",
    exp.RegexpExtract: "the engines read regular expressions differently",
    exp.Dayname: "DuckDB gives the whole name and Spark three letters",
    exp.Monthname: "DuckDB gives the whole name and Spark three letters",
    exp.Qualify: "QUALIFY is not Spark's; filter in a query around this one",
    exp.Ln: "DuckDB fails on what is not positive, Spark gives NULL",
    exp.Log: "DuckDB fails on what is not positive, Spark gives NULL",
    exp.Sqrt: "DuckDB fails on negative numbers, Spark gives NaN",
    exp.Bracket: "the engines count places in lists differently",
    exp.Pivot: "PIVOT is written differently; use sum(…) FILTER (WHERE …)",
    exp.TableSample: "samples differ each time",
    exp.CurrentDate: "a moment of now differs between the engines",
    exp.CurrentTimestamp: "a moment of now differs between the engines",
    exp.Rand: "random values differ each time",
}
"""Why some of what is refused would differ, for people who wonder."""
