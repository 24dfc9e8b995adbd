"""Measuring a change: carry it out, describe the effect, roll it back."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import duckdb

from datasteward.changes.breaking import CheckBefore, find_broken, run_checks
from datasteward.changes.carrying_out import Measured, carry_out
from datasteward.changes.contract_writing import WRITE_CONTRACT, describe_promises
from datasteward.changes.digest import digest_of
from datasteward.changes.effects import describe_schema, describe_tables
from datasteward.changes.jobs import Body, Measurement, PreviewJob, WriterPlace
from datasteward.changes.model import Fingerprint, Preview, SourceView
from datasteward.changes.personal import find_personal
from datasteward.changes.receipts import refuse_ledger_change
from datasteward.changes.record import UndoRecord, read_record
from datasteward.changes.reversibility import find_irreversible
from datasteward.changes.session import FROZEN_FUNCTIONS, Session, SessionSettings, open_session
from datasteward.changes.work import Work
from datasteward.errors import ToolError

SEQUENCE_FUNCTIONS = frozenset({"nextval", "currval"})


def session_settings(place: WriterPlace, frozen_at: str) -> SessionSettings:
    """The settings of a session at this place; what may be written there is the gate's to say."""
    state = Path(place.state_folder)
    return SessionSettings(
        database=Path(place.database),
        catalog=place.catalog,
        allowed=(*(Path(r) for r in place.roots), state / "staging", state / "results", state / "cache"),
        temp_folder=state / "temp",
        memory_bytes=place.memory_bytes,
        threads=place.threads,
        lock_wait_seconds=place.lock_wait_seconds,
        frozen_at=frozen_at,
    )


def staging_folder(place: WriterPlace, name: str) -> Path:
    """The private folder where one proposal's exports are staged; only a proposal that has some has one."""
    return Path(place.state_folder) / "staging" / name


def load_work(body: Body) -> Work:
    """The body as work, its undo record read and checked; raises `ToolError` when the record is gone or altered."""
    refuse_volatile(body)
    record: UndoRecord | None = None
    if body.record_path is not None:
        try:
            record = read_record(Path(body.record_path))
        except (OSError, ValueError) as error:
            raise ToolError(
                f"The undo record {Path(body.record_path).name} cannot be read: {error}",
                code="not_found",
                hint="Without it the change cannot be taken back.",
            ) from error
        if digest_of(record) != body.record_hash:
            raise ToolError("The undo record was altered since it was written.", code="conflict")
        if record.engine != duckdb.__version__:
            raise ToolError(
                f"The undo record was written by DuckDB {record.engine}, this is {duckdb.__version__}; their row"
                " hashes may differ.",
                code="conflict",
                hint=f"Run a datasteward with DuckDB {record.engine} to take the change back.",
            )
    return Work(statements=body.statements, parameters=body.parameters, record=record)


def refuse_volatile(body: Body) -> None:
    """Raise `ToolError` for functions that give another value each time and cannot be frozen."""
    for statement in body.statements:
        names = [f for f in statement.volatile if f.lower() not in FROZEN_FUNCTIONS | SEQUENCE_FUNCTIONS]
        if names:
            plain = names[0].rpartition(".")[2]
            raise ToolError(
                f"{names[0]}() gives another value each time, so what is approved would not be what is applied.",
                code="forbidden",
                hint=f"Write it without its schema: {plain}(), which gives the moment of the proposal."
                if plain in FROZEN_FUNCTIONS
                else "Store its values in a table or file first, or write them as constants.",
            )


def measure(job: PreviewJob) -> Measurement:
    """Carry the change out, describe it, and roll it back; raises `ToolError` when a statement fails.

    What is staged is then for the caller to remove.
    """
    staging = staging_folder(job.place, job.staging_name)
    settings = session_settings(job.place, job.body.frozen_at)
    work = load_work(job.body)
    record = Path(job.body.record_path) if job.body.record_path else None
    if work.stages_files:
        staging.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.temp_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open_session(settings, images=None, record=record, sources=job.body.sources, staging=staging) as session:
        checks = run_checks(session, job.checks)
        is_known = session.stamp == job.known_stamp
        known = Fingerprint(engine=duckdb.__version__, objects=job.known) if is_known else None
        measured = carry_out(session, work, staging=staging, prepared_files=None, known=known, hashes_rows=False)
        try:
            refuse_ledger_change(session)
            preview = _preview(session, work, measured, job, checks)
            return Measurement(
                preview=preview,
                base=measured.base,
                expected=measured.expected,
                stamp=session.stamp,
            )
        finally:
            with suppress(duckdb.Error):
                session.work.execute("ROLLBACK")


def _preview(
    session: Session, work: Work, measured: Measured, job: PreviewJob, checks: tuple[CheckBefore, ...]
) -> Preview:
    reason = find_irreversible(session, measured)
    tables = describe_tables(session, measured)
    personal = find_personal(session, work, measured, tables, job.labels)
    broken = find_broken(session, measured, checks)
    return Preview(
        tables=tables,
        schema_changes=describe_schema(measured),
        files=measured.files,
        checks=broken,
        notes=_notes(work, job.body.sources),
        personal=personal,
        is_reversible=reason is None,
        irreversible_because=reason,
        seconds=round(measured.seconds, 4),
        bytes_written=sum(f.size_after for f in measured.files),
    )


def _notes(work: Work, sources: Sequence[SourceView]) -> tuple[str, ...]:
    used = {f.lower() for s in work.statements for f in s.volatile}
    notes = []
    if used & FROZEN_FUNCTIONS:
        notes.append("the time functions give the moment of the proposal, in the preview and when applied")
    if used & SEQUENCE_FUNCTIONS:
        notes.append("values taken from a sequence stay used up when the change is taken back")
    notes += [f"{source.name}: {line}" for source in sources for line in source.told]
    return (*notes, *(line for s in work.statements if s.kind == WRITE_CONTRACT for line in describe_promises(s)))
