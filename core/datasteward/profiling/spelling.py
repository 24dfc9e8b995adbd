"""Values that are one value written in several ways: by case, spaces, a slip of the keyboard or a wrong encoding."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

_AFTER_A_TILDE = "[\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]"
_DAMAGED = re.compile(f"Ã{_AFTER_A_TILDE}|â€|\ufffd")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variants:
    """Spellings of one value, the most frequent first, and the rows that use another one than that."""

    spellings: tuple[str, ...]
    rows: int


def find_variants(counted: Sequence[tuple[str, int]]) -> tuple[Variants, ...]:
    """Values of (value, rows) that differ in case or spaces only."""
    groups: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for value, rows in counted:
        groups[" ".join(value.split()).casefold()].append((value, rows))
    found = []
    for members in groups.values():
        if len(members) > 1:
            ordered = sorted(members, key=lambda m: (-m[1], m[0]))
            found.append(Variants(spellings=tuple(m[0] for m in ordered), rows=sum(m[1] for m in ordered[1:])))
    return tuple(sorted(found, key=lambda v: -v.rows))


def find_slips(counted: Sequence[tuple[str, int]]) -> tuple[Variants, ...]:
    """Rare values one or two letters away from a value at least ten times as frequent, and alike in their first letter.

    Only words of five letters and more without digits are compared, at most 400 values; words of three and four letters
    where a column has at most twelve values, and against one thirty times as frequent.
    """
    shortest = 3 if len(counted) <= 12 else 5
    words = [(v, n) for v, n in counted[:400] if len(v) >= shortest and not any(c.isdigit() for c in v)]
    total = sum(n for _, n in counted)
    frequent = [(v, n) for v, n in words if n >= max(10, 0.001 * total)]
    found: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for value, rows in words:
        for model, times in frequent:
            if (
                times >= 10 * rows
                and value[0].casefold() == model[0].casefold()
                and is_near(value, model, 1 if len(model) < 9 else 2)
                and value.casefold() != model.casefold()
            ):
                found[model].append((value, rows))
                break
    return tuple(
        Variants(spellings=(m, *(v for v, _ in slips)), rows=sum(n for _, n in slips)) for m, slips in found.items()
    )


def is_near(left: str, right: str, most: int) -> bool:
    """Whether the edit distance (insert, delete, replace) of two texts is between 1 and `most`."""
    if left == right or abs(len(left) - len(right)) > most:
        return False
    before = list(range(len(right) + 1))
    for i, a in enumerate(left, start=1):
        row = [i]
        for j, b in enumerate(right, start=1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b)))
        if min(row) > most:
            return False
        before = row
    return before[-1] <= most


def is_damaged(text: str) -> bool:
    """Whether UTF-8 was read as Windows-1252 (`MÃ¼ller`), or letters were lost; a plain Ã as in SÃO is none of it."""
    return bool(_DAMAGED.search(text))


def damage_test(column: str) -> str:
    """The same test as a SQL condition on a quoted column."""
    tilde = f"(contains({column}, 'Ã') AND regexp_matches({column}, 'Ã{_AFTER_A_TILDE}'))"
    return f"{tilde} OR contains({column}, 'â€') OR contains({column}, '\ufffd')"
