"""Runs a session's queries again and tells which results are no longer the same."""

import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from datasteward.errors import DatastewardError
from datasteward_agent.events import Event, ToolCalled, ToolReturned
from datasteward_agent.fencing import hash_content
from datasteward_agent.toolset import ToolAnswer, ToolProgress, Toolset

Finding = Literal["same", "changed", "fails_now", "works_now", "skipped"]
_HANDLE = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\b(r[0-9]+)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One call then and now; `difference` names the first line of the answers that differs."""

    name: str
    arguments: dict[str, Any]
    finding: Finding
    before: str
    after: str
    difference: str = ""


async def replay_session(events: Iterable[Event], toolset: Toolset) -> AsyncIterator[Replayed]:
    """Each reading call of the session again, in order; handles that its queries name are those of this replay."""
    reading = {d.name for d in toolset.definitions() if d.read_only}
    renamed: dict[str, str] = {}
    for called, returned in _pairs(events):
        if called.name not in reading or not called.read_only:
            yield _skipped(called, returned)
            continue
        arguments = {k: rename_handles(v, renamed) for k, v in called.arguments.items()}
        answer = await _call(toolset, called, arguments)
        renamed.update(zip(returned.handles, answer.handles, strict=False))
        yield _compare(called, returned, answer)


def rename_handles(value: Any, renamed: dict[str, str]) -> Any:
    """`value` with result handles replaced, but not inside quotes; only texts that are SQL or a handle hold any."""
    if not isinstance(value, str) or not renamed:
        return value
    return _HANDLE.sub(lambda m: renamed.get(m[1], m[0]) if m[1] else m[0], value)


def _pairs(events: Iterable[Event]) -> list[tuple[ToolCalled, ToolReturned]]:
    """Calls with their results in the order of the calls; reads may have ended in another order."""
    kept = list(events)
    returned = {e.call_id: e for e in kept if isinstance(e, ToolReturned)}
    return [(e, returned[e.call_id]) for e in kept if isinstance(e, ToolCalled) and e.call_id in returned]


async def _call(toolset: Toolset, called: ToolCalled, arguments: dict[str, Any]) -> ToolAnswer:
    try:
        return await toolset.call(called.name, arguments, f"replay-{called.call_id}", _drop)
    except DatastewardError as error:
        return ToolAnswer(text=str(error), is_error=True, code="unavailable")


async def _drop(_: ToolProgress) -> None:
    return None


def _skipped(called: ToolCalled, returned: ToolReturned) -> Replayed:
    return Replayed(name=called.name, arguments=called.arguments, finding="skipped", before=returned.text, after="")


def _compare(called: ToolCalled, returned: ToolReturned, answer: ToolAnswer) -> Replayed:
    finding: Finding
    match (returned.is_error, answer.is_error):
        case (False, True):
            finding = "fails_now"
        case (True, False):
            finding = "works_now"
        case (True, True):
            finding = "same"
        case _:
            finding = "same" if hash_content(answer.structured) == returned.content_sha256 else "changed"
    return Replayed(
        name=called.name,
        arguments=called.arguments,
        finding=finding,
        before=returned.text,
        after=answer.text,
        difference=_first_difference(returned.text, answer.text) if finding == "changed" else "",
    )


def _first_difference(before: str, after: str) -> str:
    old, new = before.splitlines()[1:], after.splitlines()[1:]
    for line in range(max(len(old), len(new))):
        was = old[line] if line < len(old) else "(nothing)"
        now = new[line] if line < len(new) else "(nothing)"
        if was != now:
            return f"{was[:200]} -> {now[:200]}"
    return "rows that are not shown"
