"""Pipeline runs and the app: those that go on are watched, and any opens in the pane."""

import asyncio

from datasteward.errors import DatastewardError, ToolError
from datasteward.workspace import Workspace
from datasteward_tui.blocks import NoticeBlock, NoticeLevel
from datasteward_tui.detail_pane import PaneView
from datasteward_tui.fuzzy import Choice
from datasteward_tui.ports import Providers
from datasteward_tui.run_list import RunList
from datasteward_tui.run_monitor import RunMonitor
from datasteward_tui.run_shelf import RunLine, RunShelf
from datasteward_tui.sql_actions import SqlActions

WATCH_SECONDS = 1.0


class RunActions(SqlActions):
    """Runs of any agent, command or person of the workspace."""

    def __init__(self, workspace: Workspace, providers: Providers) -> None:
        super().__init__(workspace, providers)
        self.run_shelf = RunShelf(workspace.state_folder)
        self._is_watching = False

    def watch_runs(self) -> None:
        """Keep the status line and the conversation up to date on runs, from now on."""
        self.set_interval(WATCH_SECONDS, self._watch_soon)
        self.start(self._offer_runs(), group="runs")

    async def _offer_runs(self) -> None:
        lines = await asyncio.to_thread(self.run_shelf.lines)
        self.run_choices = tuple(
            Choice(
                value=line.run, kind="run", about=f"{line.pipeline} {line.status} · {line.done} of {line.total} assets"
            )
            for line in lines
        )

    def _watch_soon(self) -> None:
        if not self._is_watching:
            self.start(self._watch(), group="runs")

    async def _watch(self) -> None:
        self._is_watching = True
        try:
            found = await asyncio.to_thread(self.run_shelf.running)
            ended = {line.run for line in self.runs} - {line.run for line in found}
            told = await asyncio.to_thread(self.run_shelf.lines) if ended else []
        finally:
            self._is_watching = False
        if ended or tuple(line.run for line in found) != tuple(line.run for line in self.runs):
            await self._offer_runs()
        for line in told:
            if line.run in ended:
                self.say(_tell_end(line))
        if tuple(found) != self.runs:
            self.runs = tuple(found)
            self.show_standing()

    def open_run(self, run: str) -> None:
        """Show a run in the pane."""
        self.look(self._view_run(run))

    async def _view_run(self, run: str) -> PaneView:
        sight = await asyncio.to_thread(self.run_shelf.look, run)
        if sight is None:
            raise ToolError(f"There is no run '{run}'.", code="not_found", hint="/runs lists them.")
        title = f"Run {run} · {sight.record.pipeline}"
        return PaneView(title=title, content=RunMonitor(self.run_shelf, sight), hints=RunMonitor.HINTS)

    def command_runs(self, run: str) -> None:
        """A run in the pane, or all of them."""
        self.look(self._view_run(run) if run else self._view_runs())

    async def _view_runs(self) -> PaneView:
        lines = await asyncio.to_thread(self.run_shelf.lines)
        return PaneView(title="Runs", content=RunList(lines), hints=RunList.HINTS)

    def action_runs(self) -> None:
        """The run that goes on, or all."""
        self.command_runs(self.runs[0].run if len(self.runs) == 1 else "")

    def on_run_list_chosen(self, message: RunList.Chosen) -> None:
        """A run was chosen from the list."""
        self.open_run(message.run)

    def on_run_monitor_wished(self, message: RunMonitor.Wished) -> None:
        """Rows to be read, or the run to be stopped or taken back."""
        match message.wish:
            case "rows" | "quarantine":
                self.run_statement(message.text, opens=True)
            case "stop":
                self.start(self._stop_run(message.text), group="stop-run")
            case "undo":
                self.dock.propose_undo(message.text)

    async def _stop_run(self, run: str) -> None:
        try:
            answer = await self.link.call("pipeline_status", {"run": run, "action": "stop"})
        except DatastewardError as error:
            self.say(NoticeBlock(error.message, "error", error.hint))
            return
        if answer.is_error:
            self.say(NoticeBlock(str(answer.structured.get("message") or answer.text), "warning"))
        else:
            self.say(NoticeBlock(f"{run} was asked to stop; what is published stays.", opens=run))


def _tell_end(line: RunLine) -> NoticeBlock:
    levels: dict[str, NoticeLevel] = {"done": "good", "partly": "warning", "stopped": "warning"}
    words = f"Run {line.run} of {line.pipeline} has ended: {line.published} of {line.total} assets published."
    return NoticeBlock(words, levels.get(line.status, "error"), opens=line.run)
