"""An MCP server over any `ToolCaller`; one server object serves every connection and both protocol eras."""

import base64
import json
import logging
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anyio
from mcp import types
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

from datasteward.callers import Caller, Progress
from datasteward.calling import ToolAnswer, ToolCaller, ToolDefinition
from datasteward_mcp.asking import ASKED_OF, Asking, Decisions
from datasteward_mcp.prompting import get_prompt, list_prompts
from datasteward_prompts.texts import read_text

logger = logging.getLogger(__name__)

NAME = "datasteward"
CATALOG_URI = "steward://catalog"
RESULT_PREFIX = "steward://results/"
RESOURCE_NOT_FOUND = -32002
INVALID_PARAMS = -32602

Context = ServerRequestContext[Any]


def build_server(
    tools: ToolCaller, *, decisions: Decisions | None = None, prompts_folder: Path | None = None
) -> Server[Any]:
    """The server; its lifespan state is the connection's `Caller` (None over HTTP).

    With `decisions` the client's user is asked about changes that may be decided in the client; without, every change
    waits for the inbox. `prompts_folder` holds the workspace's own prompts.
    """
    face = _Face(tools, decisions, prompts_folder)
    return Server(
        NAME,
        version=version("datasteward"),
        title="Datasteward",
        description="DuckDB queries, files, profiles, lineage and reviewed changes of one workspace",
        instructions=read_text("instructions"),
        cache_hints={"tools/list": CacheHint(ttl_ms=300_000, scope="private")},
        on_list_tools=face.list_tools,
        on_call_tool=face.call_tool,
        on_list_resources=face.list_resources,
        on_list_resource_templates=face.list_resource_templates,
        on_read_resource=face.read_resource,
        on_list_prompts=face.list_prompts,
        on_get_prompt=face.get_prompt,
        on_completion=face.complete,
    )


