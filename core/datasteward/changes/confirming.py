"""What a person types to approve a change that is large or final, in every front end alike: something the preview shows."""

from dataclasses import dataclass

from datasteward.changes.model import Preview, TableEffect
from datasteward.changes.quoting import make_line

TYPED_SHARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedAnswer:
    """What to type, in short and with what stands where, and the one answer."""

    short: str
    question: str
    answer: str

    def accepts(self, typed: str) -> bool:
        """Whether it was typed, with or without the commas of a number."""
        return typed.strip().replace(",", "").casefold() == self.answer.casefold()


def answer_to_type(change: str, preview: Preview) -> TypedAnswer | None:
    """What to ask before the change is applied; None when a plain yes will do.

    It will not where more than a tenth of a measured table changes or goes, and where the risk is high: the change
    cannot be taken back, breaks a check, or drops or replaces a table with rows. Asked is for one of the counts
    `+1 ~2 -3` of the table that most rows change in, and for the change's name where no row is counted.
    """
    counted = [t for t in preview.tables if not t.is_estimated]
    is_plain = preview.is_reversible and preview.risk.level != "high"
    if is_plain and not any(_is_large(t) for t in counted):
        return None
    counts = [_largest(t) for t in counted]
    if not counts or not (most := max(counts, key=lambda c: c.number)).number:
        return TypedAnswer(
            short=f"Type {change}.",
            question=f"This is final or breaks something. Type {change} to apply it",
            answer=change,
        )
    return TypedAnswer(
        short=f"Type how many rows {most.verb} {most.table}.",
        question=f"This is large or final. Type how many rows {most.verb} {most.table} (the number after {most.mark})"
        f" to apply {change}",
        answer=str(most.number),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Count:
    table: str
    number: int
    verb: str
    mark: str


def _largest(table: TableEffect) -> _Count:
    name = make_line(table.table.label)
    numbers = ((table.deleted, "go in", "-"), (table.updated, "change in", "~"), (table.inserted, "come into", "+"))
    counts = [_Count(table=name, number=n, verb=verb, mark=mark) for n, verb, mark in numbers]
    return max(counts, key=lambda c: c.number)


def _is_large(table: TableEffect) -> bool:
    return table.deleted + table.updated > TYPED_SHARE * max(1, table.rows_before)
