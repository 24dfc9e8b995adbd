"""The published steps of a pipeline run as the statements they come to, so that their lineage is kept like any other."""

import re
from pathlib import Path

from datasteward.changes.model import StatementWork, TableName
from datasteward.engine.carriers import quote_name

_WORD = re.compile(r"\w+")


def expand_run(text: str, run: str, root: Path, state_folder: Path) -> list[StatementWork]:
    """One `CREATE OR REPLACE` for each SQL asset that the run `run` (such as `c8`) published.

    The assets are read as their files are now. Raises `ToolError` when the folder is gone or its files are wrong.
    """
    from datasteward.pipelines.loading import load_pipeline, read_folder
    from datasteward.pipelines.run_book import RunBook
    from datasteward.pipelines.statement import find_folder, read_statement

    found = read_statement(text)
    record = RunBook(state_folder).read_run(run)
    if found is None or record is None:
        return []
    published = {step.key for step in record.steps if step.status == "published"}
    pipeline = load_pipeline(read_folder(root / find_folder(root, found.folder)))
    works = []
    for asset in pipeline.assets:
        if asset.key not in published or asset.language == "python":
            continue
        body = asset.body
        if asset.language == "spark":
            from datasteward.pipelines.spark.native import NativeQuery

            body = NativeQuery(body).to_duckdb()
        kind = "VIEW" if asset.options.materialize == "view" else "TABLE"
        target = f"{quote_name(asset.schema)}.{quote_name(asset.table)}"
        works.append(
            StatementWork(
                sql=f"CREATE OR REPLACE {kind} {target} AS {body.strip().rstrip(';')}",
                kind="create_view" if kind == "VIEW" else "create_table_as",
                writes=(TableName(schema_name=asset.schema, name=asset.table),),
            )
        )
    return works


def words_of(statements: list[StatementWork]) -> set[str]:
    """Every word of the statements in lower case, to find the files they may name."""
    return {word.casefold() for s in statements for word in _WORD.findall(s.sql)}
