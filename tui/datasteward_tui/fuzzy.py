"""Ranking of names by a few typed letters."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Something to choose: what is inserted, what is shown beside it, and words that find it too."""

    value: str
    about: str = ""
    kind: str = ""
    insert: str | None = None
    is_whole: bool = True
    """Whether Enter may send it as it is: a command that needs an argument only completes."""

    @property
    def inserted(self) -> str:
        """The text that takes the typed one's place."""
        return self.value if self.insert is None else self.insert


def score(query: str, candidate: str) -> float | None:
    """How well the letters of `query` stand in `candidate` in their order: higher is better, None when they don't."""
    wanted, text = query.lower(), candidate.lower()
    if not wanted:
        return 0.0
    at = text.find(wanted)
    if at >= 0:
        is_start = at == 0 or not text[at - 1].isalnum()
        return 100.0 + 50.0 * (at == 0) + 25.0 * is_start - 0.1 * len(text)
    total, position, run = 0.0, -1, 0
    for letter in wanted:
        found = text.find(letter, position + 1)
        if found < 0:
            return None
        run = run + 1 if found == position + 1 else 0
        total += 2.0 * run + 3.0 * (found == 0 or not text[found - 1].isalnum())
        position = found
    return total - 0.1 * len(text)


def rank(query: str, choices: Iterable[Choice], limit: int = 50) -> list[Choice]:
    """The choices that fit `query`, best first; equal ones keep their order."""
    scored = [(s, -n, c) for n, c in enumerate(choices) if (s := score(query, c.value)) is not None]
    scored.sort(key=lambda item: item[:2], reverse=True)
    return [choice for _, _, choice in scored[:limit]]
