"""Runs the statements of one read in a worker: gate, stream, store, and the head of each result."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import duckdb
import pyarrow as pa

from datasteward.engine.carriers import Carrier, choose_carrier, quote_name
from datasteward.engine.duckdb_errors import explain_duckdb_error
from datasteward.engine.heads import MAX_HEAD_ROWS, add_facts, take_head
from datasteward.engine.jobs import QueryJob, ResultHead, StatementOutcome, StoredDraft
from datasteward.engine.result_files import ResultWriter, batch_rows
from datasteward.engine.session import PreparedStatement, Session
from datasteward.errors import Cancelled, ToolError

_FILE_FAULT = re.compile("CSV Error|Malformed JSON|JSON transform error")
"""What DuckDB says when a later line of a file is not what its first lines promised."""
HeadListener = Callable[[int, ResultHead], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    carriers: tuple[Carrier, ...]
    notes: tuple[str, ...]
    reader: pa.RecordBatchReader


def run_query(session: Session, job: QueryJob, tell_head: HeadListener) -> list[StatementOutcome]:
    """Every statement's outcome in order; raises `ToolError` before anything runs when one of them is refused."""
    prepared = session.prepare(job.sql)
    if job.parameters is not None and len(prepared) > 1:
        raise ToolError(
            f"Parameters were given with {len(prepared)} statements.",
            code="invalid_arguments",
            hint="Parameters go with one statement; send them one by one.",
        )
    outcomes = []
    for index, statement in enumerate(prepared):
        if job.is_dry_run:
            outcomes.append(_explain(session, statement, job))
        else:
            outcomes.append(_run_statement(session, statement, job, index, tell_head))
    return outcomes


def _run_statement(
    session: Session, statement: PreparedStatement, job: QueryJob, index: int, tell_head: HeadListener
) -> StatementOutcome:
    """One statement's outcome; a file whose later lines break what its first ones promise is read once more, by all lines."""
    try:
        return _try_statement(session, statement, job, index, tell_head)
    except ToolError as error:
        is_broken_file = isinstance(error.__cause__, duckdb.Error) and _FILE_FAULT.search(str(error.__cause__))
        again = session.prepare_by_all_lines(statement.sql) if is_broken_file else None
        if again is None:
            raise
    return _try_statement(session, again, job, index, tell_head)


def _try_statement(
    session: Session, statement: PreparedStatement, job: QueryJob, index: int, tell_head: HeadListener
) -> StatementOutcome:
    started = time.perf_counter()
    cursor = session.cursor()
    try:
        try:
            opened = _open(cursor, statement, job)
            head, draft = _store(session, opened, job, index, tell_head)
            if draft.row_count > len(head.rows):
                path = session.settings.results_folder / draft.file_name
                head = add_facts(head, opened.carriers, session.cursor(), path, draft.row_count)
        except duckdb.Error as error:
            names = session.known_names()
            raise explain_duckdb_error(error, statement.sql, names=names, is_cancelled=session.is_cancelled) from error
        except OSError as error:
            raise _explain_io(error) from error
    finally:
        session.close_cursor(cursor)
    return StatementOutcome(
        sql=statement.sql,
        kind=statement.kind,
        head=head,
        draft=draft,
        seconds=time.perf_counter() - started,
        sources=statement.sources,
    )


def _open(cursor: duckdb.DuckDBPyConnection, statement: PreparedStatement, job: QueryJob) -> _Opened:
    relation = _relation(cursor, statement.sql, job)
    names, notes = unique_names(relation.columns)
    notes = [*statement.told, *notes]
    carriers = tuple(choose_carrier(n, t) for n, t in zip(names, relation.types, strict=True))
    if any(not c.is_native for c in carriers):
        relation = relation.project(", ".join(_stored_expression(i, c) for i, c in enumerate(carriers, 1)))
        texts = [c.name for c in carriers if not c.is_restorable and c.type != "NULL"]
        if texts:
            notes = [*notes, f"stored as text: {', '.join(texts)}"]
    reader = relation.to_arrow_reader(batch_rows(len(carriers)))
    schema = pa.schema([f.with_name(c.name) for f, c in zip(reader.schema, carriers, strict=True)])
    return _Opened(carriers=carriers, notes=tuple(notes), reader=_renamed(reader, schema))


def _relation(cursor: duckdb.DuckDBPyConnection, sql: str, job: QueryJob) -> duckdb.DuckDBPyRelation:
    relation = cursor.sql(sql, params=job.parameters) if job.parameters is not None else cursor.sql(sql)
    if relation is None:
        raise ToolError(
            "The statement gives no rows.",
            code="forbidden",
            hint="run_query takes queries; propose_change takes writes.",
        )
    return relation


