"""Running the statements of a change, and telling in words what can be done when one fails."""

from collections.abc import Sequence

import duckdb

from datasteward.changes.model import Parameter, StatementWork
from datasteward.changes.session import VOLATILE_DEFAULT
from datasteward.engine.duckdb_errors import drop_advice
from datasteward.errors import ToolError


def bind(parameters: Sequence[Parameter]) -> list[object] | dict[str, object] | None:
    """The parameters as DuckDB's client takes them."""
    if not parameters:
        return None
    if all(p.name.isdigit() for p in parameters):
        return [p.value for p in sorted(parameters, key=lambda p: int(p.name))]
    return {p.name: p.value for p in parameters}


def run_statement(
    connection: duckdb.DuckDBPyConnection,
    statement: StatementWork,
    values: list[object] | dict[str, object] | None,
) -> int:
    """Run it and return how many rows DuckDB reports or returns, 0 when it tells neither; raises `ToolError`."""
    try:
        rows = connection.execute(statement.sql, values).fetchall()
    except duckdb.Error as error:
        raise explain(error) from error
    is_count = not statement.returns_rows and len(rows) == 1 and len(rows[0]) == 1 and isinstance(rows[0][0], int)
    return int(rows[0][0]) if is_count else len(rows)


def explain(error: duckdb.Error) -> ToolError:
    """DuckDB's error as one that says what can be done."""
    text = drop_advice(str(error))
    if VOLATILE_DEFAULT in text:
        function = text.partition(VOLATILE_DEFAULT)[2].split()[0]
        return ToolError(
            f"A column's default is {function}(), which gives another value each time, so what is approved would not be"
            " what is applied.",
            code="forbidden",
            hint="Name that column in the statement and give it a value, from constants, a file or a table.",
        )
    if isinstance(error, duckdb.ConstraintException):
        return ToolError(
            text, code="runtime", hint="The change breaks a constraint, so it cannot be applied; nothing was changed."
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        return ToolError(
            text,
            code="too_large",
            hint="Raise limits.memory in steward.toml, or split the change; nothing was changed.",
        )
    if "No space left" in text or (isinstance(error, duckdb.IOException) and "Could not write" in text):
        return ToolError(text, code="disk_full", hint="Free some space and try again; nothing was changed.")
    if isinstance(error, duckdb.InterruptException):
        return ToolError(text, code="cancelled", hint="Nothing was changed.")
    if isinstance(error, duckdb.CatalogException):
        return ToolError(text, code="not_found", hint="Nothing was changed.")
    if isinstance(error, duckdb.BinderException | duckdb.ParserException):
        return ToolError(text, code="binder", hint="Nothing was changed.")
    return ToolError(text, code="runtime", hint="Nothing was changed.")
