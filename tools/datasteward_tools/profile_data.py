"""The tool `profile_data`."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from datasteward.engine.files import DataFile, file_format
from datasteward.engine.jobs import statement_from_json
from datasteward.intake.sql_text import quote_name
from datasteward.lineage.noting import note_profile
from datasteward.lineage.recording import RESULT_NAMESPACE, TABLE_NAMESPACE
from datasteward.lineage.schemas import Column, Dataset, DatasetKind, file_dataset
from datasteward.profiling.archive import ProfileArchive
from datasteward.profiling.contract import draft_contract
from datasteward.profiling.drift import compare, render_drift
from datasteward.profiling.model import Profile
from datasteward.profiling.rendering import render_column, render_for_model, render_sql
from datasteward.profiling.storing import from_json, to_json, without_sensitive_values
from datasteward.services import Services
from datasteward.tooling import ToolContext, ToolInput, ToolOutput, tool

_MOST_OTHERS = 30


class ProfileDataInput(ToolInput):
    dataset: str = Field(description="Table, view, file, result or a query.")
    column: str | None = Field(default=None, description="Only this one, in full.")
    show: Literal["profile", "sql", "contract"] = Field(
        default="profile",
        description="sql: what shows and mends each finding.",
    )
    compare_to: str | None = Field(default=None, description="'previous' or another dataset.")
    mask: bool = Field(default=False)
    seconds: Annotated[float, Field(gt=0, le=600)] = Field(default=60, description="Time budget.")


class ProfileDataOutput(ToolOutput):
    dataset: str
    rows: int
    columns: int
    handle: str
    """The result that holds the full statistics, one row a column."""
    text: str
    profile: dict[str, Any] | None = None
    """The whole profile as JSON, only for callers that are not models."""

    def to_text(self) -> str:
        """The compact text."""
        return self.text


@tool(title="Profile data")
async def profile_data(arguments: ProfileDataInput, context: ToolContext) -> ProfileDataOutput:
    """What a dataset really is: grain, problems worst first with their repair, one line per column, keys, joins, PII.

    Call it before SQL on unknown data. ~ marks sampled figures; personal data is masked. Also drift and a draft contract.
    """
    services: Services = context.services
    archive = ProfileArchive(services.workspace.state_folder / "profiles")
    hides = arguments.mask or context.caller.is_model
    made, handle = await _make(services, arguments.dataset, arguments.seconds, context, is_masked=hides)
    text = await asyncio.to_thread(_answer, archive, arguments, made, hides)
    if arguments.compare_to and arguments.compare_to != "previous":
        other, _ = await _make(services, arguments.compare_to, arguments.seconds, context, is_masked=hides)
        text = render_drift(compare(other, made))
    await asyncio.to_thread(archive.keep, made)
    whole = None if context.caller.is_model else json.loads(to_json(made))
    if arguments.show == "profile" and not (arguments.column or arguments.compare_to):
        text += f"\nFULL STATISTICS {handle}: one row a column, with findings and their SQL; FROM {handle}"
    return ProfileDataOutput(
        dataset=made.name, rows=made.rows, columns=len(made.columns), handle=handle, text=text, profile=whole
    )


async def _make(
    services: Services, dataset: str, seconds: float, context: ToolContext, *, is_masked: bool
) -> tuple[Profile, str]:
    """The profile, masked for a model or where that was asked for, and the handle of its full statistics."""
    files = await asyncio.to_thread(services.files.listing)
    wanted = dataset.strip().strip("'\"")
    absolute = (services.workspace.root / wanted).resolve()
    named = next((f for f in files if wanted.casefold() == f.name.casefold()), None)
    file = named or next((f for f in files if wanted == f.shown_path or f.path == absolute), None)
    arguments = {
        "dataset": quote_name(file.name) if file else quote_name(wanted) if _is_path(wanted) else dataset,
        "path": str(file.path) if file and not file.is_partitioned else None,
        "wanted_path": file.shown_path if file and not named else None,
        "others": [quote_name(f.name) for f in files[:_MOST_OTHERS] if f.format in {"csv", "parquet"}],
        "budget_seconds": seconds,
    }
    found = await services.engine.run("profile", arguments, timeout_seconds=seconds * 2 + 30, report=context.report)
    made = from_json(json.dumps(found["profile"]))
    facts = statement_from_json(found["facts"])
    handle = await asyncio.to_thread(services.engine.results.adopt, facts, context.caller.name)
    read_file = file if file and (file.is_partitioned or made.size_bytes is not None) else None
    await asyncio.to_thread(_note, services, read_file, wanted, made)
    return (without_sensitive_values(made) if is_masked else made), handle


def _is_path(dataset: str) -> bool:
    """Whether a dataset that is no listed file is a path or pattern, which SQL takes in quotes only."""
    is_query = dataset.split(None, 1)[:1] and dataset.split(None, 1)[0].upper() in {"SELECT", "WITH", "FROM"}
    return not (is_query or any(c in dataset for c in "();\n")) and (
        "/" in dataset or "*" in dataset or file_format(Path(dataset)) is not None
    )


def _note(services: Services, file: DataFile | None, name: str, made: Profile) -> None:
    """Keep the reading of a file, table or result; a query's profile is told by no name."""
    columns = tuple(Column(name=c.name, type=c.type) for c in made.columns)
    if file is not None:
        note_profile(services.lineage, file_dataset(file.shown_path, columns), seconds=made.seconds)
    elif made.format == "table" and not any(c.isspace() for c in name):
        is_result = name[:1].lower() == "r" and name[1:].isdigit()
        namespace = RESULT_NAMESPACE if is_result else TABLE_NAMESPACE
        kind: DatasetKind = "result" if is_result else "table"
        known = name.lower() if is_result else name.removeprefix("main.")
        note_profile(
            services.lineage,
            Dataset(namespace=namespace, name=known, kind=kind, columns=columns),
            seconds=made.seconds,
        )


def _answer(archive: ProfileArchive, arguments: ProfileDataInput, made: Profile, hides: bool) -> str:
    if arguments.compare_to == "previous":
        before = archive.latest(made.name)
        return (
            render_drift(compare(before, made))
            if before
            else f"There is no earlier profile of {made.name}; this one was kept."
        )
    if arguments.column:
        return render_column(made, arguments.column, shows_values=not hides)
    if arguments.show == "contract":
        return draft_contract(made)
    return render_sql(made) if arguments.show == "sql" else render_for_model(made)
