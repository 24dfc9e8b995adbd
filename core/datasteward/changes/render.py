"""Changes as text: for a terminal, a client's dialog, and the model that proposed them.

Everything that comes from data or from whoever asks is made safe first (`quoting`): a cell cannot draw over what is
being approved, and no line of a purpose, a comment or the SQL can pass for one of ours.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from datasteward.changes.counts import count_of, span_of
from datasteward.changes.differences import compare_previews
from datasteward.changes.digest import show_digest
from datasteward.changes.model import ChangeStatus, ColumnChange, FileEffect, Preview, TableEffect
from datasteward.changes.quoting import make_line, quote
from datasteward.changes.reports import ChangeReport
from datasteward.changes.stored import ChangeRow, ChangeSummary

CELL_CHARACTERS = 28
SHOWN_COLUMNS = 8
TAB_CELLS = 4
"""Messages of DuckDB are laid out with tabs."""
MEASURED_COLUMNS = 12
"""As many columns of a sample row are measured; where there are that many, there may be more."""
STATES: dict[ChangeStatus, str] = {
    "waiting": "waiting for a decision",
    "approved": "approved, not applied yet",
    "applying": "being applied",
    "applied": "applied",
    "rejected": "rejected",
    "denied": "denied by the policy",
    "expired": "expired without being applied",
    "moved": "not applied: what it touches has moved",
    "failed": "failed; nothing was changed",
    "replaced": "replaced by an edited proposal",
    "unknown": "not settled yet; ask again",
}
Reader = Literal["model", "person"]
"""Who reads: a model is told the tools that go on, a person the commands."""
_CAN_STILL_BE_TAKEN_BACK: frozenset[ChangeStatus] = frozenset({"waiting", "approved", "applying", "applied", "unknown"})


def has_effect_to_take_back(status: ChangeStatus, undone_by: object) -> bool:
    """Whether taking it back means anything: it may still be applied, or is and stands."""
    return status in _CAN_STILL_BE_TAKEN_BACK and not undone_by


def render_preview(
    preview: Preview,
    *,
    with_rows: bool = True,
    applied_as: str | None = None,
    with_return: bool = True,
    reader: Reader = "model",
    root: Path | None = None,
) -> str:
    """The effect, one block a table, then schema, files, checks, downstream and notes.

    `applied_as` is the handle of a change that was applied: what was estimated of it is left out. Files below `root`
    are named relative to it. `with_return` tells whether it can be taken back.
    """
    lines: list[str] = []
    for table in preview.tables:
        if not (applied_as and table.is_estimated):
            lines += _table_lines(table, with_rows, is_done=applied_as is not None)
    ran = [make_line(t.table.label) for t in preview.tables if applied_as and t.is_estimated]
    if ran:
        status = "pipeline_status" if reader == "model" else "steward pipeline status"
        lines += [f"tables of the run: {', '.join(ran)}", f"{status} {applied_as} tells its rows"]
    for change in preview.schema_changes:
        lines.append(f"{change.kind} {make_line(change.name)}: {change.action}")
        lines += [f"  {make_line(d)}" for d in change.details]
    lines += [_file_line(f, root) for f in preview.files]
    lines += [f"would break check {make_line(c.name)}: {make_line(c.detail)}" for c in preview.checks]
    if preview.personal:
        shown = (f"{make_line(p.dataset)}.{make_line(p.column)} ({make_line(p.kind)})" for p in preview.personal)
        lines.append(f"personal data: {', '.join(shown)}")
    if preview.downstream:
        lines.append(f"downstream: {', '.join(make_line(d) for d in preview.downstream)}")
    lines += [f"note: {make_line(n)}" for n in preview.notes]
    if not lines:
        lines.append("no effect: nothing would change")
    reasons = make_line("; ".join(preview.risk.reasons))
    lines.append(f"risk {preview.risk.level}{f': {reasons}' if reasons else ''}")
    if with_return:
        because = make_line(preview.irreversible_because or "")
        lines.append("can be taken back" if preview.is_reversible else f"CANNOT be taken back: {because}")
    return "\n".join(lines)


def _estimated_line(name: str, table: TableEffect) -> str:
    """`orders rebuilt: 120 -> about 120 rows`; the run itself tells how many there are."""
    done = {"created": " created", "replaced": " rebuilt"}.get(table.action, "")
    if not table.rows_after:
        return f"{name}{done}: its rows are known when it has run"
    before = "" if table.action == "created" else f"{table.rows_before:,} -> "
    return f"{name}{done}: {before}about {count_of(table.rows_after, 'row')}"


def _table_lines(table: TableEffect, with_rows: bool, *, is_done: bool) -> list[str]:
    name = make_line(table.table.label)
    if table.is_estimated:
        return [_estimated_line(name, table)]
    changed = table.inserted + table.updated + table.deleted
    unchanged = table.matched - changed if table.action == "rows" else 0
    keeps = "row keeps its" if unchanged == 1 else "rows keep their"
    extra = f", {unchanged:,} matched {keeps} values" if unchanged > 0 else ""
    if table.action == "rows" and not changed:
        happens = "no row changed" if is_done else "no row would change"
        return [f"{name}: no effect: {happens} ({count_of(table.rows_before, 'row')}){extra}"]
    kind = "" if table.action == "rows" else f" {table.action}"
    counts = f"+{table.inserted:,} ~{table.updated:,} -{table.deleted:,}"
    lines = [f"{name}{kind}: {counts} rows ({table.rows_before:,} -> {table.rows_after:,}){extra}"]
    lines += [_column_line(column) for column in table.columns]
    if table.summarised_rows and table.summarised_rows < table.updated:
        lines.append(f"  (columns of the first {table.summarised_rows:,} of {count_of(table.updated, 'updated row')})")
    return lines + (_sample_lines(table) if with_rows else [])


def _column_line(column: ColumnChange) -> str:
    span = ""
    if column.least_before is not None or column.least_after is not None:
        before = span_of(_cell_or_none(column.least_before), _cell_or_none(column.greatest_before))
        span = f": {before} -> {span_of(_cell_or_none(column.least_after), _cell_or_none(column.greatest_after))}"
    nulls = ""
    if column.nulls_before or column.nulls_after:
        nulls = f", nulls {_number(column.nulls_before)} -> {_number(column.nulls_after)}"
    return f"  {make_line(column.column)} in {count_of(column.changed_rows, 'row')}{span}{nulls}"


def _number(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def _sample_lines(table: TableEffect) -> list[str]:
    if not table.samples:
        return []
    shown = table.sample_columns[:SHOWN_COLUMNS]
    grid = [["", *(make_line(c) for c in shown)]]
    for row in table.samples:
        if row.before is not None:
            grid.append(["-", *(_cell(c) for c in row.before[:SHOWN_COLUMNS])])
        if row.after is not None:
            grid.append(["+", *(_cell(c) for c in row.after[:SHOWN_COLUMNS])])
    widths = [max(len(line[i]) for line in grid) for i in range(len(grid[0]))]
    lines = ["  " + "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in grid]
    return lines + _left_out(table)


def _left_out(table: TableEffect) -> list[str]:
    rows = table.inserted + table.updated + table.deleted - len(table.samples)
    columns = len(table.sample_columns) - SHOWN_COLUMNS
    or_more = " or more" if len(table.sample_columns) >= MEASURED_COLUMNS else ""
    parts = [count_of(rows, "more row")] if rows > 0 else []
    parts += [count_of(columns, "more column") + or_more] if columns > 0 else []
    return [f"  ({' and '.join(parts)} not shown)"] if parts else []


def _cell_or_none(value: str | None) -> str | None:
    return None if value is None else _cell(value)


def _cell(value: str | None) -> str:
    if value is None:
        return "NULL"
    text = make_line(value)
    return text if len(text) <= CELL_CHARACTERS else f"{text[: CELL_CHARACTERS - 1]}…"


def _file_line(file: FileEffect, root: Path | None) -> str:
    path = make_line(name_below(file.path, root))
    rows = f", {count_of(file.rows, 'row')}" if file.rows is not None else ""
    if file.action == "removed":
        return f"file {path}: removed ({count_of(file.size_before, 'byte')})"
    was = f"{file.size_before:,} -> " if file.action == "replaced" else ""
    if file.rows_before is not None and file.rows is not None:
        rows = f", {file.rows_before:,} -> {count_of(file.rows, 'row')}"
    if file.columns_removed:
        rows += f", without {', '.join(map(make_line, file.columns_removed))}"
    if file.columns_added:
        rows += f", with new {', '.join(map(make_line, file.columns_added))}"
    return f"file {path}: {file.action} ({was}{count_of(file.size_after, 'byte')}{rows})"


def name_below(path: str, root: Path | None) -> str:
    """The path relative to `root` where it is below it, else as it is."""
    return str(Path(path).relative_to(root)) if root is not None and Path(path).is_relative_to(root) else path


def render_change(row: ChangeRow, *, root: Path | None = None, policy_note: str | None = None) -> str:
    """All that a person decides on: state, who and why, exact statements, effect, verdict and digest.

    Whoever proposed it, and whoever commented, is quoted: each of their lines begins with `| `. `policy_note` says
    why a verdict of the policy does not count.
    """
    summary, proposal = row.summary, row.proposal
    lines = [f"{summary.handle}  {STATES[summary.status]}"]
    if summary.undone_by is not None:
        lines[0] += f", taken back by c{summary.undone_by}"
    if summary.replaced_by is not None:
        lines[0] += f"; c{summary.replaced_by} takes its place"
    lines.append(f"asked by {make_line(summary.requested_by)}")
    if proposal.purpose:
        lines += ["they say (not verified):", *quote(proposal.purpose)]
    comment = row.approval.comment if row.approval is not None else ""
    if summary.message and summary.message != comment:
        lines += ["what came of it:", *quote(summary.message.expandtabs(TAB_CELLS))]
    if row.approval is not None:
        verb = {"approve": "approved", "reject": "rejected"}[row.approval.verdict]
        lines.append(f"{verb} by {make_line(row.approval.by)} ({row.approval.channel}){':' if comment else ''}")
        lines += quote(comment) if comment else []
    lines += ["", *_work_lines(row), "", *_effect_lines(row, root)]
    first, *rest = row.verdict.splitlines() or [""]
    lines += ["", f"policy: {make_line(first)}", *(f"  {make_line(line.strip())}" for line in rest)]
    lines += [policy_note] if policy_note else []
    lines.append(f"digest: {show_digest(summary.digest)}")
    if summary.status == "approved":
        lines += ["", f"Approved and not applied: steward changes approve {summary.handle} applies it,"]
        lines.append(f"steward changes reject {summary.handle} takes the approval back.")
    return "\n".join(lines)


def _work_lines(row: ChangeRow) -> list[str]:
    proposal = row.proposal
    lines = [f"take back {proposal.undo.change}"] if proposal.undo is not None else []
    for statement in proposal.statements:
        lines += quote(statement.sql)
    if proposal.parameters:
        lines.append("with the parameters:")
        for parameter in proposal.parameters:
            lines += quote(f"{parameter.name} = {parameter.value!r}")
    return lines


def _effect_lines(row: ChangeRow, root: Path | None) -> list[str]:
    summary, preview = row.summary, row.proposal.preview
    shown = render_preview(
        preview,
        applied_as=summary.handle if summary.status == "applied" else None,
        with_return=has_effect_to_take_back(summary.status, summary.undone_by),
        reader="person",
        root=root,
    )
    lines = [shown]
    if row.earlier_preview is not None and summary.status == "waiting":
        lines += ["", *_difference_lines(row.earlier_preview, preview)]
    return lines


def _difference_lines(earlier: Preview, now: Preview) -> list[str]:
    return ["against what was shown before it moved:", *(f"  {make_line(d)}" for d in compare_previews(earlier, now))]


def render_list(summaries: Sequence[ChangeSummary]) -> str:
    """One line a change; one that was taken back is `undone`, whatever it was before."""
    if not summaries:
        return "no changes"
    return "\n".join(map(_list_line, summaries))


def _list_line(summary: ChangeSummary) -> str:
    status = summary.status if summary.undone_by is None else "undone"
    line = f"{summary.handle:<6} {status:<9} {make_line(summary.requested_by)[:24]:<24} {make_line(summary.title)}"
    return line if summary.undone_by is None else f"{line} (taken back by c{summary.undone_by})"


def render_report(
    report: ChangeReport, *, with_rows: bool = True, reader: Reader = "model", root: Path | None = None
) -> str:
    """What whoever proposed it is told: the state first, always in words; comments and errors are quoted."""
    lines = [f"{report.change}: {STATES[report.status]}"]
    if report.message and report.message != report.comment:
        message = report.message.expandtabs(TAB_CELLS)
        is_short = "\n" not in message
        lines[0] += f" ({make_line(message)})" if is_short else ""
        lines += [] if is_short else quote(message)
    if report.comment:
        lines += ["comment:", *quote(report.comment)]
    if report.successor is not None:
        lines.append(f"{report.successor} takes its place")
    if report.proven:
        lines.append("proven: the fingerprint equals the one before the change")
    if report.undone_by:
        lines.append(f"taken back by {report.undone_by}")
    if report.preview_now is not None:
        lines.append(f"what {report.successor} would do now:")
        lines.append(render_preview(report.preview_now, with_rows=with_rows, reader=reader, root=root))
        lines += _difference_lines(report.preview, report.preview_now)
    else:
        shown = render_preview(
            report.preview,
            with_rows=with_rows,
            applied_as=report.change if report.status == "applied" else None,
            with_return=has_effect_to_take_back(report.status, report.undone_by),
            reader=reader,
            root=root,
        )
        lines.append(shown)
    if report.earlier_preview is not None and report.status == "waiting":
        lines += _difference_lines(report.earlier_preview, report.preview)
    return "\n".join([*lines, *_next_lines(report, reader)])


def _next_lines(report: ChangeReport, reader: Reader) -> list[str]:
    change = report.change
    if report.status == "waiting":
        where = " in the inbox, since its risk is high" if report.preview.risk.level == "high" else ""
        status = "change_status" if reader == "model" else "steward changes show"
        return [f"Nothing is changed yet; a person decides{where}. {status} {change} tells of it."]
    if report.status == "approved":
        goes_on = f"change_status {change}" if reader == "model" else f"steward changes approve {change}"
        return [f"It is approved and not applied: {goes_on} applies it."]
    return []
