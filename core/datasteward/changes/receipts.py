"""Receipts: the proof, in the same transaction as the change, that a digest was applied.

They live in the user's database, schema `_steward`, table `receipts`, whose primary key is the digest, so that one
approval can never be applied twice. A change of files alone has a receipt file below `.steward/undo/` instead.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import duckdb

from datasteward.changes.claims import hold_commit_lock
from datasteward.changes.jobs import Applied, NotApplied, ReceiptJob, WriterPlace
from datasteward.changes.model import FileEffect
from datasteward.changes.names import LEDGER_SCHEMA, quote_name
from datasteward.changes.publishing import publish
from datasteward.changes.record import sync_file
from datasteward.changes.rows import read_row
from datasteward.changes.session import Session, open_session
from datasteward.errors import ToolError

DISK_FULL = frozenset({27, 28, 122})
"""The numbers of the system's errors that tell of no room: file too large, no space, quota."""


def insert_receipt(session: Session, change: str, digest: str, applied: Applied) -> None:
    """Write the receipt inside the open transaction of `session.work`."""
    schema = f"{quote_name(session.catalog)}.{LEDGER_SCHEMA}"
    session.work.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    session.work.execute(
        f"CREATE TABLE IF NOT EXISTS {schema}.receipts"
        " (digest VARCHAR PRIMARY KEY, change VARCHAR NOT NULL, body VARCHAR NOT NULL)"
    )
    session.work.execute(f"INSERT INTO {schema}.receipts VALUES (?, ?, ?)", [digest, change, applied.model_dump_json()])


def find_receipt(session: Session, digest: str) -> Applied | None:
    """The receipt of a digest in the committed state of the database, or None."""
    if not _has_ledger(session, session.before):
        return None
    row = read_row(
        session.before,
        f"SELECT body FROM {quote_name(session.catalog)}.{LEDGER_SCHEMA}.receipts WHERE digest = ?",
        [digest],
    )
    return None if row is None else Applied.model_validate_json(str(row[0]))


def refuse_ledger_change(session: Session) -> None:
    """Raise `ToolError` (forbidden) when the open transaction has touched the receipts; last line behind the gate."""
    if _print_ledger(session, session.before) != _print_ledger(session, session.work):
        raise ToolError(
            "The change would alter the receipts of earlier changes.", code="forbidden", hint="Nothing was changed."
        )


def _print_ledger(session: Session, connection: duckdb.DuckDBPyConnection) -> str | None:
    if not _has_ledger(session, connection):
        return None
    value = "system.main.hash(digest, change, body)"
    table = f"{quote_name(session.catalog)}.{LEDGER_SCHEMA}.receipts"
    return str(read_row(connection, f"SELECT system.main.count(*), system.main.sum({value}) FROM {table}"))


def _has_ledger(session: Session, connection: duckdb.DuckDBPyConnection) -> bool:
    found = read_row(
        connection,
        "SELECT 1 FROM system.main.duckdb_tables() WHERE database_name = ? AND schema_name = ? AND table_name ="
        " 'receipts'",
        [session.catalog, LEDGER_SCHEMA],
    )
    return found is not None


def receipt_path(state_folder: Path, digest: str) -> Path:
    """Where the receipt of a change of files alone is."""
    return state_folder / "undo" / f"{digest}.receipt.json"


def write_receipt_file(state_folder: Path, digest: str, applied: Applied) -> None:
    """Make the receipt of a change of files alone durable; this is its commit."""
    path = receipt_path(state_folder, digest)
    draft = path.with_suffix(".draft")
    draft.write_text(applied.model_dump_json())
    sync_file(draft)
    draft.replace(path)
    sync_file(path)


def read_receipt_file(state_folder: Path, digest: str) -> Applied | None:
    """The receipt of a change of files alone, or None."""
    path = receipt_path(state_folder, digest)
    return Applied.model_validate_json(path.read_text()) if path.is_file() else None


class UnpublishedError(ToolError):
    """The change is committed and some of its files are not in their places; asking again brings them there."""


def publish_all(files: Sequence[FileEffect], place: WriterPlace) -> None:
    """Bring every staged file of a committed change to its place, and clear its staging away; safe to repeat.

    Raises `UnpublishedError` with what is left to do, once all that can be done is.
    """
    left: list[str] = []
    cause: OSError | ToolError | None = None
    for effect in files:
        try:
            publish(effect)
        except (OSError, ToolError) as error:
            cause = error
            done = "removed" if effect.action == "removed" else "written"
            reason = error.message if isinstance(error, ToolError) else f"{error.strerror or error}."
            left.append(f"{_shown(effect.path, place)} is not {done} yet: {reason}")
    if cause is not None:
        is_full = isinstance(cause, OSError) and cause.errno in DISK_FULL
        raise UnpublishedError(
            f"The change is committed, but {' '.join(left)}",
            code="disk_full" if is_full else "unavailable",
            hint="Mend that, then ask for the change's state again: what is missing is done then, and nothing twice.",
        ) from cause
    for folder in {Path(effect.staged).parent for effect in files if effect.staged}:
        with suppress(OSError):
            folder.rmdir()


def _shown(path: str, place: WriterPlace) -> str:
    """The path from the workspace, where it is below that."""
    root = Path(place.workspace_root)
    return str(Path(path).relative_to(root)) if Path(path).is_relative_to(root) else path


def settle_attempt(job: ReceiptJob) -> Applied | NotApplied:
    """Find out whether an interrupted attempt was applied; finish its files if so, clear away its traces if not.

    The caller must have taken the attempt's claim away before, so that a writer that is still alive cannot commit.
    """
    state = Path(job.place.state_folder)
    with hold_commit_lock(state):
        receipt = read_receipt_file(state, job.digest) or _database_receipt(job.place, job.digest)
        if receipt is None:
            _remove_traces(state, job.change, job.attempt)
            return NotApplied()
        publish_all(job.files, job.place)
        return receipt.model_copy(update={"is_new": False})


def _database_receipt(place: WriterPlace, digest: str) -> Applied | None:
    from datasteward.changes.measurement import session_settings

    if not Path(place.database).exists():
        return None
    settings = session_settings(place, "1970-01-01T00:00:00+00:00")
    with open_session(settings, images=None) as session:
        return find_receipt(session, digest)


def _remove_traces(state: Path, change: str, attempt: str) -> None:
    for path in (state / "undo").glob(f"{change}-{attempt}*"):
        path.unlink(missing_ok=True)


def record_path(state_folder: Path, change: str, attempt: str) -> Path:
    """Where the undo record of an attempt is written."""
    return state_folder / "undo" / f"{change}-{attempt}.duckdb"
