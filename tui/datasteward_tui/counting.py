"""A number with its noun."""


def count(number: int, noun: str) -> str:
    """`1 row`, `1,204 rows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
