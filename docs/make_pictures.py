"""Makes the pictures of the terminal app in docs/pictures: real tools and data, a scripted model.

Run from the repository's root: .venv/bin/python docs/make_pictures.py [small|normal|wide|light|moving …]
Pictures are SVG. With PNG=FOLDER in the environment each is written there as PNG, too, to be looked at.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from moving_picture import Frame, join_frames
from picture_shop import make_app, make_shop, run_pipeline
from textual.pilot import Pilot

from datasteward_tui.app import StewardApp
from datasteward_tui.history_screen import HistoryScreen
from datasteward_tui.plan_screen import PlanScreen

PICTURES = Path(__file__).parent / "pictures"
IN_README = ("approval-normal",)
"""Pictures that are shown where fonts of an SVG are not at hand, so also written as PNG."""
IN_LIGHT = ("chat", "approval", "lineage")
"""Screens that are shown on a light ground, too."""
WAIT_SECONDS = 60.0
SIZES = {"small": (80, 24), "normal": (120, 40), "wide": (200, 50)}
Shutter = Callable[[str, str, float], None]


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    """Let the app work until the condition holds."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            shown = "\n".join(s.text.rstrip() for s in pilot.app.screen._compositor.render_strips())
            raise TimeoutError(f"the screen did not become what it should:\n{shown}")
        await pilot.pause()
        await asyncio.sleep(0.02)
    await pilot.pause()


def is_shown(app: StewardApp, words: str) -> bool:
    """Whether the words stand on the screen."""
    return any(words in strip.text for strip in app.screen._compositor.render_strips())


async def say(pilot: Pilot[None], app: StewardApp, text: str, *, shown: str = "") -> None:
    """Send a text, and wait for words on the screen."""
    app.prompt.focus()
    app.prompt.put(text)
    await pilot.pause()
    app.choice_list.show([])
    app.prompt.is_choosing = False
    await pilot.press("enter")
    if shown:
        await until(pilot, lambda: is_shown(app, shown))


def take_picture(app: StewardApp) -> str:
    """The screen as SVG."""
    return app.export_screenshot(title=f"Datasteward · {app.workspace.root.name}")


def save(svg: str, name: str) -> None:
    """Write a picture."""
    (PICTURES / f"{name}.svg").write_text(svg, encoding="utf-8")
    folder = os.environ.get("PNG")
    targets = [Path(folder) / f"{name}.png"] if folder else []
    targets += [PICTURES / f"{name}.png"] if name in IN_README else []
    if targets:
        import vl_convert

        png = vl_convert.svg_to_png(svg, scale=0.8)
        for target in targets:
            target.write_bytes(png)
    sys.stdout.write(f"{name}\n")


async def talk(pilot: Pilot[None], app: StewardApp, shoot: Shutter) -> None:
    """Question, answer, rows."""
    await until(pilot, lambda: is_shown(app, "/profile customers"))
    shoot("welcome", "A folder is a workspace", 2)
    app.prompt.put("which open orders should worry me?")
    await pilot.pause()
    shoot("", "A question", 2)
    await say(pilot, app, "which open orders should worry me?")
    await until(pilot, lambda: is_shown(app, "UPDATE") and not works(app))
    await pilot.press("ctrl+o")
    await pilot.pause()
    shoot("chat", "The answer, its SQL, and its figures checked", 4)
    await say(pilot, app, "/open r1", shown="r1 · 4 rows")
    shoot("grid", "The rows behind it", 2.5)


async def look_around(pilot: Pilot[None], app: StewardApp, shoot: Shutter) -> None:
    """Profile, chart, catalog, schema, lineage, run."""
    await say(pilot, app, "/profile payments amount", shown="median")
    shoot("profile", "A profile", 3)
    await say(pilot, app, "/chart r1 bar region revenue", shown="█")
    shoot("chart", "A chart", 2)
    await run_pipeline(app)
    await say(pilot, app, "/runs c1", shown="staging.orders")
    await pilot.pause()
    shoot("run", "A pipeline run", 3)
    await say(pilot, app, "/lineage staging.orders", shown="datasets")
    await pilot.press("c", "down", "down")
    await pilot.pause()
    shoot("lineage", "Lineage", 3)
    await say(pilot, app, "/schema orders", shown="Schema · orders")
    await pilot.pause()
    shoot("schema", "Columns and types", 2)
    await pilot.press("f4")
    await until(pilot, lambda: is_shown(app, "marts.by_day"))
    shoot("catalog", "The catalog", 2)
    await pilot.press("escape")


