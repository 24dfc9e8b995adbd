"""Quoting of names and text in the SQL that we write ourselves."""

from collections.abc import Iterable

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


def hash_columns(columns: Iterable[str], alias: str = "") -> str:
    """DuckDB's own `hash()` over these columns in this order, even where a macro of the user's has that name."""
    prefix = f"{quote_name(alias)}." if alias else ""
    return "system.main.hash(" + ", ".join(prefix + quote_name(c) for c in columns) + ")"


def pack_columns(columns: Iterable[str], alias: str = "") -> str:
    """A struct of these columns under their own names."""
    prefix = f"{quote_name(alias)}." if alias else ""
    return "system.main.struct_pack(" + ", ".join(f"{quote_name(c)} := {prefix}{quote_name(c)}" for c in columns) + ")"
