"""Holding a figure against an exact value: rounding as written, unit, scale and sign."""

from collections.abc import Iterator
from decimal import Decimal

from datasteward.evidence.index import NumericColumn
from datasteward.evidence.model import Figure


def agrees(figure: Figure, exact: Decimal, said: Decimal | None = None, factor: Decimal = Decimal(1)) -> bool:
    """True when `exact` rounds to what is written; `factor` turns the written unit into the exact value's unit."""
    value = (figure.value if said is None else said) * factor
    margin = figure.tolerance * factor
    if figure.leaning == "over":
        return value - margin <= exact < value + 2 * margin or exact == value
    if figure.leaning == "under":
        return value - 2 * margin < exact <= value + margin or exact == value
    return abs(exact - value) <= margin


def readings(figure: Figure, direction: int) -> tuple[Decimal, ...]:
    """The values a figure may stand for: its readings, and their negatives where the words say loss or fall."""
    said = (figure.value, *figure.alternates)
    if direction < 0 and not figure.has_sign:
        return (*said, *(-v for v in said))
    return said


def factors(figure: Figure, column: NumericColumn, *, is_named: bool) -> tuple[Decimal, ...]:
    """What the written value is multiplied by to stand in the column's unit; empty when the units cannot agree."""
    own = 1 / column.scale
    match figure.unit:
        case "percent":
            return _percent_factors(column)
        case "points":
            return (Decimal(1),) if {"pp", "pt", "point", "points"} & set(column.name.casefold().split("_")) else ()
        case "times":
            return (Decimal(1),) if is_named or not column.is_integral else ()
        case "currency":
            wrong = column.currency is not None and figure.currency is not None and column.currency != figure.currency
            return () if wrong or column.is_percent else (own,)
        case "date":
            return ()
        case "plain" | "year":
            return (Decimal(1), own) if own != 1 else (Decimal(1),)


def _percent_factors(column: NumericColumn) -> tuple[Decimal, ...]:
    fraction = Decimal("0.01")
    if column.is_fraction:
        return (fraction, Decimal(1)) if column.is_percent and _is_small_percent(column) else (fraction,)
    if not column.is_percent:
        return ()
    is_ratio = (
        bool(column.ordered)
        and not column.is_integral
        and max(abs(v) for v, _ in (column.ordered[0], column.ordered[-1])) <= 3
    )
    return (Decimal(1), fraction) if is_ratio else (Decimal(1),)


def _is_small_percent(column: NumericColumn) -> bool:
    """A column called percent whose values all lie below 1 may hold percents."""
    return "pct" in column.name.casefold() or "percent" in column.name.casefold()


def matching_rows(
    figure: Figure, column: NumericColumn, rows: frozenset[int] | None, direction: int, *, is_named: bool
) -> Iterator[int]:
    """Rows (from `rows`, or all when None) whose cell agrees with the figure."""
    for factor in factors(figure, column, is_named=is_named):
        for said in readings(figure, direction):
            margin = 2 * figure.tolerance * factor
            near = column.between(said * factor - margin, said * factor + margin)
            for row in near if rows is None else (r for r in rows if r in column.values):
                if agrees(figure, column.values[row], said, factor):
                    yield row
