"""Quoting of names and text in the SQL that we write ourselves."""

from collections.abc import Iterable, Mapping

from datasteward.changes.model import TableName

LEDGER_SCHEMA = "_steward"


def quote_name(name: str) -> str:
    """The identifier in double quotes."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """The text as an SQL string constant."""
    return "'" + text.replace("'", "''") + "'"


def qualify(database: str, table: TableName) -> str:
    """`"database"."schema"."table"`."""
    return f"{quote_name(database)}.{quote_name(table.schema_name)}.{quote_name(table.name)}"


_TEXT_TOO = ("STRUCT", "MAP", "UNION", "VARIANT", "INTERVAL")
_SIGN_TOO = ("FLOAT", "DOUBLE", "REAL")


def hash_values(values: Iterable[tuple[str, str]]) -> str:
    """DuckDB's own `hash()` over values (expression, type) in this order, even where a macro has that name.

    Values that `hash()` takes for equal though they are not are told apart: NULL and empty or nested lists, structs of
    nulls and 30 days and a month by their text, 0.0 and -0.0 by their sign.
    """
    parts = []
    for value, type_ in values:
        parts.append(value)
        if "[" in type_ or type_.startswith(_TEXT_TOO):
            parts.append(f"CAST({value} AS VARCHAR)")
        elif type_.startswith(_SIGN_TOO):
            parts.append(f"system.main.signbit({value})")
    return f"system.main.hash({', '.join(parts)})"


def hash_columns(columns: Iterable[str], types: Mapping[str, str], alias: str = "") -> str:
    """`hash_values` of these columns, whose types are given by name; one without a type is hashed alone."""
    prefix = f"{quote_name(alias)}." if alias else ""
    return hash_values((prefix + quote_name(c), types.get(c, "")) for c in columns)


def pack_columns(columns: Iterable[str], alias: str = "") -> str:
    """A struct of these columns, of a relation or of a struct in one (`r.image`), under their own names."""
    prefix = "".join(f"{quote_name(part)}." for part in alias.split(".") if part)
    return "system.main.struct_pack(" + ", ".join(f"{quote_name(c)} := {prefix}{quote_name(c)}" for c in columns) + ")"


def unpack_carried(value: str, columns: Iterable[str], types: Mapping[str, str]) -> str:
    """The struct `value` anew once it has come as Arrow, which numbers the values of an enum in its own way."""
    parts = ((c, f"{value}.{quote_name(c)}", types[c]) for c in columns)
    fields = (f"{quote_name(c)} := " + (f"CAST({v} AS {t})" if "ENUM" in t else v) for c, v, t in parts)
    return f"system.main.struct_pack({', '.join(fields)})"
