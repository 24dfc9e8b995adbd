"""Applying an approved change: once, exactly as approved, with its undo record on disk before the commit."""

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from datasteward.changes.breaking import find_broken, run_checks
from datasteward.changes.carrying_out import Measured, carry_out
from datasteward.changes.catalog import find_object
from datasteward.changes.claims import hold_commit_lock, is_claimed
from datasteward.changes.crash import crash_point
from datasteward.changes.digest import file_sha256
from datasteward.changes.jobs import Applied, ApplyJob, Moved, PreviewJob
from datasteward.changes.measurement import load_work, measure, session_settings, staging_folder
from datasteward.changes.model import Fingerprint, ObjectPrint
from datasteward.changes.names import quote_name
from datasteward.changes.prints import print_files, print_object
from datasteward.changes.publishing import check_publishable
from datasteward.changes.receipts import (
    find_receipt,
    insert_receipt,
    publish_all,
    read_receipt_file,
    record_path,
    refuse_ledger_change,
    write_receipt_file,
)
from datasteward.changes.record import write_record
from datasteward.changes.running import explain
from datasteward.changes.session import Session, SessionSettings, open_session
from datasteward.changes.stamps import stamp_database
from datasteward.changes.work import FILE_KINDS, Work
from datasteward.errors import ToolError


