"""Changes as text: for a terminal, a client's dialog, and the model that proposed them.

Everything that comes from data or from whoever asks is made safe first: control, bidirectional and invisible characters
are shown as escapes, so that a cell cannot draw over what is being approved.
"""

import unicodedata
from collections.abc import Sequence

from datasteward.changes.differences import compare_previews
from datasteward.changes.digest import show_digest
from datasteward.changes.model import FileEffect, Preview, TableEffect
from datasteward.changes.service import ChangeReport
from datasteward.changes.store import ChangeRow, ChangeSummary

CELL_CHARACTERS = 28
_UNSAFE = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
STATES = {
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


def make_safe(text: str) -> str:
    """The text with every control, bidirectional or invisible character shown as an escape; newlines stay."""
    return "".join(c if c == "\n" or unicodedata.category(c) not in _UNSAFE else f"\\u{{{ord(c):x}}}" for c in text)


def render_preview(preview: Preview, *, with_rows: bool = True, applied_as: str | None = None) -> str:
    """The effect, one block a table, then schema, files, checks, downstream and notes.

    `applied_as` is the handle of a change that was applied: what was estimated of it is left out.
    """
    lines: list[str] = []
    for table in preview.tables:
        if not (applied_as and table.is_estimated):
            lines += _table_lines(table, with_rows)
    ran = [make_safe(t.table.label) for t in preview.tables if applied_as and t.is_estimated]
    if ran:
        lines += [f"tables of the run: {', '.join(ran)}", f"steward pipeline status {applied_as} tells its rows"]
    for change in preview.schema_changes:
        lines.append(f"{change.kind} {make_safe(change.name)}: {change.action}")
        lines += [f"  {make_safe(d)}" for d in change.details]
    lines += [_file_line(f) for f in preview.files]
    lines += [f"would break check {make_safe(c.name)}: {make_safe(c.detail)}" for c in preview.checks]
    if preview.personal:
        shown = (f"{make_safe(p.dataset)}.{make_safe(p.column)} ({make_safe(p.kind)})" for p in preview.personal)
        lines.append(f"personal data: {', '.join(shown)}")
    if preview.downstream:
        lines.append(f"downstream: {', '.join(make_safe(d) for d in preview.downstream)}")
    lines += [f"note: {make_safe(n)}" for n in preview.notes]
    if not lines:
        lines.append("no effect: nothing would change")
    if preview.risk.reasons:
        lines.append(f"risk {preview.risk.level}: {make_safe('; '.join(preview.risk.reasons))}")
    lines.append(
        "can be taken back" if preview.is_reversible else f"CANNOT be taken back: {preview.irreversible_because}"
    )
    return "\n".join(lines)


def _estimated_line(name: str, table: TableEffect) -> str:
    """`orders rebuilt: 120 -> about 120 rows`; the run itself tells how many there are."""
    done = {"created": " created", "replaced": " rebuilt"}.get(table.action, "")
    if not table.rows_after:
        return f"{name}{done}: its rows are known when it has run"
    before = "" if table.action == "created" else f"{table.rows_before} -> "
    return f"{name}{done}: {before}about {table.rows_after} rows"


def _table_lines(table: TableEffect, with_rows: bool) -> list[str]:
    name = make_safe(table.table.label)
    if table.is_estimated:
        return [_estimated_line(name, table)]
    counts = f"+{table.inserted} ~{table.updated} -{table.deleted}"
    unchanged = table.matched - table.inserted - table.updated - table.deleted
    extra = f", {unchanged} matched rows keep their values" if unchanged > 0 and table.action == "rows" else ""
    kind = "" if table.action == "rows" else f" {table.action}"
    lines = [f"{name}{kind}: {counts} rows ({table.rows_before} -> {table.rows_after}){extra}"]
    for column in table.columns:
        span = ""
        if column.least_before is not None or column.least_after is not None:
            span = (
                f": {_cell(column.least_before)}..{_cell(column.greatest_before)} ->"
                f" {_cell(column.least_after)}..{_cell(column.greatest_after)}"
            )
        nulls = (
            f", nulls {column.nulls_before} -> {column.nulls_after}"
            if column.nulls_before or column.nulls_after
            else ""
        )
        lines.append(f"  {make_safe(column.column)} in {column.changed_rows} rows{span}{nulls}")
    if table.summarised_rows and table.summarised_rows < table.updated:
        lines.append(f"  (columns of the first {table.summarised_rows} of {table.updated} updated rows)")
    return lines + (_sample_lines(table) if with_rows else [])


def _sample_lines(table: TableEffect) -> list[str]:
    if not table.samples:
        return []
    shown = table.sample_columns[:8]
    grid = [["", *(make_safe(c) for c in shown)]]
    for row in table.samples:
        if row.before is not None:
            grid.append(["-", *(_cell(c) for c in row.before[:8])])
        if row.after is not None:
            grid.append(["+", *(_cell(c) for c in row.after[:8])])
    widths = [max(len(line[i]) for line in grid) for i in range(len(grid[0]))]
    return ["  " + "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in grid]


def _cell(value: str | None) -> str:
    if value is None:
        return "NULL"
    text = make_safe(value).replace("\n", "\\n")
    return text if len(text) <= CELL_CHARACTERS else f"{text[: CELL_CHARACTERS - 1]}…"


def _file_line(file: FileEffect) -> str:
    rows = f", {file.rows} rows" if file.rows is not None else ""
    if file.action == "removed":
        return f"file {make_safe(file.path)}: removed ({file.size_before} bytes)"
    was = f"{file.size_before} -> " if file.action == "replaced" else ""
    if file.rows_before is not None and file.rows is not None:
        rows = f", {file.rows_before} -> {file.rows} rows"
    if file.columns_removed:
        rows += f", without {', '.join(map(make_safe, file.columns_removed))}"
    if file.columns_added:
        rows += f", with new {', '.join(map(make_safe, file.columns_added))}"
    return f"file {make_safe(file.path)}: {file.action} ({was}{file.size_after} bytes{rows})"


def render_change(row: ChangeRow) -> str:
    """All that a person decides on: state, who and why, exact statements, effect, verdict and digest."""
    summary, proposal = row.summary, row.proposal
    lines = [f"{summary.handle}  {STATES[summary.status]}", f"asked by {make_safe(summary.requested_by)}"]
    if proposal.purpose:
        lines.append(f"they say (not verified): {make_safe(proposal.purpose)}")
    if summary.message:
        lines.append(make_safe(summary.message))
    if row.approval is not None:
        comment = f": {make_safe(row.approval.comment)}" if row.approval.comment else ""
        lines.append(f"{row.approval.verdict} by {make_safe(row.approval.by)} ({row.approval.channel}){comment}")
    lines.append("")
    if proposal.undo is not None:
        lines.append(f"take back {proposal.undo.change}")
    lines += [make_safe(s.sql) for s in proposal.statements]
    lines += [f"  {p.name} = {make_safe(repr(p.value))}" for p in proposal.parameters]
    applied_as = summary.handle if summary.status == "applied" else None
    lines += ["", render_preview(proposal.preview, applied_as=applied_as)]
    if row.earlier_preview is not None and summary.status == "waiting":
        lines += ["", *_difference_lines(row.earlier_preview, proposal.preview)]
    lines += ["", f"policy: {row.verdict}", f"digest: {show_digest(summary.digest)}"]
    return "\n".join(lines)


def _difference_lines(earlier: Preview, now: Preview) -> list[str]:
    return ["against what was shown before it moved:", *(f"  {make_safe(d)}" for d in compare_previews(earlier, now))]


def render_list(summaries: Sequence[ChangeSummary]) -> str:
    """One line a change."""
    if not summaries:
        return "no changes"
    return "\n".join(
        f"{s.handle:<6} {s.status:<9} {make_safe(s.requested_by)[:24]:<24} {make_safe(s.title)}" for s in summaries
    )


def render_report(report: ChangeReport, *, with_rows: bool = True) -> str:
    """What whoever proposed it is told: the state first, always in words."""
    lines = [f"{report.change}: {STATES[report.status]}"]
    if report.message:
        lines[0] += f" ({make_safe(report.message)})"
    if report.comment and report.comment != report.message:
        lines.append(f"comment: {make_safe(report.comment)}")
    if report.successor is not None:
        lines.append(f"{report.successor} takes its place")
    if report.proven:
        lines.append("proven: the fingerprint equals the one before the change")
    if report.undone_by:
        lines.append(f"taken back by {report.undone_by}")
    if report.preview_now is not None:
        lines += [f"what {report.successor} would do now:", render_preview(report.preview_now, with_rows=with_rows)]
        lines += _difference_lines(report.preview, report.preview_now)
    else:
        applied_as = report.change if report.status == "applied" else None
        lines.append(render_preview(report.preview, with_rows=with_rows, applied_as=applied_as))
    if report.earlier_preview is not None and report.status == "waiting":
        lines += _difference_lines(report.earlier_preview, report.preview)
    if report.status == "waiting":
        lines.append(f"Nothing is changed yet. Ask change_status for {report.change}; a person decides.")
    return "\n".join(lines)
