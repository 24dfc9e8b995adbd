"""Running the person's own SQL, without any model."""

import time
from collections.abc import Callable

from datasteward.callers import Progress
from datasteward.errors import DatastewardError
from datasteward_tui.call_block import CallBlock
from datasteward_tui.tool_link import ToolLink

VIEW_CHARACTERS = 6000


async def run_sql(link: ToolLink, sql: str, block: CallBlock, on_change: Callable[[], None]) -> None:
    """Run `sql` and show its progress and outcome in `block`; a cancel is shown there and raised."""
    started = time.monotonic()

    async def report(progress: Progress) -> None:
        block.report(progress.done, progress.total, progress.message)
        on_change()

    try:
        answer = await link.call("run_query", {"sql": sql, "budget": VIEW_CHARACTERS}, report)
    except DatastewardError as error:
        block.finish(str(error), {}, seconds=time.monotonic() - started, is_error=True)
    except BaseException:
        block.deny("stopped")
        on_change()
        raise
    else:
        seconds = time.monotonic() - started
        block.finish(answer.text, answer.structured, seconds=seconds, is_error=answer.is_error)
    on_change()
