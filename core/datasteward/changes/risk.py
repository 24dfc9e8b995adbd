"""How much care a decision on a change needs, told from its measured effect."""

from collections.abc import Iterator
from typing import Literal

from datasteward.changes.model import Preview, Risk, TableEffect

MEDIUM_SHARE = 0.1
HIGH_SHARE = 0.5
NAMED_COLUMNS = 3

Level = Literal["medium", "high"]
Reason = tuple[Level, str]


def assess_risk(preview: Preview) -> Risk:
    """The highest level that any reason gives, with the reasons of that level first; `low` when there is none.

    High: it cannot be taken back, breaks a check, drops or replaces a table with rows, or updates and deletes at least
    half of one. Medium: at least a tenth, a table that a pipeline builds anew, a changed definition, a replaced file, something downstream, personal data.
    """
    found = [*_of_the_whole(preview)]
    noted = {c.name for c in preview.schema_changes if c.kind == "table" and c.only_notes}
    for table in preview.tables:
        is_noted = table.table.label in noted and not table.inserted + table.updated + table.deleted
        if not is_noted:
            found += _of_table(table)
    reasons = tuple(text for level in ("high", "medium") for given, text in found if given == level)
    if not reasons:
        return Risk()
    return Risk(level="high" if any(level == "high" for level, _ in found) else "medium", reasons=reasons)


def _of_the_whole(preview: Preview) -> Iterator[Reason]:
    if not preview.is_reversible:
        yield "high", "it cannot be taken back"
    if preview.checks:
        yield "high", f"it breaks {_count(len(preview.checks), 'check')}"
    if preview.downstream:
        yield "medium", f"{_count(len(preview.downstream), 'thing')} downstream"
    if preview.personal:
        shown = ", ".join(f"{p.dataset}.{p.column}" for p in preview.personal[:NAMED_COLUMNS])
        more = len(preview.personal) - NAMED_COLUMNS
        yield "medium", f"it touches personal data: {shown}{f' and {more} more' if more > 0 else ''}"
    for change in preview.schema_changes:
        if change.action != "created" and change.kind != "table" and not change.only_notes:
            yield "medium", f"{change.kind} {change.name} is {change.action}"
    for file in preview.files:
        if file.action != "created":
            name = file.path.rsplit("/", 1)[-1]
            yield "medium", f"the file {name} is {file.action}"
            lost = (file.rows_before or 0) - (file.rows or 0)
            if file.rows_before and file.rows is not None and lost >= HIGH_SHARE * file.rows_before:
                yield "high", f"{lost / file.rows_before:.0%} of the rows of the file {name} go"


def _of_table(effect: TableEffect) -> Iterator[Reason]:
    name = effect.table.label
    if effect.is_estimated and effect.action == "replaced":
        yield "medium", f"{name} is rebuilt"
    elif effect.action in {"dropped", "replaced"}:
        yield ("high" if effect.rows_before else "medium"), f"{name} is {effect.action}"
    elif effect.action == "altered":
        yield "medium", f"the definition of {name} changes"
    share = (effect.updated + effect.deleted) / max(1, effect.rows_before)
    if effect.action in {"rows", "altered"} and share >= MEDIUM_SHARE:
        yield ("high" if share >= HIGH_SHARE else "medium"), f"{share:.0%} of the rows of {name} change or go"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
