"""An MCP server over any `ToolCaller`; one server object serves every connection and both protocol eras."""

import json
import logging
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from mcp import types
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

from datasteward.callers import Caller, Progress
from datasteward.calling import ToolAnswer, ToolCaller, ToolDefinition
from datasteward_prompts.texts import read_text

logger = logging.getLogger(__name__)

NAME = "datasteward"
CATALOG_URI = "steward://catalog"
RESULT_PREFIX = "steward://results/"
RESOURCE_NOT_FOUND = -32002
INVALID_PARAMS = -32602

Context = ServerRequestContext[Any]


def build_server(tools: ToolCaller) -> Server[Any]:
    """The server; its lifespan state is the connection's `Caller` (None over HTTP)."""
    face = _Face(tools)
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
        on_completion=face.complete,
    )


class _Face:
    """The handlers, one method a request."""

    def __init__(self, tools: ToolCaller) -> None:
        self._tools = tools
        self._listing = [_tool(d) for d in tools.definitions()]

    async def list_tools(self, context: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=self._listing)

    async def call_tool(self, context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        async def report(progress: Progress) -> None:
            await context.session.report_progress(progress.done, progress.total, progress.message or None)

        answer = await self._tools.call(params.name, params.arguments, caller_of(context), report)
        return tool_result(answer)

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
    """An answer as MCP carries it: compact text and the same facts as structured content."""
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=answer.text)],
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
