"""A model that plays a script: the words are written beforehand, the calls and their results are real.

A script is YAML: `turns`, each with `when` (conditions on what came last), `say`, `think`, `calls`, `capture` and
`fault`. The next turn is the first one after the last played whose conditions hold, so a script can branch on what a
tool really answered. Which turn was played is kept in the reply's model name, so a resumed session goes on rightly.
"""

import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from datasteward.errors import ConfigError
from datasteward_agent.conversation import (
    AssistantMessage,
    AssistantPart,
    Message,
    Shape,
    StopReason,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    UserMessage,
)
from datasteward_agent.limits import FREE, Usage
from datasteward_agent.models.port import (
    FaultKind,
    ModelFault,
    ModelIdentity,
    ModelLimits,
    ModelPiece,
    ModelReply,
    ModelRequest,
    TextDelta,
    ThinkingDelta,
    ToolInputDelta,
)

_NAME = re.compile(r"scripted#([0-9]+)")
_PLACE = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
_HANDLE = re.compile(r"\br[0-9]+\b")
_PROPOSAL = re.compile(r"\bc[0-9]+\b")
CHARACTERS_PER_TOKEN = 4


class ScriptedCondition(Shape):
    """When a turn fits: the last results or prompt hold (or lack) a text, or the last call failed or not."""

    prompt_contains: str | None = None
    result_contains: str | None = None
    result_lacks: str | None = None
    is_error: bool | None = None


class ScriptedCall(Shape):
    """A call; `{name}` in its texts is replaced by what was captured."""

    tool: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class Capture(Shape):
    """Keep the first group of `pattern` in the last results as `{name}`."""

    name: str = Field(pattern=r"^[a-z_][a-z0-9_]*$")
    pattern: str


class ScriptedTurn(Shape):
    """One reply."""

    when: ScriptedCondition = ScriptedCondition()
    capture: tuple[Capture, ...] = ()
    think: str = ""
    say: str = ""
    calls: tuple[ScriptedCall, ...] = ()
    stop: StopReason | None = None
    fault: FaultKind | None = None


class Script(Shape):
    """A whole script; `notice` is told to the person before it plays."""

    version: Literal[1] = 1
    title: str = ""
    notice: str = "The words of this model are scripted; the tools, the data and the results are real."
    turns: tuple[ScriptedTurn, ...] = Field(min_length=1)


def open_script(path: Path) -> "ScriptedModel":
    """The model that plays the file; raises `ConfigError` naming the place of a fault."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return ScriptedModel(Script.model_validate(content))
    except OSError as error:
        raise ConfigError(f"The script {path} cannot be read: {error.strerror}.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"The script {path} is not YAML: {' '.join(str(error).split())}.") from error
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(p) for p in fault["loc"]) or "the file"
        raise ConfigError(f"The script {path} has a fault at {where}: {fault['msg']}.") from error


class ScriptedModel:
    """Plays one script; every request is answered at once."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._faulted: set[int] = set()

    @property
    def identity(self) -> ModelIdentity:
        """Says that it is scripted."""
        return ModelIdentity(name="scripted", provider="scripted", price=FREE)

    @property
    def notice(self) -> str:
        """What a person is told before it plays."""
        return self._script.notice

    async def limits(self) -> ModelLimits:
        """Like a large model's."""
        return ModelLimits(context_tokens=1_000_000, output_tokens=128_000)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelPiece, None]:
        """The next turn that fits; after the last one a sentence that says so."""
        index, turn = self._choose(request.messages)
        if turn.fault is not None and index not in self._faulted:
            self._faulted.add(index)
            raise ModelFault(turn.fault, f"scripted fault: {turn.fault}")
        names = _captured(self._script, request.messages, turn)
        lost = [c.name for c in turn.capture if c.name not in names]
        if lost:
            raise ModelFault("unusable", f"The script's {{{lost[0]}}} is not in what the tools answered.")
        parts = _parts(turn, names, index, len(request.messages))
        for part in parts:
            match part:
                case Thinking():
                    yield ThinkingDelta(text=part.text)
                case Text():
                    for piece in re.findall(r"\S+\s*|\s+", part.text):
                        yield TextDelta(text=piece)
                case ToolCall():
                    yield ToolInputDelta(call_id=part.call_id, name=part.name, partial_json="")
                case _:
                    pass
        message = AssistantMessage(
            parts=parts,
            model=f"scripted#{index}",
            stop=turn.stop or ("tool_use" if turn.calls else "end_turn"),
        )
        yield ModelReply(message=message, usage=_count(request, message))

    async def close(self) -> None:
        """Nothing to let go of."""

    def _choose(self, messages: tuple[Message, ...]) -> tuple[int, ScriptedTurn]:
        played = [int(m[1]) for a in messages if isinstance(a, AssistantMessage) and (m := _NAME.match(a.model))]
        start = 1 + max(played, default=-1)
        for index in range(start, len(self._script.turns)):
            if _fits(self._script.turns[index].when, messages):
                return index, self._script.turns[index]
        return len(self._script.turns), ScriptedTurn(say="The script has no further turn for this.")


