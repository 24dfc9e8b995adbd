"""A pipeline run while it goes on and after: each asset's state, rows, quarantine, seconds, and what was told."""

import time
from collections.abc import Mapping
from typing import ClassVar, Literal

from rich.style import Style
from rich.text import Text
from textual import work
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from datasteward.changes.counts import count_of
from datasteward_tui.call_block import format_seconds
from datasteward_tui.catalog import quote_name
from datasteward_tui.entry_list import EntryList
from datasteward_tui.palette import Palette
from datasteward_tui.run_shelf import RunShelf, RunSight, RunStep
from datasteward_tui.safe_text import fit_cells, show_line
from datasteward_tui.status_bar import KeyHint
from datasteward_tui.strips import blank, to_strip, wrap_text

LOOK_SECONDS = 0.5
RESTING_SECONDS = 2.0
LOGGED_LINES = 200
SIGNS: Mapping[str, str] = {
    "published": "●",
    "failed": "✗",
    "skipped": "⊘",
    "running": "◔",
    "waiting": "○",
    "not run": "○",
}
FIGURES = ("rows", "change", "aside", "time")
SHORTEST_NAME = 18
RunWish = Literal["rows", "quarantine", "stop", "undo"]


class RunMonitor(EntryList):
    """Looks at the run book twice a second while the run goes on, and now and then whether it was taken back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o", "wish('rows')", "rows"),
        Binding("w", "wish('quarantine')", "quarantined rows"),
        Binding("x", "wish('stop')", "stop the run"),
        Binding("u", "wish('undo')", "undo"),
    ]
    HINTS = (
        KeyHint(key="Enter", words="more", action="unfold"),
        KeyHint(key="o", words="rows", action="wish('rows')"),
        KeyHint(key="w", words="quarantined rows", action="wish('quarantine')"),
        KeyHint(key="x", words="stop", action="wish('stop')"),
        KeyHint(key="u", words="undo", action="wish('undo')"),
    )

    class Wished(Message):
        """The person wants SQL to be run (`rows`, `quarantine`), or the run stopped or taken back."""

        def __init__(self, wish: RunWish, text: str) -> None:
            super().__init__()
            self.wish: RunWish = wish
            self.text = text

    def __init__(self, shelf: RunShelf, sight: RunSight, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shelf = shelf
        self.sight = sight
        self._log: list[str] = []
        self._note(None, sight)

    def on_mount(self) -> None:
        """Faults are shown unfolded; a run that goes on is looked at again and again."""
        self.unfold([i for i, s in enumerate(self.sight.steps) if s.state == "failed"])
        is_running = self.sight.record.status == "running"
        self._timer = self.set_interval(LOOK_SECONDS if is_running else RESTING_SECONDS, self._look)

    @work(thread=True, exclusive=True, group="run-look", exit_on_error=False)
    def _look(self) -> None:
        found = self._shelf.look(self.sight.record.run)
        if found is not None and self.is_mounted:
            self.app.call_from_thread(self.show, found)

    def show(self, sight: RunSight) -> None:
        """The run as it is now."""
        has_ended = self.sight.record.status == "running" and sight.record.status != "running"
        self._note(self.sight, sight)
        self.sight = sight
        if has_ended:
            self._timer.stop()
            self._timer = self.set_interval(RESTING_SECONDS, self._look)
            self.unfold([i for i, s in enumerate(sight.steps) if s.state == "failed"])
        self.reload()

    def _note(self, before: RunSight | None, now: RunSight) -> None:
        clock = time.strftime("%H:%M:%S") if before is not None else " " * 8
        known = {s.name: s.state for s in before.steps} if before is not None else {}
        told = [s for s in now.steps if s.state not in {"waiting", "not run", known.get(s.name)}]
        self._log += [f"{clock}  {_log_line(s)}" for s in told]
        if now.record.message and (before is None or before.record.message != now.record.message):
            self._log.append(f"{clock}  {now.record.message}")
        del self._log[:-LOGGED_LINES]

    @property
    def row_count(self) -> int:
        """The steps, and a last row for what was told."""
        return len(self.sight.steps) + bool(self._log)

    def draw_head(self, width: int, palette: Palette) -> list[Strip]:
        """How far the run is, and how long it will take."""
        record, line = self.sight.record, self.sight.line
        styles = {"running": palette.accent, "done": palette.good, "partly": palette.warn, "stopped": palette.warn}
        style = styles.get(record.status, palette.bad)
        room = max(8, min(30, width - 48))
        full = round(room * line.done / line.total) if line.total else room
        bar = Text.assemble(("█" * full, style), ("░" * (room - full), palette.bar))
        facts = [f"{line.done} of {line.total} assets", self._time_words(line.seconds_left)]
        status, words = Text(record.status, style + Style(bold=True)), Text(" · ".join(facts), palette.muted)
        head = [to_strip(Text("  ").join([status, bar, words]))]
        if record.undone_by:
            undone = f"↶ taken back by {record.undone_by}: what the run made is gone, and what it replaced is back"
            head += wrap_text(Text(undone, palette.warn), width)
        counts = self._counts(palette)
        if counts.plain:
            head += wrap_text(counts, width)
        if record.message:
            head += wrap_text(Text(show_line(record.message, 1000), palette.warn), width)
        title = Text("    " + "asset".ljust(self._name_width(width)), palette.muted)
        title.append("".join(name.rjust(size) for name, size in self._columns(width)))
        return [*head, blank(), to_strip(title)]

    def _time_words(self, seconds_left: float | None) -> str:
        record = self.sight.record
        if record.status != "running":
            return f"took {format_seconds(max(0.0, record.updated - record.started))}"
        if seconds_left is None:
            return f"since {format_seconds(max(0.0, self.sight.looked_at - record.started))}"
        left = seconds_left - (self.sight.looked_at - record.updated)
        return f"about {format_seconds(left)} left" if left >= 1 else "nearly done"

    def _counts(self, palette: Palette) -> Text:
        outcomes = [s.outcome for s in self.sight.steps if s.outcome is not None]
        aside = sum(o.quarantined for o in outcomes)
        rows = sum(o.rows or 0 for o in outcomes if o.status == "published")
        text = Text()
        for words, style, is_said in (
            (f"{count_of(rows, 'row')} published", palette.text, rows),
            (f"{count_of(aside, 'row')} in quarantine", palette.warn, aside),
            (
                f"{sum(o.status == 'failed' for o in outcomes)} failed",
                palette.bad,
                any(o.status == "failed" for o in outcomes),
            ),
        ):
            if is_said:
                text.append("  ·  " if text.plain else "", palette.bar).append(words, style)
        return text

    def _columns(self, width: int) -> list[tuple[str, int]]:
        """The columns of figures that fit, each with its width."""
        cells = [_figures(s) for s in self.sight.steps]
        wanted = {name: 2 + max([len(name), *(len(c[name]) for c in cells)]) for name in FIGURES}
        if sum(wanted.values()) + 4 + SHORTEST_NAME > width:
            del wanted["change"]
        return list(wanted.items())

    def _name_width(self, width: int) -> int:
        longest = max((len(s.name) for s in self.sight.steps), default=8)
        room = width - 4 - sum(size for _, size in self._columns(width))
        return max(8, min(longest, room))

    def draw_row(self, index: int, width: int, palette: Palette) -> Text:
        """State, name, rows, change, rows set aside, seconds."""
        if index >= len(self.sight.steps):
            return Text.assemble(("≡ ", palette.muted), ("log", palette.text), (f"  {len(self._log):,}", palette.muted))
        step = self.sight.steps[index]
        style = state_style(step.state, palette)
        room = self._name_width(width + 2)
        name = fit_cells(show_line(step.name, 200), room)
        text = Text.assemble((f"{SIGNS.get(step.state, '?')} ", style), (name.ljust(room), palette.text))
        if step.outcome is None:
            return text.append(show_line("  " + " · ".join(w for w in (step.state, step.doing) if w), 200), style)
        styles = {"rows": palette.number, "aside": palette.warn}
        figures = _figures(step)
        for column, size in self._columns(width + 2):
            text.append(figures[column].rjust(size), styles.get(column, palette.muted))
        return text

    def draw_detail(self, index: int, width: int, palette: Palette) -> list[Strip]:
        """Why it runs, what its checks found, what went wrong."""
        if index >= len(self.sight.steps):
            return [s for line in self._log for s in wrap_text(Text(show_line(line, 1000), palette.muted), width)]
        step = self.sight.steps[index]
        lines = (
            [Text(show_line(f"{step.action}: {'; '.join(step.reasons)}", 1000), palette.muted)] if step.reasons else []
        )
        outcome = step.outcome
        if outcome is not None:
            if outcome.message:
                lines.append(Text(show_line(outcome.message, 4000), state_style(step.state, palette)))
            for check in outcome.checks:
                style = palette.warn if check.bad else palette.good
                sign = "!" if check.bad else "✓"
                lines.append(
                    Text.assemble(
                        (f"{sign} ", style),
                        (show_line(f"{check.name}: {check.bad:,} {check.action}", 400), palette.text),
                    )
                )
            if outcome.quarantine:
                lines.append(
                    Text(
                        show_line(f"set aside in {outcome.quarantine}; w shows the rows", 400),
                        palette.warn,
                    )
                )
            if outcome.attempts > 1:
                lines.append(Text(f"{outcome.attempts} attempts", palette.muted))
        return [s for line in lines or [Text("nothing to tell yet", palette.muted)] for s in wrap_text(line, width)]

    def action_wish(self, wish: RunWish) -> None:
        """Ask for what a key means for the row under the cursor, or for the run."""
        step = self.sight.steps[self.row] if self.row < len(self.sight.steps) else None
        outcome = step.outcome if step is not None else None
        match wish:
            case "rows" if step is not None:
                self.post_message(self.Wished(wish, f"FROM {sql_name(step.name)}"))
            case "quarantine" if outcome is not None and outcome.quarantine:
                self.post_message(self.Wished(wish, f"FROM {sql_name(outcome.quarantine)}"))
            case "quarantine":
                self.app.notify("No rows of this asset are in quarantine.", timeout=3)
            case "stop" if self.sight.record.status != "running":
                self.app.notify("The run is over.", timeout=3)
            case "undo" if self.sight.record.undone_by:
                self.app.notify(f"The run was taken back by {self.sight.record.undone_by}.", timeout=3)
            case "stop" | "undo":
                self.post_message(self.Wished(wish, self.sight.record.run))
            case _:
                return


def state_style(state: str, palette: Palette) -> Style:
    """The colour of a step's state."""
    styles = {"published": palette.good, "failed": palette.bad, "skipped": palette.warn, "running": palette.accent}
    return styles.get(state, palette.muted)


def sql_name(name: str) -> str:
    """An asset's name as SQL takes it, each part in quotes."""
    return ".".join(quote_name(part) for part in name.split("."))


def _figures(step: RunStep) -> Mapping[str, str]:
    outcome = step.outcome
    if outcome is None:
        return dict.fromkeys(FIGURES, "")
    grown = outcome.rows - outcome.rows_before if outcome.rows is not None and outcome.rows_before is not None else 0
    return {
        "rows": "" if outcome.rows is None else f"{outcome.rows:,}",
        "change": f"{grown:+,}" if grown else "",
        "aside": f"{outcome.quarantined:,}" if outcome.quarantined else "",
        "time": format_seconds(outcome.seconds) if outcome.seconds else "",
    }


def _log_line(step: RunStep) -> str:
    outcome = step.outcome
    if outcome is None:
        return f"{step.state} {step.name}"
    parts = [count_of(outcome.rows, "row") if outcome.rows is not None else "", outcome.message]
    parts += [f"{c.name}: {c.bad:,} {c.action}" for c in outcome.checks if c.bad]
    return " · ".join([f"{step.state} {step.name}", *(p for p in parts if p)])
