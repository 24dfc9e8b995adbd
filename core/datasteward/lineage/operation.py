"""The worker operation that resolves the lineage of a query where the engine is, so that the owner stays light."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from datasteward.lineage.edges import StatementLineage
from datasteward.lineage.recording import RESULT_NAMESPACE, columns_of, name_files_from, read_catalog
from datasteward.lineage.resolve import resolve, retarget
from datasteward.lineage.rewriting import find_files
from datasteward.lineage.schemas import DatasetKey

if TYPE_CHECKING:
    from datasteward.engine.operations import Tell
    from datasteward.engine.session import Session

LINEAGE: TypeAdapter[StatementLineage] = TypeAdapter(StatementLineage)


def resolve_lineage(session: "Session", arguments: Mapping[str, Any], tell: "Tell") -> Any:
    """The lineage of `sql`, whose answer is the result `handle`, and the schemas of what it reads.

    Arguments: sql, handle, named (files and results it names, as SQL calls them), paths (the shown path of a file by
    its friendly name). Gives `lineage` and `catalog` as JSON. Raises `ToolError` when the statement is not readable.
    """
    from datasteward.engine.catalog_listing import list_catalog

    sql, root = str(arguments["sql"]), Path(session.settings.workspace_root)
    paths = find_files(sql)
    by_name: dict[str, str] = dict(arguments["paths"])
    reply = list_catalog(session, {"sources": list(dict.fromkeys([*arguments["named"], *paths]))}, tell)
    files = {s["name"]: columns_of(s) for s in reply["sources"] if s["name"] in paths and s["columns"]}
    catalog = read_catalog(reply, file_paths=by_name)
    found = retarget(resolve(sql, catalog, files=files), DatasetKey(RESULT_NAMESPACE, str(arguments["handle"])))
    found = name_files_from(found, root)
    read = {key.name for key in found.inputs}
    kept = {
        "database": reply["database"],
        "tables": [t for t in reply["tables"] if t["name"] in read or f"{t['schema']}.{t['name']}" in read],
        "sources": reply["sources"],
    }
    return {"lineage": LINEAGE.dump_python(found, mode="json"), "catalog": kept, "files": list(files)}