def _stored_expression(position: int, carrier: Carrier) -> str:
    if carrier.is_native:
        return f"#{position} AS {quote_name(carrier.name)}"
    return f"CAST(#{position} AS {carrier.stored_type}) AS {quote_name(carrier.name)}"


def _renamed(reader: pa.RecordBatchReader, schema: pa.Schema) -> pa.RecordBatchReader:
    if reader.schema.names == schema.names:
        return reader
    batches = (pa.RecordBatch.from_arrays(b.columns, schema=schema) for b in reader)
    return pa.RecordBatchReader.from_batches(schema, batches)


def _store(
    session: Session, opened: _Opened, job: QueryJob, index: int, tell_head: HeadListener
) -> tuple[ResultHead, StoredDraft]:
    file_name = f"{job.draft_prefix}-{index}.parquet"
    path = session.settings.results_folder / file_name
    batches = iter(opened.reader)
    first = next(batches, None)
    head = take_head(_table(first), opened.carriers, job.head_characters, opened.notes)
    tell_head(index, head)
    beginning = [first] if first is not None else []
    schema = first.schema if first is not None else opened.reader.schema
    cut_reason = None
    with ResultWriter(path, schema, opened.carriers) as writer:
        for batch in chain([first] if first is not None else [], batches):
            session.raise_if_cancelled()
            room = job.max_rows - writer.row_count
            if batch.num_rows > room:
                writer.write(batch.slice(0, room))
                cut_reason = f"stopped at {job.max_rows:,} rows"
                break
            writer.write(batch)
            if batch is not first and sum(b.num_rows for b in beginning) < MAX_HEAD_ROWS:
                beginning.append(batch)
            session.count_rows(writer.row_count)
            if writer.size_bytes() > job.max_bytes:
                cut_reason = f"stopped at {job.max_bytes:,} bytes on disk"
                break
        content_hash = writer.finish()
    if len(beginning) > 1:
        head = take_head(pa.Table.from_batches(beginning), opened.carriers, job.head_characters, opened.notes)
    return _fit_head(head, job.max_rows), StoredDraft(
        file_name=file_name,
        row_count=writer.row_count,
        size_bytes=path.stat().st_size,
        content_hash=content_hash,
        cut_reason=cut_reason,
    )


def _table(batch: pa.RecordBatch | None) -> pa.Table | None:
    return None if batch is None else pa.Table.from_batches([batch])


def _fit_head(head: ResultHead, max_rows: int) -> ResultHead:
    if len(head.rows) <= max_rows:
        return head
    return ResultHead(
        columns=head.columns, rows=head.rows[:max_rows], shortened_cells=head.shortened_cells, notes=head.notes
    )


def _explain(session: Session, statement: PreparedStatement, job: QueryJob) -> StatementOutcome:
    """What a statement would do: its plan, without running it; rows and bytes are the engine's estimates."""
    started = time.perf_counter()
    cursor = session.cursor()
    try:
        if statement.kind == "explain":
            raise ToolError("The statement is an EXPLAIN already.", code="invalid_arguments", hint="Drop dry_run.")
        plan = _relation(cursor, f"EXPLAIN (FORMAT json) {statement.sql}", job).fetchall()
        relation = _relation(cursor, statement.sql, job)
        carriers = tuple(
            choose_carrier(n, t) for n, t in zip(unique_names(relation.columns)[0], relation.types, strict=True)
        )
    except duckdb.Error as error:
        raise explain_duckdb_error(error, statement.sql, names=session.known_names()) from error
    finally:
        session.close_cursor(cursor)
    head = take_head(None, carriers, job.head_characters)
    rows = tuple((str(text),) for _, text in plan)
    return StatementOutcome(
        sql=statement.sql,
        kind=statement.kind,
        head=ResultHead(columns=head.columns, rows=rows, shortened_cells=0),
        draft=None,
        seconds=time.perf_counter() - started,
        sources=statement.sources,
    )


def unique_names(columns: Sequence[str]) -> tuple[list[str], list[str]]:
    """Column names made unique (upper and lower case alike) and non-empty, and a note when one was changed."""
    taken: set[str] = set()
    names: list[str] = []
    changed: list[str] = []
    for position, column in enumerate(columns):
        name = base = column or f"column{position}"
        count = 2
        while name.casefold() in taken:
            name, count = f"{base}_{count}", count + 1
        taken.add(name.casefold())
        names.append(name)
        if name != column:
            changed.append(name)
    return names, [f"renamed to be unique: {', '.join(changed)}"] if changed else []


def _explain_io(error: OSError) -> ToolError:
    if isinstance(error, InterruptedError):
        return Cancelled()
    if error.errno in {27, 28, 122} or "No space left" in str(error):
        return ToolError(
            "No space left to store the result.",
            code="disk_full",
            hint="Free some space and run it again; nothing was lost.",
        )
    return ToolError(f"The result could not be stored: {error}.", code="runtime")