class CommitError(ToolError):
    """The commit failed; only the receipt tells whether it took place, so nothing of the attempt is cleared away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    job: ApplyJob
    work: Work
    state: Path
    path: Path
    is_files_only: bool
    started: float


def apply_change(job: ApplyJob) -> Applied | Moved:
    """Apply the job's change, or say that what it touches has moved and what it would do now.

    Applied twice it answers with the first receipt. Raises `ToolError`; unless that is a `CommitError` or an
    `UnpublishedError`, nothing was changed.
    """
    crash_point("apply.writer_started")
    state = Path(job.place.state_folder)
    settings = session_settings(job.place, job.body.frozen_at)
    work = load_work(job.body)
    attempt = _Attempt(
        job=job,
        work=work,
        state=state,
        path=record_path(state, job.change, job.attempt),
        is_files_only=_touches_files_only(work),
        started=time.perf_counter(),
    )
    done = read_receipt_file(state, job.digest)
    if done is not None:
        publish_all(job.files, job.place)
        return done.model_copy(update={"is_new": False})
    try:
        outcome = _apply_in_session(attempt, settings)
    except CommitError:
        raise
    except (duckdb.Error, ToolError) as error:
        lost = _find_lost_source(job, error)
        if lost is None:
            raise
        raise lost from error
    if isinstance(outcome, str):
        again = PreviewJob(
            place=job.place, body=job.body, staging_name=job.staging_name, checks=job.checks, labels=job.labels
        )
        return Moved(reason=outcome, now=measure(again))
    crash_point("apply.before_publish")
    publish_all(job.files, job.place)
    crash_point("apply.after_publish")
    return outcome


def _find_lost_source(job: ApplyJob, error: duckdb.Error | ToolError) -> ToolError | None:
    """What to say when applying failed because a file that the statements read is gone or was written since."""
    known = error if isinstance(error, ToolError) else explain(error)
    if known.code not in {"runtime", "not_found", "binder"}:
        return None
    proposed_at = datetime.fromisoformat(job.body.frozen_at).timestamp()
    root = Path(job.place.workspace_root)
    for path in dict.fromkeys(Path(p) for s in job.body.statements for p in s.read_files):
        shown = path.relative_to(root) if path.is_relative_to(root) else path
        if not path.exists():
            return ToolError(
                f"{shown} is gone since the preview; nothing was changed.",
                code="conflict",
                hint="Put the file back or name another one, then propose the change again.",
            )
        if max(path.stat().st_mtime, path.stat().st_ctime) > proposed_at:
            return ToolError(
                f"{shown} has changed since the preview and cannot be read as it was then; nothing was changed.",
                code="conflict",
                hint=f"Look at it with SELECT * FROM '{shown}', then propose the change again.",
            )
    return None


def _touches_files_only(work: Work) -> bool:
    if work.record is not None:
        return bool(work.record.files) and not work.record.tables and not work.record.objects
    return all(s.kind in FILE_KINDS for s in work.statements)


def _apply_in_session(attempt: _Attempt, settings: SessionSettings) -> Applied | str:
    job = attempt.job
    attempt.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    attempt.path.unlink(missing_ok=True)
    record = Path(job.body.record_path) if job.body.record_path else None
    committed = False
    try:
        with open_session(
            settings,
            images=attempt.path,
            record=record,
            sources=job.body.sources,
            create=not attempt.is_files_only,
        ) as session:
            done = find_receipt(session, job.digest)
            if done is not None:
                committed = True
                return done.model_copy(update={"is_new": False})
            try:
                outcome = _carry_out_and_commit(session, attempt, job.base if session.stamp == job.stamp else None)
            except CommitError:
                committed = True
                raise
            if isinstance(outcome, Applied):
                committed = True
                if not attempt.is_files_only:
                    outcome = _stamp(session, settings.database, outcome)
            return outcome
    finally:
        if not committed:
            _clear(attempt)


def _stamp(session: Session, database: Path, applied: Applied) -> Applied:
    """The outcome with the file's stamps before and after it, between which nobody else can have written.

    What was committed is brought into the file first, as closing it would do, because that changes the stamp.
    """
    try:
        session.work.execute(f"CHECKPOINT {quote_name(session.catalog)}")
    except duckdb.Error:
        return applied
    return applied.model_copy(update={"stamp_before": session.stamp, "stamp": stamp_database(database)})


def _clear(attempt: _Attempt) -> None:
    for trace in attempt.path.parent.glob(f"{attempt.path.stem}*"):
        trace.unlink(missing_ok=True)


def _carry_out_and_commit(session: Session, attempt: _Attempt, known: Fingerprint | None) -> Applied | str:
    job = attempt.job
    staging = staging_folder(job.place, job.staging_name)
    roots = [Path(folder) for folder in (*job.place.roots, job.place.workspace_root)]
    check_publishable(job.files, roots)
    crash_point("apply.after_begin")
    is_committed = False
    checks = [c for c in job.checks if c.name not in job.broken]
    held = run_checks(session, checks)
    measured = carry_out(session, attempt.work, staging=staging, prepared_files=job.files, known=known)
    crash_point("apply.after_statements")
    try:
        reason = _find_move(measured, job)
        if reason is not None:
            return reason
        refuse_ledger_change(session)
        newly = [c.name for c in find_broken(session, measured, held) if c.name not in job.broken]
        if newly:
            return f"{newly[0]} would break, which it did not in the preview"
        proven = _prove_undo(session, attempt.work, measured)
        record, record_hash = write_record(session, measured, job.change, attempt.path)
        crash_point("apply.after_images")
        applied = Applied(
            attempt=job.attempt,
            is_new=True,
            record_path=str(attempt.path),
            record_hash=record_hash,
            record_bytes=attempt.path.stat().st_size,
            result=record.result,
            seconds=round(time.perf_counter() - attempt.started, 4),
            proven=proven,
        )
        if not attempt.is_files_only:
            insert_receipt(session, job.change, job.digest, applied)
        crash_point("apply.after_receipt")
        with hold_commit_lock(attempt.state):
            if not is_claimed(attempt.state, job.change, job.attempt):
                raise ToolError(
                    f"The approval of {job.change} no longer holds; nothing was changed.",
                    code="conflict",
                    hint=f"Ask for the state of {job.change}.",
                )
            check_publishable(job.files, roots)
            crash_point("apply.before_commit")
            if attempt.is_files_only:
                write_receipt_file(attempt.state, job.digest, applied)
            else:
                _commit(session)
            is_committed = True
        crash_point("apply.after_commit")
        return applied
    finally:
        if not is_committed or attempt.is_files_only:
            with suppress(duckdb.Error):
                session.work.execute("ROLLBACK")


def _commit(session: Session) -> None:
    try:
        session.work.execute("COMMIT")
    except duckdb.Error as error:
        cause = explain(error)
        raise CommitError(cause.message, code=cause.code, hint=cause.hint) from error


def _find_move(measured: Measured, job: ApplyJob) -> str | None:
    now = {_key(p): p for p in measured.base.objects}
    for approved in job.base.objects:
        found = now.get(_key(approved))
        if found != approved:
            return _describe_move(approved, found)
    files = {p.path: p for p in print_files([f.path for f in job.base.files])}
    for file in job.base.files:
        if files[file.path] != file:
            return f"the file {Path(file.path).name} has changed since the preview"
    for effect in job.files:
        staged = Path(effect.staged)
        if effect.action != "removed" and not (staged.is_file() and file_sha256(staged) == effect.sha256):
            return f"the file staged for {Path(effect.path).name} is not the one that was approved"
    if measured.base.objects != job.base.objects or measured.expected != job.expected:
        return "the statements no longer have the effect that was approved: data they read has changed"
    if job.counts is not None and tuple(t.counts for t in measured.shown) != job.counts:
        return "the counts that were shown are not those of the effect"
    return None


def _key(print_: ObjectPrint) -> tuple[str, str, str]:
    return print_.kind, print_.schema_name, print_.name


def _describe_move(approved: ObjectPrint, found: ObjectPrint | None) -> str:
    name = (
        approved.name if approved.schema_name in {"main", approved.name} else f"{approved.schema_name}.{approved.name}"
    )
    if found is None or found.exists != approved.exists:
        return f"{approved.kind} {name} {'is gone' if approved.exists else 'now exists'}"
    if found.definition != approved.definition:
        return f"the definition of {approved.kind} {name} has changed since the preview"
    if found.row_count != approved.row_count:
        return f"{approved.kind} {name} had {approved.row_count} rows in the preview and has {found.row_count} now"
    return f"rows of {approved.kind} {name} have changed since the preview"


def _prove_undo(session: Session, work: Work, measured: Measured) -> bool:
    """For an undo: compare exact fingerprints, taken afresh, with those before the change; raises unless equal."""
    if work.record is None:
        return False
    shapes = {(t.table.schema_name, t.table.name): t.after for t in measured.tables}
    recorded = {_key(p) for p in work.record.base.objects}
    for table in measured.tables:
        if table.key not in recorded and table.before_print != table.expected_print:
            raise ToolError(
                f"Taking {work.record.change} back would change {table.table.label} too, which it had not touched.",
                code="conflict",
                hint="Nothing was changed.",
            )
    for before in work.record.base.objects:
        key = (before.kind, before.schema_name, before.name)
        shape = shapes.get((before.schema_name, before.name)) if before.kind == "table" else None
        if before.kind == "table" and (before.schema_name, before.name) not in shapes:
            continue
        found = print_object(find_object(measured.objects_after, before), key, session.work, session.catalog, shape)
        if found != before:
            raise ToolError(
                f"After taking {work.record.change} back, {before.kind} {before.name} would not be as it was before.",
                code="conflict",
                hint="Nothing was changed.",
            )
    return True
