"""The worker operation that resolves the lineage of an applied change's statements, on the catalog as it is now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from datasteward.errors import ToolError
from datasteward.lineage.edges import SchemaChange, StatementLineage
from datasteward.lineage.recording import columns_of, name_files_from, read_catalog, show_from
from datasteward.lineage.resolve import resolve
from datasteward.lineage.rewriting import find_files
from datasteward.lineage.schemas import FILE_NAMESPACE, Catalog, Column, Dataset, DatasetKind, file_dataset
from datasteward.lineage.sql_tokens import read_tokens

if TYPE_CHECKING:
    from datasteward.engine.operations import Tell
    from datasteward.engine.session import Session

Files = Mapping[str, tuple[Column, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedStatement:
    """One statement of a change: its lineage, None when it cannot be read, and the schemas of what it touched."""

    lineage: StatementLineage | None
    schemas: tuple[Dataset, ...] = ()


RESOLVED: TypeAdapter[tuple[ResolvedStatement, ...]] = TypeAdapter(tuple[ResolvedStatement, ...])


def resolve_change(session: "Session", arguments: Mapping[str, Any], tell: "Tell") -> Any:
    """The statements' lineage in order, as JSON of `ResolvedStatement`.

    Arguments: statements (SQL texts), named (files and results they name), paths (shown path by friendly name), known
    (columns of tables that may be gone by now, by name, as `[name, type]`).
    """
    from datasteward.engine.catalog_listing import list_catalog

    statements = [str(sql) for sql in arguments["statements"]]
    root = Path(session.settings.workspace_root)
    paths = list(dict.fromkeys(name for sql in statements for name in find_files(sql)))
    reply = list_catalog(session, {"sources": list(dict.fromkeys([*arguments["named"], *paths]))}, tell)
    files = {s["name"]: columns_of(s) for s in reply["sources"] if s["name"] in paths and s["columns"]}
    catalog = read_catalog(reply, file_paths=dict(arguments["paths"]))
    known = {
        str(name): tuple(Column(name=c[0], type=c[1]) for c in columns) for name, columns in arguments["known"].items()
    }
    found = resolve_statements(statements, catalog, files=files, known=known, root=root)
    return RESOLVED.dump_python(found, mode="json")


def resolve_statements(
    statements: Sequence[str], catalog: Catalog, *, files: Files, known: Files, root: Path
) -> tuple[ResolvedStatement, ...]:
    """The lineage of statements that ran one after another and left the catalog as it is now.

    What they dropped or renamed is not in the catalog any more: for binding it stands there with its last known
    columns (`known`, by name).
    """
    for name, columns in known.items():
        if catalog.find(name.split(".", 1)) is None:
            catalog = catalog.with_dataset(_table(catalog, name, columns))
    done = []
    for sql in statements:
        try:
            lineage, before = _resolve(sql, catalog, files)
        except ToolError:
            done.append(ResolvedStatement(lineage=None))
            continue
        touched = {*lineage.inputs, *(c.dataset for c in lineage.changes)}
        schemas = [d for d in before.datasets if d.key in touched]
        read = {key.name for key in lineage.inputs if key.namespace == FILE_NAMESPACE}
        schemas += [file_dataset(name, columns) for name, columns in files.items() if name in read]
        named = tuple(_named_from(d, root) for d in schemas)
        done.append(ResolvedStatement(lineage=name_files_from(lineage, root), schemas=named))
        catalog = _after(before, lineage)
    return tuple(done)


def _resolve(sql: str, catalog: Catalog, files: Files) -> tuple[StatementLineage, Catalog]:
    """The lineage and the catalog it was bound on; a table that is gone by now gets a stand-in."""
    found = resolve(sql, catalog, files=files)
    lost = _find_lost(sql, catalog) if found.confidence != "bound" else None
    if lost is None:
        return found, catalog
    wider = catalog.with_dataset(lost)
    again = resolve(sql, wider, files=files)
    return (again, wider) if again.confidence == "bound" else (found, catalog)


def _find_lost(sql: str, catalog: Catalog) -> Dataset | None:
    """What an ALTER or DROP names, with the columns it had by its own words and those of its present self."""
    tokens = read_tokens(sql)
    if len(tokens) < 3 or not tokens[0].is_word("alter", "drop") or not tokens[1].is_word("table", "view"):
        return None
    start = 2
    while start < len(tokens) - 1 and tokens[start].is_word("if", "exists"):
        start += 1
    path = [tokens[start].value]
    while start + 2 < len(tokens) and tokens[start + 1].text == ".":
        start += 2
        path.append(tokens[start].value)
    local = catalog.local_path(path)
    is_renamed = tokens[-2].is_word("to")
    here = catalog.find(local) or (catalog.find([*local[:-1], tokens[-1].value]) if is_renamed else None)
    columns = here.columns if here else ()
    is_there = catalog.find(local) is not None
    words = [t.value for t in tokens[start + 1 :] if t.kind in ("word", "quoted")] if is_there or not columns else []
    had = {c.name.casefold() for c in columns}
    lost = [
        Column(name=w, type="VARCHAR") for w in {w.casefold(): w for w in words}.values() if w.casefold() not in had
    ]
    kind: DatasetKind = "view" if tokens[1].is_word("view") else "table"
    made = _table(catalog, ".".join(local), (*columns, *lost) or (Column(name="gone", type="VARCHAR"),))
    return replace(made, kind=kind, path=tuple(local))


def _after(catalog: Catalog, lineage: StatementLineage) -> Catalog:
    """The catalog after the statement, as far as the next one may need it."""
    if lineage.kind in ("create_table", "create_view") and lineage.outputs:
        made = _table(catalog, lineage.target.name, lineage.output_schema)
        return catalog.with_dataset(replace(made, kind="view" if lineage.kind == "create_view" else "table"))
    for change in lineage.changes:
        catalog = _changed(catalog, change)
    return catalog


def _changed(catalog: Catalog, change: SchemaChange) -> Catalog:
    known = next((d for d in catalog.datasets if d.key == change.dataset), None)
    if known is None or change.kind != "rename" or not change.new_name:
        return catalog
    path = (*known.sql_path[:-1], change.new_name)
    renamed = replace(known, name=".".join(catalog.local_path(path)), path=path)
    return catalog.with_dataset(renamed)


def _table(catalog: Catalog, name: str, columns: tuple[Column, ...]) -> Dataset:
    return Dataset(namespace=catalog.namespace, name=name, kind="table", columns=columns)


def _named_from(dataset: Dataset, root: Path) -> Dataset:
    return replace(dataset, name=show_from(dataset.name, root)) if dataset.namespace == FILE_NAMESPACE else dataset
