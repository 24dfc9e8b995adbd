"""Who calls a tool, and how a call tells its progress; light enough for every entry point."""

from dataclasses import dataclass
from typing import Literal

FrontEnd = Literal["mcp", "cli", "tui", "agent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks: the front end, the client's own name and version, its connection and process."""

    front_end: FrontEnd
    name: str
    version: str = ""
    connection: str = ""
    process_id: int | None = None
    is_model: bool = True
    """True when what is returned will be read by a model, so that masking and lean views apply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a call has come: `done` of `total` (None when unknown) and what is being done."""

    done: float
    total: float | None = None
    message: str = ""
