"""The slash commands: names, what they do, and the app action behind each."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from datasteward_tui.fuzzy import Choice, rank


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command; `needs` names what must be at hand for it to be offered: a tool, `chat` or `desk`."""

    name: str
    about: str
    action: str
    argument: str = ""
    needs: str = ""

    @property
    def needs_argument(self) -> bool:
        """Whether it means nothing without an argument: one that may be left out stands in square brackets."""
        return bool(self.argument) and not self.argument.startswith("[")


COMMANDS: tuple[Command, ...] = (
    Command(name="help", about="every key and command", action="help"),
    Command(name="catalog", about="tables, files and results in the pane", action="catalog"),
    Command(name="results", about="stored results, newest first", action="results"),
    Command(name="open", about="a result, table or file in the pane", action="open", argument="NAME"),
    Command(name="profile", about="columns, nulls, distinct values, shapes", action="profile", argument="NAME", needs="profile"),
    Command(name="lineage", about="where data comes from and goes to", action="lineage", argument="NAME", needs="lineage"),
    Command(name="chart", about="a result as bars, lines, points", action="chart", argument="RESULT KIND [X] [Y]", needs="chart"),
    Command(name="schema", about="columns and types", action="schema", argument="NAME"),
    Command(name="runs", about="pipeline runs: progress, log, quarantine", action="runs", argument="[RUN]"),
    Command(name="approvals", about="what waits for your decision", action="approvals", needs="desk"),
    Command(name="changes", about="every change, its proof and undo", action="changes", argument="[CHANGE]", needs="desk"),
    Command(name="undo", about="propose to take an applied change back", action="undo", argument="CHANGE", needs="desk"),
    Command(name="rules", about="what is decided without asking, and what was blocked", action="rules", needs="desk"),
    Command(name="sessions", about="search, resume, copy, export conversations", action="sessions", needs="chat"),
    Command(name="rewind", about="go back to a message, and undo what it changed", action="rewind", needs="chat"),
    Command(name="fork", about="go on in a copy of this conversation", action="fork", needs="chat"),
    Command(name="model", about="another model or effort", action="model", argument="[MODEL]", needs="chat"),
    Command(name="cost", about="tokens and money by session and model", action="cost", needs="chat"),
    Command(name="new", about="begin a new conversation", action="new", needs="chat"),
    Command(name="mode", about="plan, ask or auto", action="mode", argument="[MODE]", needs="chat"),
    Command(name="history", about="search what you typed before", action="history"),
    Command(name="theme", about="colours; ansi-dark and ansi-light are the terminal's own", action="theme", argument="[NAME]"),
    Command(name="copy", about="the last reply or result", action="copy_last"),
    Command(name="export", about="write the conversation to a Markdown file", action="export", argument="[FILE]"),
    Command(name="clear", about="empty the screen; results stay", action="clear"),
    Command(name="quit", about="leave", action="quit"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """A command as typed, with what stands after it."""

    command: Command
    rest: str


def offered(at_hand: frozenset[str]) -> tuple[Command, ...]:
    """The commands whose needs are met."""
    return tuple(c for c in COMMANDS if not c.needs or c.needs in at_hand)


def choices(commands: Sequence[Command]) -> list[Choice]:
    """The commands for the popup."""
    return [
        Choice(
            value=f"/{c.name}",
            about=f"{c.argument}  {c.about}" if c.argument else c.about,
            insert=f"/{c.name}{' ' if c.argument else ''}",
            is_whole=not c.needs_argument,
        )
        for c in commands
    ]


def parse_invocation(text: str, commands: Sequence[Command]) -> Invocation | str:
    """The command of a line that begins with `/`, or a sentence on what is wrong with it."""
    name, _, rest = text[1:].partition(" ")
    found = [c for c in commands if c.name == name.lower()]
    if not found:
        near = rank(name, choices(commands), 1)
        hint = f" Did you mean {near[0].value}?" if near and name else " Type / to see all."
        return f"There is no command /{name}.{hint}"
    return Invocation(command=found[0], rest=rest.strip())


def split_words(rest: str) -> tuple[str, ...]:
    """What stands after a command, as words; quotes keep blanks together."""
    try:
        return tuple(shlex.split(rest))
    except ValueError:
        return tuple(rest.split())
