"""An asset written in Spark's own SQL: one query over named tables, without what runs code or reads files by itself."""

from collections.abc import Mapping
from functools import cached_property

from sqlglot import exp, parse
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.scope import traverse_scope

from datasteward.errors import ToolError

_REFUSED: Mapping[type[exp.Expr], str] = {
    exp.QueryTransform: "TRANSFORM runs programs",
    exp.DML: "an asset is a query",
    exp.DDL: "an asset is a query",
    exp.Command: "an asset is a query",
    exp.Hint: "hints are not taken",
    exp.Parameter: "parameters and variables are not taken",
    exp.Placeholder: "parameters and variables are not taken",
    exp.SessionParameter: "parameters and variables are not taken",
}
_BUILT_IN = """
acos acosh aggregate any array_append array_compact array_insert array_prepend array_repeat arrays_zip ascii asin
asinh atan atan2 atanh base64 bin bit_count bit_get bround btrim cbrt char_length character_length collect_list
collect_set conv cos cosh cot count_min_sketch csc curdate date_from_unix_date date_part dateadd datepart dayofyear
decode degrees elt encode endswith equal_null every exists explode_outer expm1 factorial filter find_in_set flatten
forall format_number format_string from_csv from_json get_json_object getbit grouping grouping_id hash
histogram_numeric hypot inline inline_outer isnotnull isnull json_array_length json_object_keys json_tuple kurtosis
last_day levenshtein locate log10 log1p log2 luhn_check make_date make_dt_interval make_interval make_timestamp
make_timestamp_ntz make_ym_interval map_concat map_contains_key map_entries map_filter map_from_arrays
map_from_entries map_keys map_values map_zip_with mask max_by min_by mode months_between named_struct nanvl negative
next_day nvl nvl2 octet_length overlay percentile percentile_approx pmod posexplode posexplode_outer positive printf
quote radians reduce regexp_count regexp_extract_all regexp_instr regexp_substr regr_count reverse rint
schema_of_json sec sequence sha1 sha2 shiftleft shiftright shuffle sin sinh skewness slice some sort_array soundex
space split split_part sqrt stack startswith str_to_map substring_index tan tanh timestamp_micros timestamp_millis
timestamp_seconds to_binary to_char to_csv to_json to_number to_timestamp to_timestamp_ltz to_timestamp_ntz
to_unix_timestamp to_utc_timestamp transform transform_keys transform_values translate try_add try_avg try_divide
try_element_at try_multiply try_subtract try_sum try_to_date try_to_number try_to_timestamp typeof unbase64 unhex
unix_date unix_micros unix_millis unix_seconds unix_timestamp url_decode url_encode weekday weekofyear width_bucket
xpath_string xxhash64 zip_with
"""
BUILT_IN = frozenset(_BUILT_IN.split())
"""Functions of Spark that sqlglot has no class for, none of which runs code or reads files."""


class NativeQuery:
    """A Spark query that may run; raises `ToolError` when it may not."""

    def __init__(self, sql: str) -> None:
        try:
            statements = [s for s in parse(sql, dialect="spark") if s is not None]
        except (SqlglotError, RecursionError) as error:
            raise _fault(f"not understood as Spark SQL: {str(error).splitlines()[0]}") from error
        if len(statements) != 1 or not isinstance(statements[0], exp.Query):
            raise _fault("an asset is exactly one query")
        self._tree: exp.Expr = statements[0]
        for node in self._tree.walk():
            reason = _reason(node)
            if reason is not None:
                raise _fault(reason)

    @cached_property
    def tables(self) -> tuple[tuple[str, ...], ...]:
        """What it reads, each name in its parts, in order of appearance."""
        return tuple(dict.fromkeys(_parts(t) for t in self._real_tables()))

    def rename(self, names: Mapping[tuple[str, ...], str]) -> str:
        """The query reading from `names` instead; aliases keep the names that columns use."""
        for table in self._real_tables():
            name = names[_parts(table)]
            if not table.alias:
                table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name, quoted=True)))
            table.set("this", exp.to_identifier(name))
            table.set("db", None)
            table.set("catalog", None)
        return self._tree.sql(dialect="spark")

    def to_duckdb(self) -> str:
        """The query in DuckDB's words, good enough to see where its columns come from, not to be run."""
        return self._tree.sql(dialect="duckdb")

    def _real_tables(self) -> list[exp.Table]:
        """Tables that are not common table expressions of their scope."""
        found: dict[int, exp.Table] = {}
        for scope in traverse_scope(self._tree):
            for source in scope.sources.values():
                if isinstance(source, exp.Table) and isinstance(source.this, exp.Identifier):
                    found[id(source)] = source
        known = {cte.alias.casefold() for cte in self._tree.find_all(exp.CTE)}
        tables = [t for t in self._tree.find_all(exp.Table) if isinstance(t.this, exp.Identifier)]
        for table in tables:
            if id(table) not in found and (table.db or table.name.casefold() not in known):
                raise _fault(f"it is not clear what `{table.sql('spark')}` names")
        return [t for t in tables if id(t) in found]


def _reason(node: exp.Expr) -> str | None:
    refused = next((why for kind, why in _REFUSED.items() if isinstance(node, kind)), None)
    if refused is not None:
        return f"`{node.sql('spark')[:60]}`: {refused}"
    if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc):
        name = str(node.this).casefold()
        if name not in BUILT_IN:
            return f"the function '{name}' is not known; only Spark's own functions without side effects are taken"
    return None


def _parts(table: exp.Table) -> tuple[str, ...]:
    return tuple(part.name for part in table.parts)


def _fault(message: str) -> ToolError:
    return ToolError(message, code="invalid_arguments")
