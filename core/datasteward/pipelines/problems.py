"""Faults in pipeline files, each with its file, line and column."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from datasteward.errors import ToolError

MAX_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One fault; line and column count from 1, and 0 means the file as a whole."""

    path: str
    message: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """`path:line:column: message`."""
        place = f":{self.line}:{self.column}" if self.line else ""
        return f"{self.path}{place}: {self.message}"


class PipelineFault(ToolError):
    """The pipeline's files cannot be planned as they are; `problems` has every fault that was found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        ordered = tuple(sorted(problems, key=lambda p: (p.path, p.line, p.column)))
        lines = [str(p) for p in ordered[:MAX_SHOWN]]
        if len(ordered) > MAX_SHOWN:
            lines.append(f"… and {len(ordered) - MAX_SHOWN} more")
        super().__init__(
            "\n".join(lines), code="invalid_arguments", hint="Mend the files named and plan again; nothing was run."
        )
        self.problems = ordered


def suggest(name: str, known: Iterable[str]) -> str:
    """`, did you mean 'x'?` with the nearest known name, or a list of what is known when none is near."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f", did you mean '{near[0]}'?"
    return f"; known: {', '.join(names[:15])}{', …' if len(names) > 15 else ''}." if names else "."


def place_of(text: str, offset: int) -> tuple[int, int]:
    """Line and column, both from 1, of a character offset."""
    before = text[: max(0, offset)]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
