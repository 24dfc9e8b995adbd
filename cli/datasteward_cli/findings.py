"""What the doctor finds, one line each."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the report: how it stands, what was found, and how to mend it when it is not well."""

    level: Level
    subject: str
    text: str
    mend: str | None = None
