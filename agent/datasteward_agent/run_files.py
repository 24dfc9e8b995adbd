"""What a headless run leaves in its output folder."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from datasteward.errors import ConfigError
from datasteward_agent.events import Event, RunEnded
from datasteward_agent.session_export import export_markdown, export_sql


def write_run_files(folder: Path, ended: RunEnded, events: Iterable[Event], results_folder: Path) -> None:
    """Write result.json, answer.md, transcript.md, transcript.jsonl, queries.sql and results/*.parquet.

    Raises `ConfigError` when the folder cannot be written.
    """
    kept = list(events)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "result.json").write_text(ended.model_dump_json(indent=2) + "\n", encoding="utf-8")
        (folder / "answer.md").write_text(ended.text.strip() + "\n", encoding="utf-8")
        (folder / "transcript.md").write_text(export_markdown(ended.session, kept), encoding="utf-8")
        (folder / "transcript.jsonl").write_text("".join(e.model_dump_json() + "\n" for e in kept), encoding="utf-8")
        (folder / "queries.sql").write_text(export_sql(ended.session, kept), encoding="utf-8")
        for handle in ended.handles:
            source = results_folder / f"{handle}.parquet"
            if source.is_file():
                (folder / "results").mkdir(exist_ok=True)
                shutil.copyfile(source, folder / "results" / source.name)
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be written: {error.strerror}.", hint="Name another folder with --out."
        ) from error