class _Face:
    """The handlers, one method a request."""

    def __init__(self, tools: ToolCaller, decisions: Decisions | None, prompts_folder: Path | None) -> None:
        self._tools = tools
        self._asking = Asking(decisions) if decisions is not None else None
        self._prompts_folder = prompts_folder
        self._listing = [_tool(d) for d in tools.definitions()]

    async def list_tools(self, context: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=self._listing)

    async def call_tool(
        self, context: Context, params: types.CallToolRequestParams
    ) -> types.CallToolResult | types.InputRequiredResult:
        caller = caller_of(context)
        by = f"{caller.front_end}:{caller.name}"
        if self._asking is not None and params.name in ASKED_OF and params.request_state:
            decided = await self._asking.take_answer(params, by)
            if decided is not None:
                return await self._status(decided, caller)

        async def report(progress: Progress) -> None:
            await context.session.report_progress(progress.done, progress.total, progress.message or None)

        answer = await self._tools.call(params.name, params.arguments, caller, report)
        change = answer.structured.get("change")
        is_waiting = not answer.is_error and answer.structured.get("status") == "waiting"
        if self._asking is not None and params.name in ASKED_OF and is_waiting and isinstance(change, str):
            if (asked := await self._asking.ask(context, params, change, by)) is not None:
                return asked
            if self._asking.can_ask(context):
                return await self._status(change, caller)
        if "picture" in answer.structured:
            return await anyio.to_thread.run_sync(tool_result, answer)
        return tool_result(answer)

    async def _status(self, change: str, caller: Caller) -> types.CallToolResult:
        answer = await self._tools.call("change_status", {"change": change, "wait_seconds": 0}, caller)
        return tool_result(answer)

    async def list_prompts(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListPromptsResult:
        return await anyio.to_thread.run_sync(list_prompts, self._prompts_folder)

    async def get_prompt(self, context: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        return await anyio.to_thread.run_sync(get_prompt, self._prompts_folder, params)

    async def list_resources(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        found = await self._structured(context, "search_catalog", {"kind": "result", "budget": 8000})
        results = [
            types.Resource(
                uri=f"{RESULT_PREFIX}{entry['name']}",
                name=entry["name"],
                description=(entry.get("sql") or "")[:200],
                mime_type="application/json",
            )
            for entry in found["datasets"]
        ]
        catalog = types.Resource(
            uri=CATALOG_URI,
            name="catalog",
            title="Catalog",
            description="Tables, views, data files and stored results",
            mime_type="application/json",
        )
        return types.ListResourcesResult(resources=[catalog, *results])

    async def list_resource_templates(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        template = types.ResourceTemplate(
            uri_template=f"{RESULT_PREFIX}{{handle}}",
            name="result",
            title="Stored result",
            description="The first rows of a stored result",
            mime_type="application/json",
        )
        return types.ListResourceTemplatesResult(resource_templates=[template])

    async def read_resource(
        self, context: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        uri = str(params.uri)
        if uri == CATALOG_URI:
            body = await self._structured(context, "search_catalog", {"detail": "columns", "budget": 20_000})
        elif uri.startswith(RESULT_PREFIX):
            handle = uri.removeprefix(RESULT_PREFIX)
            body = await self._structured(context, "read_result", {"handle": handle, "budget": 20_000}, uri=uri)
        else:
            raise MCPError(RESOURCE_NOT_FOUND, f"There is no resource {uri}.", {"uri": uri})
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        return types.ReadResourceResult(
            contents=[types.TextResourceContents(uri=params.uri, text=text, mime_type="application/json")]
        )

    async def complete(self, context: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        values: list[str] = []
        if isinstance(params.ref, types.ResourceTemplateReference) and params.argument.name == "handle":
            found = await self._structured(context, "search_catalog", {"kind": "result", "budget": 8000})
            values = [e["name"] for e in found["datasets"] if e["name"].startswith(params.argument.value.lower())]
        return types.CompleteResult(completion=types.Completion(values=values[:100], total=len(values)))

    async def _structured(
        self, context: Context, tool: str, arguments: Mapping[str, Any], uri: str | None = None
    ) -> Mapping[str, Any]:
        answer = await self._tools.call(tool, arguments, caller_of(context))
        if answer.is_error:
            code = RESOURCE_NOT_FOUND if answer.code in {"not_found", "invalid_arguments"} else INVALID_PARAMS
            raise MCPError(code, answer.text, {"uri": uri} if uri else None)
        return answer.structured


def tool_result(answer: ToolAnswer) -> types.CallToolResult:
    """An answer as MCP carries it: compact text, a picture if one was drawn, and the same facts as structured content."""
    content: list[types.ContentBlock] = [types.TextContent(type="text", text=answer.text)]
    picture = answer.structured.get("picture")
    if not answer.is_error and isinstance(picture, str) and picture.endswith(".png"):
        data = base64.b64encode(Path(picture).read_bytes()).decode()
        content.append(types.ImageContent(type="image", data=data, mime_type="image/png"))
    return types.CallToolResult(
        content=content,
        structured_content=None if answer.is_error else dict(answer.structured),
        is_error=answer.is_error,
    )


def caller_of(context: Context) -> Caller:
    """Who asks: the connection's process, with the client's own name and version once it has told them."""
    base = context.lifespan_context
    connection = base if isinstance(base, Caller) else Caller(front_end="mcp", name="http")
    params = context.session.client_params
    if params is None:
        return connection
    info = params.client_info
    return Caller(
        front_end="mcp",
        name=info.name[:80],
        version=info.version[:40],
        connection=connection.connection,
        process_id=connection.process_id,
        is_model=True,
    )


def _tool(definition: ToolDefinition) -> types.Tool:
    return types.Tool(
        name=definition.name,
        description=definition.description,
        input_schema=dict(definition.input_schema),
        annotations=types.ToolAnnotations(
            read_only_hint=definition.is_read_only,
            destructive_hint=definition.is_destructive,
            idempotent_hint=definition.is_idempotent,
            open_world_hint=definition.is_open_world,
        ),
    )
