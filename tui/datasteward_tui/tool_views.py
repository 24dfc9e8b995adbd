"""Profiles, lineage, charts and proposals, asked of the workspace's tools for the person at the terminal."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datasteward.calling import ToolAnswer
from datasteward.errors import ToolError
from datasteward_tui.tool_link import ToolLink

TOOL_OF: Mapping[str, str] = {
    "profile": "profile_data",
    "lineage": "trace_lineage",
    "chart": "render_chart",
    "propose": "propose_change",
}
"""What the app offers, and the tool it needs."""
CHART_KINDS = ("bar", "line", "area", "scatter", "histogram", "heatmap", "box")
LINEAGE_QUESTIONS = ("upstream", "downstream", "drop", "change_type", "rename")
LINEAGE_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Something laid out for the pane."""

    title: str
    body: str


async def ask(link: ToolLink, tool: str, arguments: Mapping[str, Any]) -> ToolAnswer:
    """The tool's answer; raises `ToolError` for an error answer."""
    answer = await link.call(tool, arguments)
    if answer.is_error:
        told = answer.structured
        raise ToolError(str(told.get("message") or answer.text), code=answer.code or "runtime", hint=told.get("hint"))
    return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldProfile:
    """A profile as the tool tells it to a person: the whole of it as a JSON document."""

    title: str
    document: str


async def view_profile(link: ToolLink, words: Sequence[str]) -> ToldProfile:
    """The profile of a dataset, or of one of its columns; raises `ToolError`."""
    dataset, *rest = _need(words, "/profile NAME [COLUMN]")
    arguments = {"dataset": dataset} | ({"column": rest[0]} if rest else {})
    answer = await ask(link, TOOL_OF["profile"], arguments)
    return ToldProfile(title=f"Profile · {' · '.join(words)}", document=json.dumps(answer.structured["profile"]))


async def view_lineage(link: ToolLink, words: Sequence[str]) -> View:
    """Where a dataset or column comes from or goes to."""
    dataset, *rest = _need(words, f"/lineage NAME [COLUMN] [{'|'.join(LINEAGE_QUESTIONS)}]")
    questions = [w for w in rest if w in LINEAGE_QUESTIONS]
    columns = [w for w in rest if w not in LINEAGE_QUESTIONS]
    asked = questions[:1] or ["upstream", "downstream"]
    bodies = []
    for question in asked:
        arguments = {"dataset": dataset, "columns": columns, "question": question, "budget": LINEAGE_CHARACTERS}
        bodies.append((await ask(link, TOOL_OF["lineage"], arguments)).text)
    return View(title=f"Lineage · {' · '.join(words)}", body="\n\n".join(bodies))


async def view_chart(link: ToolLink, words: Sequence[str], width: int, height: int) -> View:
    """A chart of a stored result, drawn from its rows."""
    handle, *rest = _need(words, f"/chart RESULT {'|'.join(CHART_KINDS)} [X] [Y]")
    kind = rest[0] if rest and rest[0] in CHART_KINDS else "bar"
    columns = rest[1:] if rest and rest[0] in CHART_KINDS else rest
    arguments: dict[str, Any] = {"handle": handle, "kind": kind}
    arguments |= dict(zip(("x", "y", "color"), columns, strict=False))
    arguments |= {"width": max(24, min(200, width)), "height": max(6, min(60, height))}
    answer = await ask(link, TOOL_OF["chart"], arguments)
    return View(title=f"Chart · {handle} · {kind} {' '.join(columns)}".rstrip(), body=answer.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """A proposal of the person's own, and what has become of it already."""

    words: str
    is_denied: bool


async def propose(link: ToolLink, sql: str) -> Proposed:
    """Propose to run `sql`; the policy may have applied or denied it. Raises `ToolError` when it may not be proposed."""
    answer = await ask(link, TOOL_OF["propose"], {"sql": sql})
    told = answer.structured
    return Proposed(words=_tell_state(told, answer.text), is_denied=told["status"] == "denied")


def _tell_state(told: Mapping[str, Any], text: str) -> str:
    change = told["change"]
    match told["status"]:
        case "waiting":
            return f"Nothing is changed yet: {change} waits for your decision (F2)."
        case "denied":
            rule = str(told.get("message") or "").removeprefix("denied by ")
            return f"Nothing is changed: {change} is denied by the policy, {rule}. /rules shows its rules."
        case "applied":
            undo = f" /undo {change} proposes to take it back." if told.get("reversible") else ""
            return f"{change} is applied: the policy allows it without asking.{undo}"
        case _:
            return text.partition("\n")[0]


def _need(words: Sequence[str], usage: str) -> list[str]:
    if not words:
        raise ToolError("A name is missing.", code="invalid_arguments", hint=usage)
    return list(words)
