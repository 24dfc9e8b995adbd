"""The workflows of `prompts/` as MCP prompts."""

from pathlib import Path

from mcp import types
from mcp.shared.exceptions import MCPError

from datasteward_prompts.loading import Prompt, PromptError, list_workflows, render_prompt

INVALID_PARAMS = -32602


def list_prompts(folder: Path | None) -> types.ListPromptsResult:
    """Our workflows and the workspace's own."""
    return types.ListPromptsResult(prompts=[_describe(p) for p in _workflows(folder)])


def get_prompt(folder: Path | None, params: types.GetPromptRequestParams) -> types.GetPromptResult:
    """One workflow with its arguments put in; raises `MCPError` for an unknown one or a wrong argument."""
    found = {p.name: p for p in _workflows(folder)}
    prompt = found.get(params.name)
    if prompt is None:
        raise MCPError(INVALID_PARAMS, f"There is no prompt '{params.name}'; prompts: {', '.join(found)}.")
    try:
        text = render_prompt(prompt, params.arguments or {})
    except PromptError as error:
        raise MCPError(INVALID_PARAMS, str(error)) from error
    message = types.PromptMessage(role="user", content=types.TextContent(type="text", text=text))
    return types.GetPromptResult(description=prompt.description, messages=[message])


def _workflows(folder: Path | None) -> tuple[Prompt, ...]:
    try:
        return list_workflows(folder)
    except PromptError as error:
        raise MCPError(INVALID_PARAMS, str(error)) from error


def _describe(prompt: Prompt) -> types.Prompt:
    return types.Prompt(
        name=prompt.name,
        title=prompt.title,
        description=prompt.description,
        arguments=[
            types.PromptArgument(name=a.name, description=a.description, required=a.required) for a in prompt.arguments
        ],
    )
