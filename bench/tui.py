"""The terminal app: first frame, paint against history, keys while a reply streams, a grid of a million rows, memory.

Run from the repository's root: .venv/bin/python bench/tui.py. CPU seconds of this process, not wall time.
"""

import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasteward_tui.app import StewardApp
    from datasteward_tui.reply_block import ReplyBlock

HEAVY = ("anthropic", "mcp", "pyarrow", "duckdb", "numpy", "pydantic")
SIZE = (140, 45)
FIRST_FRAME = """
import asyncio, json, sys, time
start = time.process_time()
from datasteward.workspace import Workspace
from datasteward_tui.app import StewardApp
from datasteward_tui.ports import Providers
from pathlib import Path
def no_tools(): raise RuntimeError("not in this measurement")
app = StewardApp(Workspace(root=Path(sys.argv[1])), Providers(open_tools=no_tools))
app._begin = lambda: None
async def main():
    async with app.run_test(size=(140, 45)) as pilot:
        await pilot.pause()
        told = {"cpu_seconds": time.process_time() - start, "modules": len(sys.modules),
                "heavy": [m for m in %r if m in sys.modules]}
    print(json.dumps(told))
asyncio.run(main())
"""


def say(name: str, value: str, target: str = "") -> None:
    """One line of the table."""
    print(f"{name:<58} {value:>16}  {target}")


def measure_first_frame(folder: Path) -> None:
    """CPU of a process until the first frame stands, the middle of five."""
    found = []
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-c", FIRST_FRAME % (HEAVY,), str(folder)], capture_output=True, text=True, check=True
        )
        found.append(json.loads(done.stdout.splitlines()[-1]))
    middle = statistics.median(f["cpu_seconds"] for f in found)
    say("first frame, CPU seconds", f"{middle:.2f}", "target 0.7")
    say("  modules imported by then", str(found[0]["modules"]))
    say("  of the heavy ones", ", ".join(found[0]["heavy"]) or "none", "target: no anthropic, mcp, pyarrow")


def cpu_milliseconds(work: Callable[[], object], times: int) -> float:
    """Middle CPU milliseconds of one call."""
    taken = []
    for _ in range(times):
        start = time.process_time()
        work()
        taken.append((time.process_time() - start) * 1000)
    return statistics.median(taken)


def stream_piece(app: "StewardApp", reply: "ReplyBlock") -> None:
    """One more word of a reply, painted at once."""
    reply.feed("word ")
    app.transcript.changed(reply)
    app.transcript._paint_stale()
    app.screen._compositor.render_strips()