def _last_user(messages: tuple[Message, ...]) -> UserMessage:
    return next((m for m in reversed(messages) if isinstance(m, UserMessage)), UserMessage(parts=()))


def _results(message: UserMessage) -> tuple[ToolResult, ...]:
    return tuple(p for p in message.parts if isinstance(p, ToolResult))


def _fits(when: ScriptedCondition, messages: tuple[Message, ...]) -> bool:
    last = _last_user(messages)
    results = _results(last)
    told = "\n".join(r.text for r in results)
    return (
        (when.prompt_contains is None or when.prompt_contains.lower() in last.text.lower())
        and (when.result_contains is None or when.result_contains in told)
        and (when.result_lacks is None or when.result_lacks not in told)
        and (when.is_error is None or any(r.is_error for r in results) == when.is_error)
    )


def _captured(script: Script, messages: tuple[Message, ...], current: ScriptedTurn) -> dict[str, str]:
    """Names and their values: `{handle}`, `{proposal}`, and the captures of played turns, in the order of play."""
    names: dict[str, str] = {}
    for position, message in enumerate(messages):
        if isinstance(message, UserMessage):
            told = "\n".join(r.text for r in _results(message))
            for name, pattern in (("handle", _HANDLE), ("proposal", _PROPOSAL)):
                found = pattern.search(told)
                if found:
                    names[name] = found[0]
            following = messages[position + 1] if position + 1 < len(messages) else None
            turn = _played(script, following) if following is not None else current
            for capture in turn.capture if turn else ():
                match = re.search(capture.pattern, told)
                if match:
                    names[capture.name] = match[1] if match.groups() else match[0]
    return names


def _played(script: Script, message: Message) -> ScriptedTurn | None:
    match = _NAME.match(message.model) if isinstance(message, AssistantMessage) else None
    index = int(match[1]) if match else -1
    return script.turns[index] if 0 <= index < len(script.turns) else None


def _fill(node: Any, names: dict[str, str]) -> Any:
    if isinstance(node, str):
        return _PLACE.sub(lambda m: names.get(m[1], m[0]), node)
    if isinstance(node, list):
        return [_fill(item, names) for item in node]
    if isinstance(node, dict):
        return {key: _fill(value, names) for key, value in node.items()}
    return node


def _parts(turn: ScriptedTurn, names: dict[str, str], index: int, position: int) -> tuple[AssistantPart, ...]:
    parts: list[AssistantPart] = []
    if turn.think:
        parts.append(Thinking(text=_fill(turn.think, names)))
    if turn.say:
        parts.append(Text(text=_fill(turn.say, names)))
    for number, call in enumerate(turn.calls):
        call_id = f"call_{position}_{index}_{number}"
        parts.append(ToolCall(call_id=call_id, name=call.tool, arguments=_fill(call.arguments, names)))
    return tuple(parts)


def _count(request: ModelRequest, message: AssistantMessage) -> Usage:
    told = sum(len(m.model_dump_json()) for m in request.messages[-2:]) + len(request.system)
    return Usage(
        input_tokens=told // CHARACTERS_PER_TOKEN, output_tokens=len(message.model_dump_json()) // CHARACTERS_PER_TOKEN
    )
