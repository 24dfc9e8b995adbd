"""A change's measured effect, its age and its risk in words."""

import time
from typing import TYPE_CHECKING

from datasteward.changes.counts import count_of
from datasteward_tui.safe_text import show_line

if TYPE_CHECKING:
    from datasteward.changes.model import FileEffect, Preview, TableEffect


APPROVED_WORDS = "approved, not applied yet"


def summarise_effect(preview: "Preview", *, applied_as: str | None = None) -> str:
    """The effect in a few words: rows, objects and files.

    `applied_as` is the handle of a change that was applied: what was estimated of it is left out.
    """
    parts = [describe_table(t) for t in preview.tables if not (applied_as and t.is_estimated)]
    ran = [t.table.label for t in preview.tables if applied_as and t.is_estimated]
    if ran:
        parts.append(f"run of {', '.join(ran)}, /runs {applied_as} tells its rows")
    parts += [f"{c.kind} {c.name} {c.action}" for c in preview.schema_changes if not _is_told(c.name, preview)]
    parts += [f"{f.path.rsplit('/', 1)[-1]} {f.action}" for f in preview.files]
    return show_line("; ".join(parts) or "no effect", 400)


def _is_told(name: str, preview: "Preview") -> bool:
    return any(t.table.label == name for t in preview.tables)


def describe_table(effect: "TableEffect") -> str:
    """What happens to one table, in exact counts where they are known."""
    name = effect.table.label
    if effect.is_estimated:
        done = {"created": " created", "replaced": " rebuilt"}.get(effect.action, "")
        before = "" if effect.action == "created" else f"{effect.rows_before:,} → "
        rows = (
            f"{before}about {count_of(effect.rows_after, 'row')}"
            if effect.rows_after
            else "rows are known when it has run"
        )
        return f"{name}{done}, {rows}"
    if effect.action != "rows":
        return f"{name} {effect.action}, {effect.rows_before:,} → {count_of(effect.rows_after, 'row')}"
    parts = []
    if effect.updated:
        parts.append(f"{_of_all(effect.updated, effect)} change{_s(effect.updated)}")
    if effect.inserted:
        parts.append(f"{count_of(effect.inserted, 'row')} come{_s(effect.inserted)} in")
    if effect.deleted:
        parts.append(f"{_of_all(effect.deleted, effect)} go{'es' if effect.deleted == 1 else ''}")
    return f"{name}: {', '.join(parts) or 'no row changes'}"


def _of_all(number: int, effect: "TableEffect") -> str:
    return f"{number:,} of {count_of(effect.rows_before, 'row')}"


def _s(number: int) -> str:
    return "s" if number == 1 else ""


def describe_age(since: float, now: float | None = None) -> str:
    """`12 s`, `4 min`, `3 h`, `2 d` since a moment in seconds since 1970."""
    seconds = max(0.0, (time.time() if now is None else now) - since)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def describe_seconds(seconds: float) -> str:
    """`0.12 s`; `4 ms` below a hundredth."""
    return f"{seconds:.2f} s" if seconds >= 0.01 else f"{max(1, round(seconds * 1000))} ms"


def describe_file(file: "FileEffect") -> str:
    """What happens to one file, with its sizes and rows."""
    rows = f", {count_of(file.rows, 'row')}" if file.rows is not None else ""
    sizes = f"{file.size_before:,} → {file.size_after:,} bytes" if file.size_before else f"{file.size_after:,} bytes"
    return show_line(f"file {file.path} is {file.action}: {sizes}{rows}", 600)