async def plan(pilot: Pilot[None], app: StewardApp, shoot: Shutter) -> None:
    """A plan, edited and approved; then a change waits."""
    app._typed_at = 0.0
    await say(pilot, app, "make a plan to mend them")
    app._typed_at = 0.0
    await until(pilot, lambda: isinstance(app.screen, PlanScreen) or app.screen_person.has_waiting)
    if not isinstance(app.screen, PlanScreen):
        await pilot.press("f7")
    await until(pilot, lambda: isinstance(app.screen, PlanScreen))
    shoot("", "The agent's plan, before anything is done", 3)
    await pilot.press("down", "c", *"only those of the north", "enter")
    await pilot.pause()
    shoot("plan", "The plan with a comment for the agent", 3)
    for _ in range(6):
        await pilot.press("pagedown")
    await press_when_free(pilot, "a", lambda: not isinstance(app.screen, PlanScreen))


async def decide(pilot: Pilot[None], app: StewardApp, shoot: Shutter) -> None:
    """The change that waits, its approval, and its undo."""
    await until(pilot, lambda: app.dock.panel.row is not None and is_shown(app, "waiting"))
    await until(pilot, lambda: not works(app) and not is_shown(app, "measuring"))
    panel = app.dock.panel
    change = panel.row.summary.handle if panel.row is not None else ""
    await pilot.press("f2")
    await until(pilot, lambda: panel.view.line_count > 0)
    shoot("approval", "The change with its rows before and after: nothing is changed yet", 4)
    for _ in range(20):
        await pilot.press("pagedown")
    await press_when_free(pilot, "a", lambda: is_shown(app, f"{change} applied"))
    await pilot.pause()
    shoot("applied", "Approved and applied", 2.5)
    app.dock.show_history(change)
    await until(pilot, lambda: isinstance(app.screen, HistoryScreen))
    await pilot.pause(0.2)
    shoot("history", "Every change, with its proof", 3)
    await pilot.press("u")
    await until(pilot, lambda: not isinstance(app.screen, HistoryScreen))
    await until(pilot, lambda: is_shown(app, f"take back {change}") and panel.view.line_count > 0)
    shoot("undo", "Undo is a change of its own, measured and shown", 3)
    undo = panel.row.summary.handle if panel.row is not None else ""
    if not app.dock.has_keys:
        await pilot.press("f2")
    for _ in range(20):
        await pilot.press("pagedown")
    await press_when_free(pilot, "a", lambda: is_shown(app, f"{undo} applied") and not app.dock.inbox.waiting)
    await pilot.pause(0.2)
    shoot("undone", "Undone, and proved to be as before", 4)


async def press_when_free(pilot: Pilot[None], key: str, condition: Callable[[], bool]) -> None:
    """Press a key that is not taken too soon after a screen appeared."""
    await asyncio.sleep(0.8)
    await pilot.press(key)
    await until(pilot, condition)


def works(app: StewardApp) -> bool:
    """Whether the model's run goes on."""
    return app.conversation is not None and app.conversation.is_running


async def show_screens(size: str, theme: str) -> None:
    """A picture of every screen at one size."""
    mark = f"{size}-{theme}" if theme != "steward" else size
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HOME"] = folder
        app = make_app(make_shop(Path(folder) / "shop"))

        def shoot(name: str, words: str, seconds: float) -> None:
            if name and (theme == "steward" or name in IN_LIGHT):
                save(take_picture(app), f"{name}-{mark}")

        async with app.run_test(size=SIZES[size]) as pilot:
            app.theme = theme
            await talk(pilot, app, shoot)
            await look_around(pilot, app, shoot)
            await plan(pilot, app, shoot)
            await decide(pilot, app, shoot)
            await pilot.press("escape", "f1")
            await pilot.pause()
            shoot("help", "", 0)


async def record() -> None:
    """One picture that moves: question, plan edited, approved, change previewed, approved, undone."""
    frames: list[Frame] = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HOME"] = folder
        app = make_app(make_shop(Path(folder) / "shop"))

        def shoot(name: str, words: str, seconds: float) -> None:
            frames.append(Frame(svg=take_picture(app), words=words, seconds=seconds))

        async with app.run_test(size=(110, 34)) as pilot:
            await talk(pilot, app, shoot)
            app.set_pane(is_shown=False)
            await plan(pilot, app, shoot)
            await decide(pilot, app, shoot)
    (PICTURES / "story.svg").write_text(join_frames(frames), encoding="utf-8")
    sys.stdout.write(f"story: {len(frames)} frames\n")
    for number, frame in enumerate(frames if os.environ.get("PNG") else (), start=1):
        import vl_convert

        path = Path(os.environ["PNG"]) / f"story-{number:02}.png"
        path.write_bytes(vl_convert.svg_to_png(frame.svg, scale=0.6))


async def main() -> None:
    """All pictures, or those that were asked for."""
    PICTURES.mkdir(exist_ok=True)
    for name in sys.argv[1:] or [*SIZES, "light", "moving"]:
        if name == "moving":
            await record()
        else:
            await show_screens("normal" if name == "light" else name, "steward-light" if name == "light" else "steward")


if __name__ == "__main__":
    asyncio.run(main())
