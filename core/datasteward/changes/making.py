"""In which order objects of the catalog go and come again: DuckDB wants what a definition names to be there."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from datasteward.changes.definitions import keyword_of, place_of
from datasteward.changes.model import ObjectKind
from datasteward.changes.names import quote_name
from datasteward.changes.record import ObjectImage
from datasteward.changes.rows import read_row
from datasteward.changes.session import Session
from datasteward.engine.gate_facts import Refused
from datasteward.engine.gate_parser import query_of_view, tokens_of

_DROP_ORDER: dict[ObjectKind, int] = {
    "view": 0,
    "table": 1,
    "macro": 2,
    "table macro": 2,
    "sequence": 3,
    "type": 4,
    "schema": 5,
}
_MAY_NAME: dict[ObjectKind, frozenset[ObjectKind]] = {
    "schema": frozenset(),
    "sequence": frozenset(),
    "type": frozenset({"type"}),
    "table": frozenset({"type", "sequence", "macro"}),
    "macro": frozenset({"type", "sequence", "macro", "table macro", "table", "view"}),
    "table macro": frozenset({"type", "sequence", "macro", "table macro", "table", "view"}),
    "view": frozenset({"type", "sequence", "macro", "table macro", "table", "view"}),
}


def drop_objects(session: Session, objects: Sequence[ObjectImage]) -> None:
    """Drop what the change left and will be made anew or not at all, the youngest of a kind first."""

    def place(image: ObjectImage) -> tuple[int, int]:
        return _DROP_ORDER[image.kind], -(image.order if image.order_after is None else image.order_after)

    for image in sorted((o for o in objects if o.exists_after and not o.stays), key=place):
        name = place_of(session.catalog, image.schema_name, image.name)
        if image.kind == "schema":
            name = f"{quote_name(session.catalog)}.{quote_name(image.name)}"
        keyword = keyword_of(image.kind)
        if image.kind == "macro" and _is_table_macro(session, image):
            keyword = keyword_of("table macro")
        session.work.execute(f"DROP {keyword} {name}")


def _is_table_macro(session: Session, image: ObjectImage) -> bool:
    """For records of before table macros had a kind of their own."""
    rows = session.work.execute(
        "SELECT function_type FROM system.main.duckdb_functions() WHERE database_name = ? AND schema_name = ?"
        " AND function_name = ?",
        [session.catalog, image.schema_name, image.name],
    ).fetchall()
    return [str(kind) for (kind,) in rows] == ["table_macro"]


def in_order_of_making(session: Session, images: Sequence[ObjectImage]) -> list[ObjectImage]:
    """The same images, each after those that its definition names."""
    plain = sorted(images, key=lambda o: (-_DROP_ORDER[o.kind], o.order))
    named = [_names_of(session, o) for o in plain]
    placed: dict[int, None] = {}

    def place(number: int, above: frozenset[int]) -> None:
        image = plain[number]
        for other, found in enumerate(plain):
            if other not in above and other not in placed and _needs(image, named[number], found):
                place(other, above | {other})
        placed[number] = None

    for number in range(len(plain)):
        if number not in placed:
            place(number, frozenset({number}))
    return [plain[number] for number in placed]


def _needs(image: ObjectImage, names: frozenset[str], other: ObjectImage) -> bool:
    if other.kind == "schema":
        return image.kind != "schema" and image.schema_name == other.name
    if image.kind == other.kind == "table":
        return any(k.parent.name == other.name and image.schema_name == other.schema_name for k in image.foreign_keys)
    return other.kind in _MAY_NAME[image.kind] and other.name.casefold() in names


def _names_of(session: Session, image: ObjectImage) -> frozenset[str]:
    """The names in its definition; of a view only those of what it reads, so that its columns do not mislead."""
    sql = str(image.create_sql)
    try:
        if image.kind == "view":
            row = read_row(session.before, "SELECT system.main.json_serialize_sql(?)", [query_of_view(sql)])
            document = json.loads(row[0]) if row else {"error": True}
            if not document.get("error"):
                return frozenset(n.casefold() for n in _read_names(document))
        return frozenset(t.name.casefold() for t in tokens_of(sql)) - {image.name.casefold()}
    except Refused:
        return frozenset()


def _read_names(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for child in node:
            yield from _read_names(child)
    elif isinstance(node, dict):
        qualified = node.get("qualified_name")
        yield from (str(part) for part in (qualified.get("path") or () if isinstance(qualified, dict) else ()))
        yield from (str(node[key]) for key in ("table_name", "function_name") if isinstance(node.get(key), str))
        for child in node.values():
            yield from _read_names(child)
