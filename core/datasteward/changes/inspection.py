"""The gate's reading of a proposal, carried out in a reader worker and brought to the owner."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from datasteward.changes.from_gate import InspectedText, inspect_report
from datasteward.changes.model import SourceView
from datasteward.changes.ports import Inspected

if TYPE_CHECKING:
    from datasteward.engine.engine import Engine
    from datasteward.engine.gate_facts import NamedSource
    from datasteward.engine.operations import Tell
    from datasteward.engine.session import Session


def inspect_change(session: "Session", arguments: Mapping[str, Any], tell: "Tell") -> Any:
    """The worker operation: the statements of `sql` as work, in JSON; raises `ToolError` with the gate's refusal."""

    def view_of(source: "NamedSource") -> SourceView:
        view = session.source_view(source)
        return SourceView(schema_name=view.schema, name=view.name, query=view.select, told=view.told)

    report = session.check(str(arguments["sql"]), for_write=True)
    return inspect_report(report, view_of).model_dump(mode="json")


class EngineInspector:
    """Reads proposals in the workspace's reader workers; `beforehand` is called as each reading starts."""

    def __init__(self, engine: "Engine", beforehand: Callable[[], None] = lambda: None) -> None:
        self._engine = engine
        self._beforehand = beforehand

    async def inspect(self, sql: str) -> Inspected:
        """The statements of a text that is meant to change something; raises `ToolError` with the gate's refusal."""
        self._beforehand()
        found = InspectedText.model_validate(await self._engine.run("inspect_change", {"sql": sql}))
        return Inspected(statements=found.statements, sources=found.sources)
