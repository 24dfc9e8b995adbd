"""One asset built and checked inside a transaction, so that nobody ever sees it half done.

The transaction holds the new rows, what is moved to quarantine, and the state row. A failing check takes all of it back.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb

from datasteward.changes.crash import crash_point
from datasteward.engine.carriers import quote_name, quote_text
from datasteward.errors import ToolError
from datasteward.lineage.sql_tokens import read_tokens
from datasteward.pipelines.analysis import Node
from datasteward.pipelines.auditing import Audit, audit_rows, audit_view, judge_tables
from datasteward.pipelines.build_model import QUARANTINE, Build, is_refreshed, kept_columns, within
from datasteward.pipelines.inlining import fill_window, has_window_marks
from datasteward.pipelines.run_model import StepOutcome
from datasteward.pipelines.state_model import AssetState, SeenFile, Versions, Window, WindowState
from datasteward.pipelines.windows import merge_windows

STAGED = "temp.main.__steward_staged"
_FILE_FUNCTIONS = {".csv": "read_csv", ".tsv": "read_csv", ".json": "read_json", ".ndjson": "read_json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A step's outcome and the state it leaves, both true once the transaction is committed."""

    outcome: StepOutcome
    state: AssetState


def build_step(cursor: duckdb.DuckDBPyConnection, build: Build) -> Built:
    """Build and check inside the open transaction; raises `CheckFailed` or DuckDB's error, and then it must not commit."""
    started = time.perf_counter()
    key = build.step.key
    crash_point(f"step.begun:{key}")
    audit = _build_rows(cursor, build)
    seconds = build.outside_seconds + time.perf_counter() - started
    outcome = StepOutcome(
        key=key,
        name=build.step.name,
        status="published",
        rows=audit.rows,
        quarantined=audit.quarantined,
        quarantine=f"{QUARANTINE}.{build.quarantine_name}" if audit.quarantined else None,
        seconds=round(seconds, 4),
        attempts=build.attempt,
        checks=audit.results,
        rows_before=build.state.rows if build.state else None,
        null_shares=audit.null_shares,
    )
    return Built(outcome=outcome, state=_state(build, audit, seconds))


def _build_rows(cursor: duckdb.DuckDBPyConnection, build: Build) -> Audit:
    match build.step.action:
        case "view":
            _drop_other_kind(cursor, build, "view")
            cursor.execute(f"CREATE OR REPLACE VIEW {build.target} AS {build.node.sql.strip().rstrip(';')}")
            return audit_view(cursor, build)
        case "build":
            _drop_other_kind(cursor, build, "table")
            cursor.execute(f"CREATE OR REPLACE TABLE {build.target} AS {rows_query(build)}")
            crash_point(f"step.built:{build.step.key}")
            return audit_rows(cursor, build, build.target, replaces=True)
        case _:
            _add_columns(cursor, build)
            cursor.execute(f"CREATE OR REPLACE TEMP TABLE {STAGED.rsplit('.', maxsplit=1)[-1]} AS {rows_query(build)}")
            crash_point(f"step.built:{build.step.key}")
            audit = audit_rows(cursor, build, STAGED, replaces=False)
            _merge_staged(cursor, build)
            results = (*audit.results, *judge_tables(cursor, build, build.target))
            cursor.execute(f"DROP TABLE {STAGED}")
            row = cursor.execute(f"SELECT count(*) FROM {build.target}").fetchone()
            return Audit(
                rows=int(row[0]) if row else 0,
                quarantined=audit.quarantined,
                results=results,
                null_shares=audit.null_shares,
            )


def _drop_other_kind(cursor: duckdb.DuckDBPyConnection, build: Build, kind: str) -> None:
    if build.stored_kind is not None and build.stored_kind != kind:
        cursor.execute(f"DROP {build.stored_kind.upper()} {build.target}")


def rows_query(build: Build) -> str:
    """The rows to store: the window filled in, new files only, columns as the asset keeps them."""
    node, step = build.node, build.step
    if build.source is not None:
        picked = ", ".join(
            f"CAST({quote_name(c.name)} AS {c.type}) AS {quote_name(c.name)}" for c in kept_columns(build)
        )
        return f"SELECT {picked} FROM read_parquet({quote_text(build.source)})"
    sql = node.sql.strip().rstrip(";")
    if step.action == "append":
        sql = restrict_files(sql, step.new_files, node)
    if step.windows and node.asset.options.time is not None:
        windows = [Window(start=w.start, end=w.end) for w in step.windows]
        if has_window_marks(sql):
            sql = fill_window(sql, Window(start=windows[0].start, end=windows[-1].end))
        time_column = quote_name(node.asset.options.time)
        sql = f"SELECT * FROM ({sql}\n) WHERE {within(time_column, windows)} OR {time_column} IS NULL"
    if node.asset.options.drift == "discard" and build.state is not None and not is_refreshed(build):
        kept = ", ".join(quote_name(n) for n, _ in build.state.columns)
        sql = f"SELECT {kept} FROM ({sql}\n)"
    return sql


