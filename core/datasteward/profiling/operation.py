"""Profiling inside a reader worker: a dataset by its name in SQL, through the gate like every query."""

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasteward.errors import ToolError
from datasteward.intake.inspect import inspect_file
from datasteward.intake.model import Look, Overrides
from datasteward.intake.plan import read_plan
from datasteward.intake.sql_text import quote_name
from datasteward.profiling.facts_table import store_facts
from datasteward.profiling.model import OtherDataset, ProfileOptions, ProfileSource
from datasteward.profiling.profile import profile
from datasteward.profiling.storing import to_json

if TYPE_CHECKING:
    from datasteward.engine.operations import Tell
    from datasteward.engine.session import Session

_TOLD_EVERY_SECONDS = 0.2


def run_profile(session: "Session", arguments: Mapping[str, Any], tell: "Tell") -> Any:
    """The profile, and the stored table of its facts that waits for a handle, both as parsed JSON.

    Arguments: dataset (as it stands after FROM, or a whole query), path (of its file, or None), others (names of
    datasets to look for foreign keys in), sample_rows, budget_seconds, sensitive (column names). Raises `ToolError` as
    a query does.
    """
    dataset, path = _settle_name(session, arguments)
    source = _make_source(session, dataset, path)
    options = ProfileOptions(
        sample_rows=int(arguments.get("sample_rows") or 20_000),
        budget_seconds=float(arguments.get("budget_seconds") or 60.0),
        others=_find_others(session, arguments.get("others") or (), dataset),
        sensitive_columns=frozenset(arguments.get("sensitive") or ()),
    )
    last = 0.0

    def report(share: float, doing: str) -> None:
        nonlocal last
        session.raise_if_cancelled()
        if time.monotonic() - last > _TOLD_EVERY_SECONDS:
            last = time.monotonic()
            tell("progress", {"done": share, "total": 1.0, "message": doing})

    cursor = session.cursor()
    try:
        try:
            made = profile(cursor, source, options, report)
        except ToolError:
            if not path or source.format not in {"delimited", "json", "ndjson"} or session.is_cancelled:
                raise
            if session.prepare_by_all_lines(f"SELECT * FROM {dataset}") is None:
                raise
            made = profile(session.cursor(), _make_source(session, dataset, path, look="all"), options, report)
    finally:
        session.close_cursor(cursor)
    name = f"draft-{secrets.token_hex(8)}-0.parquet"
    return {
        "profile": json.loads(to_json(made)),
        "facts": asdict(store_facts(made, session.settings.results_folder / name)),
    }


def _settle_name(session: "Session", arguments: Mapping[str, Any]) -> tuple[str, str | None]:
    """The dataset and the path of its file, None where the name stands for a table of the database.

    The gate asks the database first, so a file whose name a table has is called by its path.
    """
    dataset, path = str(arguments["dataset"]), arguments.get("path")
    if path and all(s.kind != "file" for s in session.prepare(f"SELECT * FROM {dataset}")[0].sources):
        wanted = arguments.get("wanted_path")
        return (quote_name(str(wanted)), path) if wanted else (dataset, None)
    return dataset, path


def _make_source(session: "Session", dataset: str, path: str | None, look: Look = "sample") -> ProfileSource:
    is_query = (
        dataset.lstrip("( \n").split(None, 1)[0].upper() in {"SELECT", "FROM", "WITH", "VALUES"}
        if dataset.strip()
        else False
    )
    statements = session.prepare(dataset if is_query else f"SELECT * FROM {dataset}")
    if len(statements) != 1:
        raise ToolError("Profile one dataset at a time.", code="invalid_arguments")
    found = statements[0]
    name = "query" if is_query else dataset.strip("'\"")
    plain = ProfileSource(
        name=name, table_sql=f"({found.sql.rstrip().rstrip(';')})", sql_name=None if is_query else dataset,
        format="query" if is_query else "table", told=found.told,
    )  # fmt: skip
    return _with_file(session, plain, path, look) if path else plain


def _with_file(session: "Session", plain: ProfileSource, path: str, look: Look) -> ProfileSource:
    """What intake knows of the file behind the dataset: format, size, rows set aside.

    With `look` "all" every line is read first, as a file needs whose later lines break what its first lines promise.
    """
    file = Path(path).resolve()
    if not any(file.is_relative_to(root) for root in session.settings.roots):
        raise ToolError(f"{path} lies outside the readable folders.", code="forbidden")
    intake = inspect_file(file, Overrides(look=look))
    cursor = session.cursor()
    try:
        plan = read_plan(cursor, intake, session.settings.cache_folder)
    finally:
        session.close_cursor(cursor)
    return ProfileSource(
        name=plain.name, table_sql=plain.table_sql, sql_name=plain.sql_name, size_bytes=intake.size_bytes,
        format=intake.format if plan.kind == "direct" else "table", file_format=intake.format, told=tuple(dict.fromkeys((*plan.told, *plain.told))),
        text_bytes=intake.size_bytes if intake.compression == "none" and intake.format == "delimited" else None,
        quarantine_rows=plan.quarantine.rows if plan.quarantine else 0,
        quarantine_sql=f"{plain.sql_name}.quarantine" if plan.quarantine and plain.sql_name else None,
    )  # fmt: skip


def _find_others(session: "Session", names: object, dataset: str) -> tuple[OtherDataset, ...]:
    found: list[OtherDataset] = []
    for name in names if isinstance(names, list | tuple) else ():
        if str(name) == dataset:
            continue
        try:
            statements = session.prepare(f"SELECT * FROM {name}")
        except ToolError:
            continue
        found.append(OtherDataset(name=str(name), table_sql=f"({statements[0].sql})"))
    return tuple(found)
