"""A run as the text of a change: what the inbox shows, what is approved, and what the writer reads back."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from datasteward.errors import ToolError
from datasteward.pipelines.plan_model import PlanRequest

KIND = "pipeline_run"
PYTHON_KIND = "pipeline_run_python"
"""A run of a pipeline with Python assets, a kind of its own so that no rule allows code along with queries."""
SPARK_KIND = "pipeline_run_spark"
"""A run that hands rows to a Spark server, a kind of its own so that no rule lets data go elsewhere along with queries."""
KINDS = frozenset({KIND, PYTHON_KIND, SPARK_KIND})
_TEXT = re.compile(r"\s*RUN PIPELINE '((?:[^']|'')+)' WITH (\{.*\})\s*;?\s*\Z", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatement:
    """A pipeline's folder, relative to the workspace, and what is planned of it."""

    folder: str
    request: PlanRequest

    def to_text(self) -> str:
        """`RUN PIPELINE 'folder' WITH {…}`."""
        options = self.request.model_dump(mode="json", exclude_defaults=True)
        return f"RUN PIPELINE '{self.folder.replace(chr(39), chr(39) * 2)}' WITH {json.dumps(options, sort_keys=True)}"


def read_statement(text: str) -> RunStatement | None:
    """The run that a text means, or None when it is something else; raises `ToolError` when it is a broken one."""
    match = _TEXT.match(text)
    if match is None:
        return None
    try:
        request = PlanRequest.model_validate_json(match[2])
    except ValidationError as error:
        raise ToolError(
            f"RUN PIPELINE has options that are not understood: {error}", code="invalid_arguments"
        ) from error
    return RunStatement(folder=match[1].replace("''", "'"), request=request)


def find_folder(root: Path, named: str | None) -> str:
    """The pipeline folder meant, relative to the workspace: by path or name, or the only one there is.

    Pipelines are the folders in `pipelines/`, that folder itself when pipeline.yaml or an asset is right in it, or any
    folder given by its path.
    Raises `ToolError` (not_found, invalid_arguments) with those that exist.
    """
    home = root / "pipelines"
    is_one = (home / "pipeline.yaml").is_file() or any(home.glob("*.sql"))
    found = [home] if is_one else [p for p in sorted(home.glob("*")) if p.is_dir() and not p.name.startswith(".")]
    known = [p.relative_to(root).as_posix() for p in found]
    if named is None:
        if len(known) == 1:
            return known[0]
        raise ToolError(
            f"Name a pipeline: {', '.join(known)}." if known else "There is no pipeline in this workspace.",
            code="not_found" if not known else "invalid_arguments",
            hint="steward pipeline init makes one." if not known else None,
        )
    for candidate in (f"pipelines/{named}", named):
        path = (root / candidate).resolve()
        if path.is_dir() and path.is_relative_to(root):
            return path.relative_to(root).as_posix()
    raise ToolError(
        f"There is no pipeline '{named}'.", code="not_found", hint=f"Pipelines: {', '.join(known) or 'none'}."
    )


def find_kind(folder: Path) -> str:
    """The kind of change that a run of a pipeline's folder is, by what its files have it do."""
    from datasteward.pipelines.loading import load_pipeline, read_folder

    if any(folder.rglob("*.py")):
        return PYTHON_KIND
    files = read_folder(folder)
    has_spark = any("spark" in text for text in files.texts.values()) and any(
        asset.engine != "duckdb" for asset in load_pipeline(files).assets
    )
    return SPARK_KIND if has_spark else KIND
