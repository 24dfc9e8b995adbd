"""SQL of the person's own: run without any model, proposed when it changes something."""

from datasteward.errors import DatastewardError
from datasteward_tui.call_block import CallBlock
from datasteward_tui.shell import Shell
from datasteward_tui.sql_runs import run_sql
from datasteward_tui.sql_text import begins_like_sql, looks_like_sql
from datasteward_tui.tool_views import propose


class SqlActions(Shell):
    """Runs statements beside the screen and shows their outcome in the conversation."""

    def run_statement(self, sql: str, *, opens: bool = False) -> None:
        """Run SQL for the person and show its outcome; `opens` shows the rows in the pane also where it was closed."""
        if not sql:
            return
        block = CallBlock("SQL", sql=sql, is_unfolded=True)
        self.say(block)
        self.start(self._run_statement(sql, block, opens=opens), group="sql")

    async def _run_statement(self, sql: str, block: CallBlock, *, opens: bool) -> None:
        self.count_jobs(1)
        try:
            await run_sql(self.link, sql, block, lambda: self.transcript.changed(block))
            if block.code == "needs_approval" and "propose" in self.at_hand:
                await self._propose(sql, block)
        finally:
            self.count_jobs(-1)
        is_in_sight = self.pane.is_shown and self.screen_stack[0].has_class("-wide")
        if block.opens and (opens or is_in_sight):
            self.open_handle(block.opens, takes_focus=opens)

    async def _propose(self, sql: str, block: CallBlock) -> None:
        """What was typed is a change: measure it, and say whether it waits or the policy has decided."""
        block.retitle("change")
        try:
            proposed = await propose(self.link, sql)
        except DatastewardError as error:
            block.finish(error.message, {"message": error.message, "hint": error.hint}, seconds=None, is_error=True)
        else:
            block.finish(proposed.words, {}, seconds=None, is_error=proposed.is_denied)
            self.dock.look_soon()
        self.transcript.changed(block)

    def is_sql(self, text: str) -> bool:
        """Whether a text is run as SQL: said so by `!`, clearly a statement, or nobody else there to take it."""
        if text.startswith("!") or looks_like_sql(text):
            return True
        return self.providers.chat is None and begins_like_sql(text)
