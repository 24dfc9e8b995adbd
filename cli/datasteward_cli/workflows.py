"""The prompt files of the package and of a workspace as slash commands of the terminal app."""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from datasteward.errors import ToolError
from datasteward_prompts.loading import Prompt, PromptError, list_workflows, render_prompt

if TYPE_CHECKING:
    from datasteward_tui.ports import Workflow

FOLDER_NAME = "prompts"
_WORD = re.compile(r"'([^']*)'|\"([^\"]*)\"|(\S+)")


def read_workflows(root: Path) -> "Sequence[Workflow]":
    """Our workflows and those of the workspace's `prompts` folder; raises `ToolError` naming a file that is wrong."""
    from datasteward_tui.ports import Workflow

    try:
        found = list_workflows(root / FOLDER_NAME)
    except PromptError as error:
        raise ToolError(str(error), hint=f"Mend the file in {FOLDER_NAME}/, or take it out.") from error
    return [
        Workflow(
            name=prompt.name,
            about=prompt.title,
            arguments=tuple(a.name.upper() if a.required else f"[{a.name.upper()}]" for a in prompt.arguments),
            write=partial(write_workflow, prompt),
        )
        for prompt in found
    ]


def write_workflow(prompt: Prompt, rest: str) -> str:
    """The prompt with what stands after its command put in: word by word, the last argument takes all that is left."""
    values: dict[str, str] = {}
    left = rest.strip()
    for position, argument in enumerate(prompt.arguments):
        is_last = position == len(prompt.arguments) - 1
        first, left = (left, "") if is_last else _take_word(left)
        if first:
            values[argument.name] = first
    try:
        return render_prompt(prompt, values)
    except PromptError as error:
        usage = " ".join(a.name.upper() for a in prompt.arguments)
        raise ToolError(str(error), code="invalid_arguments", hint=f"/{prompt.name} {usage}") from error


def _take_word(text: str) -> tuple[str, str]:
    """The first word, or what stands in quotes at the beginning, and the rest."""
    match = _WORD.match(text)
    if match is None:
        return "", ""
    return match[1] or match[2] or match[3] or "", text[match.end() :].strip()
