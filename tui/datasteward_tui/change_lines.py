"""A proposed change as lines: who asks and why, its risk and what the policy says, its SQL, its effect, its proof."""

import difflib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text
from textual.strip import Strip

from datasteward_tui.change_effect import draw_effect
from datasteward_tui.change_words import APPROVED_WORDS, summarise_effect
from datasteward_tui.fact_lines import draw_fact
from datasteward_tui.palette import Palette
from datasteward_tui.safe_text import show_block, show_line
from datasteward_tui.sql_text import colour_sql
from datasteward_tui.strips import blank, wrap_text

if TYPE_CHECKING:
    from datasteward.changes.model import Fingerprint, Proposal
    from datasteward.changes.store import ChangeRow

LONGEST_SHOWN = 200_000
"""Characters of one statement or parameter that are shown."""
RISK_SIGNS = {"low": "●", "medium": "▲", "high": "■"}
UNSIGNED_WORDS = "! but the policy is not signed, so its allow rules do not count and this waits; steward policy sign"
_VERDICTS = {"allow": "allows it", "ask": "asks", "deny": "denies it"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeCase:
    """A change and those it belongs with: what it undoes or was undone by, and what it was edited from."""

    row: "ChangeRow"
    undo_pair: "ChangeRow | None" = None
    edited_from: "ChangeRow | None" = None
    allow_counts: bool = True
    """Whether `allow` rules count: there is no approver's key, or the policy is signed with it."""


def draw_change(case: ChangeCase, width: int, palette: Palette) -> list[Strip]:
    """All that a person needs for a decision, nothing cut but cells, which say so."""
    row = case.row
    applied_as = row.summary.handle if row.summary.status == "applied" else None
    headline = summarise_effect(row.proposal.preview, applied_as=applied_as)
    strips = wrap_text(Text(headline, palette.heading), width)
    strips += [*_draw_who(row, width, palette), *_draw_weight(case, width, palette)]
    if row.summary.status == "approved":
        strips += draw_fact("state", f"{APPROVED_WORDS}: a applies it", width, palette, style=palette.warn)
    if row.approval is not None:
        strips += draw_fact("decided", _decision(row), width, palette)
    strips += _draw_proof(case, width, palette)
    strips += _draw_sql(case, width, palette)
    strips += draw_effect(row.proposal.preview, width, palette, is_applied=applied_as is not None)
    if row.earlier_preview is not None:
        words = f"was measured before as {summarise_effect(row.earlier_preview)}"
        strips += wrap_text(Text(words, palette.muted), width)
    return strips


def is_shown_whole(proposal: "Proposal") -> bool:
    """Whether nothing of what would run is cut: a text beyond the limit may hide anything in its rest."""
    texts = [s.sql for s in proposal.statements] + [str(p.value) for p in proposal.parameters]
    return all(len(text) <= LONGEST_SHOWN for text in texts)


def risk_style(level: str, palette: Palette) -> Style:
    """The colour of a risk level; its sign says the same without colour."""
    return {"high": palette.bad, "medium": palette.warn}.get(level, palette.good)


def _draw_who(row: "ChangeRow", width: int, palette: Palette) -> Iterator[Strip]:
    asked = Text.assemble((show_line(row.proposal.requested_by, 80), palette.strong))
    if row.proposal.purpose:
        asked.append(f"  “{show_line(row.proposal.purpose, 600)}”", palette.text)
    yield from draw_fact("asks", asked, width, palette)
    if row.summary.message:
        yield from draw_fact("note", show_block(row.summary.message, 2000), width, palette, style=palette.warn)


def _draw_weight(case: ChangeCase, width: int, palette: Palette) -> Iterator[Strip]:
    row = case.row
    risk = row.proposal.preview.risk
    words = Text(f"{RISK_SIGNS[risk.level]} {risk.level}", risk_style(risk.level, palette))
    if risk.reasons:
        words.append(f"  {show_line(' · '.join(risk.reasons), 1000)}", palette.text)
    yield from draw_fact("risk", words, width, palette)
    first, *others = row.verdict.splitlines() or [""]
    verdict, _, rule = first.partition(": decided by ")
    said = Text(_VERDICTS.get(verdict, show_line(verdict, 40)), palette.text)
    said.append(f"  by {show_line(rule, 200)}" if rule != "the default" else "  no rule settles it", palette.muted)
    yield from draw_fact("policy", said, width, palette)
    if verdict == "allow" and row.summary.status == "waiting" and not case.allow_counts:
        yield from draw_fact("", UNSIGNED_WORDS, width, palette, style=palette.warn)
    for line in others:
        yield from draw_fact("", show_line(line.strip(), 300), width, palette, style=palette.muted)


def _decision(row: "ChangeRow") -> Text:
    assert row.approval is not None
    given = row.approval
    verb = "approved" if given.verdict == "approve" else "rejected"
    words = f"{verb} by {show_line(given.by, 80)} ({given.channel}) at {given.at[:16].replace('T', ' ')}"
    signed = ", signed" if given.signature else ""
    comment = f"  “{show_line(given.comment, 600)}”" if given.comment else ""
    return Text(f"{words}{signed}{comment}")


def _draw_sql(case: ChangeCase, width: int, palette: Palette) -> Iterator[Strip]:
    proposal = case.row.proposal
    if case.edited_from is not None:
        yield from draw_fact("edited", f"from {case.edited_from.summary.handle}", width, palette, style=palette.accent)
        yield from _draw_edit(case.edited_from.proposal, proposal, width, palette)
    else:
        for statement in proposal.statements:
            for line in colour_sql(statement.sql.strip(), palette).split("\n"):
                yield from wrap_text(line, width, first=Text("▏ ", palette.bar))
    if proposal.undo is not None:
        yield from wrap_text(Text(f"takes back {show_line(proposal.undo.change, 20)}", palette.strong), width)
    for parameter in proposal.parameters:
        words = f"${show_line(parameter.name, 40)} = {show_line(str(parameter.value), LONGEST_SHOWN)}"
        yield from wrap_text(Text(words, palette.muted), width)


def _draw_edit(before: "Proposal", after: "Proposal", width: int, palette: Palette) -> Iterator[Strip]:
    """The new text whole, with the lines that are no longer there."""
    old, new = ([line for s in p.statements for line in show_block(s.sql.strip()).split("\n")] for p in (before, after))
    for line in difflib.ndiff(old, new):
        style = {"-": palette.removed, "+": palette.added}.get(line[0], palette.text)
        if line[0] != "?":
            yield from wrap_text(Text(line[2:], style), width, first=Text(f"▏{line[0]} ", style))


def _draw_proof(case: ChangeCase, width: int, palette: Palette) -> Iterator[Strip]:
    if case.undo_pair is None:
        return
    undo, undone = (case.row, case.undo_pair) if case.row.proposal.undo else (case.undo_pair, case.row)
    if undo.applied is None:
        return
    if undo.applied.proven:
        yield from draw_fact("proof", "✓ all is exactly as it was before", width, palette, style=palette.good)
    else:
        yield from draw_fact("proof", "! what is there now differs from before", width, palette, style=palette.bad)
    then, now = _prints(undone.proposal.base), _prints(undo.applied.result or undo.proposal.expected)
    for name, mark in then.items():
        after = now.get(name, "not there")
        words = Text.assemble(
            (show_line(name, 60), palette.strong),
            (f"  {mark}", palette.text),
            (f" before {undone.summary.handle} ", palette.muted),
            ("= " if mark == after else "≠ ", palette.good if mark == after else palette.bad),
            (after, palette.text),
            (f" after {undo.summary.handle}", palette.muted),
        )
        yield from draw_fact("", words, width, palette)


def _prints(fingerprint: "Fingerprint") -> dict[str, str]:
    """A short mark for the exact state of each object, as two groups that a person can compare."""
    marks = {}
    for item in fingerprint.objects:
        name = item.name if item.schema_name == "main" else f"{item.schema_name}.{item.name}"
        digest = hashlib.sha256(item.model_dump_json().encode()).hexdigest()
        marks[name] = f"{digest[:4]} {digest[4:8]}" if item.exists else "not there"
    return marks


def empty_lines(words: str, width: int, palette: Palette) -> list[Strip]:
    """A sentence in place of a change."""
    return [*wrap_text(Text(words, palette.muted), width), blank()]
