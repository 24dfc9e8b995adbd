"""Counts in words."""


def count_of(number: int, noun: str) -> str:
    """`1 row`, `1,686 rows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def span_of(least: str | None, greatest: str | None) -> str:
    """`3..9`, or `3` where both are the same; `NULL` where there is none."""
    if least is None or greatest is None:
        return "NULL"
    return least if least == greatest else f"{least}..{greatest}"
