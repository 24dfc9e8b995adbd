"""The tool `propose_change`."""

import math
from typing import Any

from pydantic import Field

from datasteward.changes.model import Parameter
from datasteward.changes.service import ChangeService
from datasteward.errors import ToolError
from datasteward.tooling import ToolContext, ToolInput, tool
from datasteward_tools.change_views import ChangeOutput, present_change


class ProposeChangeInput(ToolInput):
    sql: str = Field(
        description="DML, DDL, COPY, COMMENT ON; many are one change. Or WRITE CONTRACT 'x.yaml' AS $$ODCS$$."
    )
    purpose: str = Field(default="", description="Why, for who decides.")
    parameters: list[Any] | dict[str, Any] | None = Field(default=None, description="As in run_query.")


@tool(title="Propose a change", is_read_only=False, is_destructive=True, is_idempotent=False)
async def propose_change(arguments: ProposeChangeInput, context: ToolContext) -> ChangeOutput:
    """The real effect of SQL that changes something, recorded as c8 and waiting for a person or the policy.

    Nothing changes yet: counts, rows, schema and files come from doing it and rolling back.
    Then ask change_status, which waits for the decision. To take one back use undo_change, not opposite SQL.
    """
    service: ChangeService = context.services.changes
    report = await service.propose(
        arguments.sql,
        requested_by=f"{context.caller.front_end}:{context.caller.name}",
        purpose=arguments.purpose,
        parameters=_parameters(arguments.parameters),
    )
    return present_change(report, with_rows=True, root=service.workspace_root)


def _parameters(values: list[Any] | dict[str, Any] | None) -> tuple[Parameter, ...]:
    named = enumerate(values or (), 1) if not isinstance(values, dict) else values.items()
    found = []
    for name, value in named:
        if not (value is None or isinstance(value, bool | int | float | str)):
            raise ToolError(
                f"Parameter {name} is a {type(value).__name__}; a change takes text, numbers, booleans and null.",
                code="invalid_arguments",
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise ToolError(
                f"Parameter {name} is {value}, which is no finite number.",
                code="invalid_arguments",
                hint=f"Write it into the SQL instead, as '{value}'::DOUBLE.",
            )
        found.append(Parameter(name=str(name), value=value))
    return tuple(found)