async def measure_transcript(folder: Path) -> None:
    """Opening a history, a paint and a streamed piece, for several lengths."""
    from tests.support.app_runs import make_app

    from datasteward_tui.blocks import PersonBlock
    from datasteward_tui.reply_block import ReplyBlock

    words = "The **north** sold 40.5 [r1] and the south 20.25 [r2].\n\n- one\n- two\n\n```sql\nSELECT 1\n```\n"
    for length in (0, 50, 500, 2000):
        app = make_app(folder, has_tools=False)
        async with app.run_test(size=SIZE) as pilot:
            await pilot.pause()
            blocks = [b for i in range(length // 2) for b in (PersonBlock(f"question {i}"), ReplyBlock(words))]
            start = time.process_time()
            app.transcript.extend(blocks)
            app.screen._compositor.render_strips()
            say(f"history of {length}: open at its end, CPU ms", f"{(time.process_time() - start) * 1000:.1f}")
            reply = ReplyBlock()
            app.transcript.add(reply)

            stream = partial(stream_piece, app, reply)
            say(
                f"history of {length}: streamed piece and paint, CPU ms",
                f"{cpu_milliseconds(stream, 200):.2f}",
                "target 10",
            )
    await measure_long_reply(folder)


async def measure_long_reply(folder: Path) -> None:
    """A streamed piece at the end of a reply of 64,000 characters, and a key typed meanwhile."""
    from tests.support.app_runs import make_app

    from datasteward_tui.reply_block import ReplyBlock

    app = make_app(folder, has_tools=False)
    async with app.run_test(size=SIZE) as pilot:
        reply = ReplyBlock()
        app.transcript.add(reply)
        for _ in range(640):
            reply.feed(
                "A paragraph of words that is about a hundred characters long, with a figure of 1,234.5 in it.\n\n"
            )
        app.transcript.changed(reply)
        await pilot.pause(0.1)

        stream = partial(stream_piece, app, reply)
        say("reply of 64,000 characters: streamed piece, CPU ms", f"{cpu_milliseconds(stream, 100):.2f}", "target 10")
        taken = []
        for letter in "select the north " * 3:
            stream()
            start = time.process_time()
            await pilot.press("space" if letter == " " else letter)
            app.screen._compositor.render_strips()
            taken.append((time.process_time() - start) * 1000)
        say("key to paint while it streams, CPU ms", f"{statistics.median(taken):.2f}")


def write_session(folder: Path, messages: int, results: int) -> str:
    """A stored conversation of so many messages and results, as an agent's runs leave it; its id."""
    from datasteward.state import StateDatabase
    from datasteward_agent.conversation import AssistantMessage, Text, UserMessage
    from datasteward_agent.events import ModelSaid, ToolCalled, ToolReturned, UserSaid
    from datasteward_agent.session_store import SessionStore

    words = "The **north** sold 40.5 [r1] and the south 20.25 [r2].\n\n- one\n- two\n\n```sql\nSELECT 1\n```\n"
    state = folder / ".steward"
    state.mkdir(exist_ok=True)
    store = SessionStore(state / "sessions", StateDatabase(state / "state.sqlite"))
    session = store.create()
    for number in range(messages // 2):
        session.append(UserSaid(message=UserMessage(parts=(Text(text=f"question {number}"),))))
        if number % (messages // 2 // results) == 0:
            call, sql = f"call{number}", {"sql": f"SELECT region, sum(amount) FROM orders WHERE id > {number}"}
            session.append(ToolCalled(call_id=call, name="run_query", arguments=sql, read_only=True))
            session.append(
                ToolReturned(call_id=call, name="run_query", text="2 rows\n" * 20, handles=("r1",), seconds=0.01)
            )
        session.append(ModelSaid(message=AssistantMessage(parts=(Text(text=words),))))
    store.index(session)
    session.close()
    return session.session_id


async def measure_session(folder: Path) -> None:
    """Opening a stored conversation of 2,000 messages and 200 results, memory with it, and a key typed then."""
    from tests.support.agent_runs import scripted
    from tests.support.app_chats import make_chat_app
    from tests.support.app_runs import until_shown

    name = await asyncio.to_thread(write_session, folder, 2000, 200)
    app = make_chat_app(folder, scripted({"say": "ok"}))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        assert app.conversation is not None
        before = resident_megabytes()
        start, wall = time.process_time(), time.perf_counter()
        app.transcript.extend(await app.conversation.resume(name, is_fork=False))
        app.transcript.go_to_end()
        await until_shown(pilot, "question 999")
        say("session of 2,000 messages, 200 results: at its tail, CPU s", f"{time.process_time() - start:.2f}")
        say("  the same, seconds", f"{time.perf_counter() - wall:.2f}")
        say("  memory that it takes, MB", f"{resident_megabytes() - before:.0f}")
        taken = []
        for letter in "selectthenorth" * 3:
            start = time.process_time()
            await pilot.press(letter)
            app.screen._compositor.render_strips()
            taken.append((time.process_time() - start) * 1000)
        say("  key to paint with it, CPU ms", f"{statistics.median(taken):.2f}")
        start = time.process_time()
        app.transcript.scroll_home(animate=False, immediate=True)
        await until_shown(pilot, "question 0")
        say("  to its beginning, CPU ms", f"{(time.process_time() - start) * 1000:.0f}")


def resident_megabytes() -> float:
    """Memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


async def measure_grid(folder: Path) -> None:
    """Opening a million rows, paging, sorting."""
    from tests.support.app_runs import make_app, type_line, until

    from datasteward_tui.result_pages import ResultPages

    app = make_app(folder)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: bool(app.at_hand))
        await type_line(
            pilot,
            "select range id, range % 97 grp, range / 7.0 value, 'name ' || range name, date '2026-01-01' + (range % 300)::int d from range(1000000)",
        )
        await until(
            pilot,
            lambda: "1,000,000 rows" in app.transcript.blocks[-1].source() or bool(app.transcript.blocks[-1].opens),
        )
        path = app.workspace.results_folder / "r1.parquet"
        await until(pilot, path.exists)
        start, wall = time.process_time(), time.perf_counter()
        app.open_handle("r1")
        await until(pilot, lambda: app.pane.grid is not None)
        say("1 M rows: ready, CPU seconds (pyarrow's import included)", f"{time.process_time() - start:.2f}")
        say("1 M rows: ready, seconds", f"{time.perf_counter() - wall:.2f}")
        grid = app.pane.grid
        assert grid is not None
        taken = []
        for _ in range(60):
            start = time.process_time()
            grid.action_page(1)
            app.screen._compositor.render_strips()
            taken.append((time.process_time() - start) * 1000)
        say("1 M rows: page down, CPU ms", f"{statistics.median(taken):.1f}")
        start = time.process_time()
        grid.action_jump("bottom")
        await until(pilot, lambda: bool(grid.pages.peek(999_990, 5)))
        say("1 M rows: jump to the end, CPU ms", f"{(time.process_time() - start) * 1000:.0f}")
        pages: ResultPages = grid.pages
        start = time.process_time()
        pages.sort(2, is_descending=True)
        say("1 M rows: sort by a column, CPU ms", f"{(time.process_time() - start) * 1000:.0f}")


async def measure_all() -> None:
    """Everything that runs in this process."""
    from tests.support.workspaces import make_workspace

    with tempfile.TemporaryDirectory() as name:
        folder = make_workspace(Path(name) / "shop")
        measure_first_frame(folder)
        await measure_session(folder)
        await measure_transcript(folder)
        await measure_grid(folder)
    say("peak memory of all this, MB", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    asyncio.run(measure_all())