def restrict_files(sql: str, new_files: Sequence[str], node: Node) -> str:
    """The query reading only these files of its one glob; raises `ToolError` when it has none or several."""
    tokens = read_tokens(sql)
    places = [t for t in tokens if t.kind == "string" and any(c in t.value for c in "*?[") and "/" in t.value]
    if len(places) != 1:
        raise ToolError(
            f"{node.asset.path}: append takes new files of one glob such as read_csv('inbox/*.csv'); found {len(places)}.",
            code="invalid_arguments",
            hint="Use merge, incremental or table instead.",
        )
    place = places[0]
    before = tokens[tokens.index(place) - 1]
    listed = "[" + ", ".join(quote_text(f) for f in new_files) + "]"
    if before.text == "(":
        return sql[: place.start] + listed + sql[place.end :]
    suffix = next((s for s in _FILE_FUNCTIONS if s in place.value.casefold()), "")
    function = _FILE_FUNCTIONS.get(suffix, "read_parquet")
    return f"{sql[: place.start]}{function}({listed}, union_by_name => true){sql[place.end :]}"


def _add_columns(cursor: duckdb.DuckDBPyConnection, build: Build) -> None:
    if build.step.action not in {"merge", "append"} or build.node.asset.options.drift == "discard":
        return
    have = {n.casefold() for n, _ in build.stored_columns}
    for column in build.node.columns:
        if column.name.casefold() not in have:
            cursor.execute(f"ALTER TABLE {build.target} ADD COLUMN {quote_name(column.name)} {column.type}")


def _merge_staged(cursor: duckdb.DuckDBPyConnection, build: Build) -> None:
    options = build.node.asset.options
    condition = ""
    match build.step.action:
        case "merge":
            keys = ", ".join(quote_name(c) for c in options.unique)
            cursor.execute(f"DELETE FROM {build.target} WHERE ({keys}) IN (SELECT ({keys}) FROM {STAGED})")
        case "fill":
            column = quote_name(options.time or "")
            windows = [Window(start=w.start, end=w.end) for w in build.step.windows]
            condition = within(column, windows)
            if build.step.compares_windows:
                condition = _differing_windows(cursor, build, column, condition)
            cursor.execute(f"DELETE FROM {build.target} WHERE {condition}")
        case _:
            pass
    where = f" WHERE {condition}" if condition else ""
    cursor.execute(f"INSERT INTO {build.target} BY NAME SELECT * FROM {STAGED}{where}")


def _differing_windows(cursor: duckdb.DuckDBPyConnection, build: Build, column: str, condition: str) -> str:
    """A condition that holds in the windows whose rows are not the same in the staged and the published table."""
    grain = quote_text(build.node.asset.options.grain)
    names = ", ".join(quote_name(n) for n, _ in build.stored_columns)
    facts = (
        f"SELECT system.main.date_trunc({grain}, {column})::TIMESTAMP AS w, count(*) AS n,"
        f" sum(system.main.hash({names})) AS s, bit_xor(system.main.hash({names})) AS x FROM"
    )
    rows = cursor.execute(
        f"SELECT coalesce(a.w, b.w)::VARCHAR FROM ({facts} {STAGED} WHERE {condition} GROUP BY 1) AS a"
        f" FULL JOIN ({facts} {build.target} WHERE {condition} GROUP BY 1) AS b ON a.w = b.w"
        " WHERE (a.n, a.s, a.x) IS DISTINCT FROM (b.n, b.s, b.x)"
    ).fetchall()
    moments = ", ".join(f"TIMESTAMP {quote_text(str(r[0]))}" for r in rows)
    return f"system.main.date_trunc({grain}, {column})::TIMESTAMP IN ({moments})" if moments else "false"


def _state(build: Build, audit: Audit, seconds: float) -> AssetState:
    node, step, old = build.node, build.step, build.state
    columns = kept_columns(build)
    names = [c.name.casefold() for c in columns]
    keeps_rows = old is not None and step.only_columns is not None
    changed = set(step.only_columns or ())
    versions = Versions(
        rows=old.versions.rows if keeps_rows and old else build.version,
        columns={
            n: old.versions.columns[n]
            if keeps_rows and old and n not in changed and n in old.versions.columns
            else build.version
            for n in names
        },
    )
    covered = [Window(start=w.start, end=w.end) for w in step.windows]
    if old is not None and step.action == "fill":
        covered += [w.to_window() for w in old.windows]
    files = {f.path: f for f in (old.files if old and step.action == "append" else ())}
    files |= {
        f.path: SeenFile(path=f.path, size=f.size, modified_ns=f.modified_ns) for o in node.outer for f in o.files
    }
    return AssetState(
        run=build.run,
        change=build.change,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        fingerprint=node.print,
        columns=tuple((c.name, c.type) for c in columns),
        versions=versions,
        outer={o.name: o.version for o in node.outer},
        reads=build.upstream,
        files=tuple(files.values()) if node.asset.options.materialize == "append" else (),
        windows=tuple(WindowState(start=w.start, end=w.end) for w in merge_windows(covered)),
        rows=audit.rows,
        quarantined=audit.quarantined,
        seconds=round(seconds, 4),
        attempts=build.attempt,
        null_shares=audit.null_shares,
        checks=audit.results,
    )
