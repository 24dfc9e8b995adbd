"""The SQL that makes an object of the catalog again as it is, in words that mean the same wherever they are run."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from datasteward.changes.model import ObjectKind
from datasteward.changes.names import quote_name, quote_text

_NAME = r'(?:"(?:[^"]|"")+"|\w+)'
_TRIGGER = re.compile(
    rf"CREATE TRIGGER (?P<name>{_NAME}) (?P<when>(?:BEFORE|AFTER|INSTEAD OF) (?:INSERT|DELETE|UPDATE)"
    rf"(?: OF {_NAME}(?:, {_NAME})*)?) ON {_NAME}(?:\.{_NAME}){{0,2}} (?P<rest>.*)",
    re.DOTALL,
)
_COUNTER = re.compile(r" START (-?\d+)")
_BOUNDS = re.compile(r" MINVALUE (-?\d+) MAXVALUE (-?\d+)")
_COMMENTED: dict[ObjectKind, str] = {"table macro": "MACRO TABLE"}


def keyword_of(kind: ObjectKind) -> str:
    """What DROP and COMMENT ON call this kind."""
    return _COMMENTED.get(kind, kind.upper())


def place_of(catalog: str, schema: str, name: str) -> str:
    """The full name of an object."""
    return f"{quote_name(catalog)}.{quote_name(schema)}.{quote_name(name)}"


def trigger_sql(sql: str, schema: str, table: str) -> str | None:
    """A trigger as DuckDB prints it, its table named so that it is found; None when that is not understood."""
    found = _TRIGGER.fullmatch(sql.rstrip().rstrip(";"))
    if found is None:
        return None
    place = quote_name(table) if schema == "main" else f"{quote_name(schema)}.{quote_name(table)}"
    return f"CREATE TRIGGER {found['name']} {found['when']} ON {place} {found['rest']}"


def sequence_sql(place: str, sql: str) -> str:
    """A sequence under its full name, which starts where it would go on; one that is used up, at its last value."""
    body = sql[sql.rindex("INCREMENT BY") :]
    start, bounds = _COUNTER.search(body), _BOUNDS.search(body)
    if start and bounds:
        within = min(max(int(start[1]), int(bounds[1])), int(bounds[2]))
        body = _COUNTER.sub(f" START {within}", body)
    return f"CREATE SEQUENCE {place} {body}"


def without_counter(sql: str) -> str:
    """A sequence's definition but for where it stands."""
    return _COUNTER.sub("", sql)


@dataclass(frozen=True, slots=True, kw_only=True)
class MacroForm:
    """One form of a macro."""

    parameters: tuple[str, ...]
    body: str


def macro_sql(place: str, forms: Sequence[MacroForm], *, is_table: bool) -> str:
    """A macro with all its forms; the catalog does not know the defaults of parameters."""
    written = [
        f"({', '.join(quote_name(p) for p in form.parameters)}) AS {'TABLE ' if is_table else ''}{form.body}"
        for form in forms
    ]
    return f"CREATE MACRO {place} " + ", ".join(written)


def comment_sql(kind: ObjectKind, place: str, notes: Mapping[str, str | None]) -> tuple[str, ...]:
    """COMMENT ON for the object, under the empty name, and for its columns."""
    return tuple(
        f"COMMENT ON {f'COLUMN {place}.{quote_name(column)}' if column else f'{keyword_of(kind)} {place}'}"
        f" IS {'NULL' if text is None else quote_text(text)}"
        for column, text in notes.items()
    )


def index_comment_sql(place: str, text: str | None) -> str:
    """COMMENT ON an index."""
    return f"COMMENT ON INDEX {place} IS {'NULL' if text is None else quote_text(text)}"
