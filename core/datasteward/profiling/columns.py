"""The profile of one column, put together from what the two looks found."""

from datasteward.profiling.distributions import complete
from datasteward.profiling.findings import masked_example
from datasteward.profiling.key_names import promises_key
from datasteward.profiling.looking import Looks
from datasteward.profiling.meanings import find_meaning, find_pattern
from datasteward.profiling.model import ColumnProfile, Meaning, ValueCount
from datasteward.profiling.sampling import ColumnSample, ColumnShape
from datasteward.profiling.scanning import ScannedColumn
from datasteward.profiling.text_types import HiddenType

_MOST_LISTED = 30
_MOST_SAMPLED = 12
_CUT_AT = 500
_KEY_LENGTH = 64
_FEW_ROWS = 20
_IDENTIFIERS = frozenset({"phone", "card number", "EAN", "ISBN", "national identifier", "iban"})


def profile_column(shape: ColumnShape, looks: Looks, sensitive: frozenset[str]) -> ColumnProfile:
    """The column's profile; the columns named in `sensitive` are personal whatever they hold."""
    scanned, look = looks.scanned[shape.name], looks.sample.columns[shape.name]
    meaning = _meaning(shape, looks, sensitive)
    hidden = _hidden(looks.hidden.get(shape.name), meaning)
    is_counted = looks.sample.is_whole and shape.family not in {"nested", "binary", "other"} and _is_uncut(scanned)
    distinct = look.distinct if looks.sample.is_whole and shape.family != "nested" else scanned.distinct
    distinct = scanned.distinct if scanned.distinct_is_exact else distinct
    is_exact = scanned.distinct_is_exact or is_counted
    is_unique = is_exact and looks.rows > 1 and scanned.filled == looks.rows == distinct
    return ColumnProfile(
        name=shape.name, type=shape.type, family=shape.family, nulls=looks.rows - scanned.filled, rows=looks.rows,
        distinct=distinct, distinct_is_exact=is_exact, min=scanned.min, max=scanned.max,
        better_type=hidden.type if hidden else None, better_sql=hidden.sql if hidden else None,
        better_note=hidden.note if hidden else "", min_length=scanned.shortest, max_length=scanned.longest,
        pattern=find_pattern(look.values) if shape.family == "text" else None, top=_top(scanned, looks, shape.name),
        distribution=complete(looks.distributions.get(shape.name), scanned), meaning=meaning,
        is_key=is_unique and _may_be_key(shape, scanned, look, looks), masked_example=masked_example(look),
        is_sampled=scanned.is_sampled,
    )  # fmt: skip


def _meaning(shape: ColumnShape, looks: Looks, sensitive: frozenset[str]) -> Meaning | None:
    scanned, look = looks.scanned[shape.name], looks.sample.columns[shape.name]
    meaning = find_meaning(shape.name, shape.family, look.values, scanned.min, scanned.max)
    inside = looks.inside.get(shape.name)
    if inside is not None and (meaning is None or meaning.sensitivity == "none"):
        meaning = Meaning(
            kind=inside.meaning, share=round(inside.share, 4), confidence=0.9, sensitivity=inside.sensitivity
        )
    if shape.name in sensitive and (meaning is None or meaning.sensitivity == "none"):
        kind = meaning.kind if meaning else "labelled as sensitive"
        return Meaning(kind=kind, share=1.0, confidence=1.0, sensitivity="personal")
    return meaning


def _hidden(hidden: HiddenType | None, meaning: Meaning | None) -> HiddenType | None:
    """None where the digits are an identifier, or where the type's description would tell what a sensitive column holds."""
    if hidden is None or meaning is None:
        return hidden
    tells_values = meaning.sensitivity != "none" and hidden.kind == "number_with_unit"
    return None if tells_values or meaning.kind in _IDENTIFIERS else hidden


def _is_uncut(scanned: ScannedColumn) -> bool:
    """Whether no value was cut when the sample was counted as text."""
    return scanned.longest is None or scanned.longest <= _CUT_AT


def _may_be_key(shape: ColumnShape, scanned: ScannedColumn, look: ColumnSample, looks: Looks) -> bool:
    """Whether a unique column is of a kind that identifies rows: no measure, and no text that happens to be unique.

    In a table of few rows nearly everything is unique, so there only the first column and those named as identifiers count.
    """
    if shape.family not in {"integer", "text", "date", "timestamp"}:
        return False
    if promises_key(shape.name):
        return True
    if shape.family == "text":
        has_words = sum(" " in v for v in look.values) > 0.5 * len(look.values)
        if (scanned.longest or 0) > _KEY_LENGTH or (has_words and shape.name != looks.shapes[0].name):
            return False
    return looks.rows >= _FEW_ROWS or shape.name == looks.shapes[0].name


def _top(scanned: ScannedColumn, looks: Looks, name: str) -> tuple[ValueCount, ...]:
    if scanned.histogram:
        return tuple(
            ValueCount(value=v, rows=n, share=n / looks.rows, is_exact=not scanned.is_sampled)
            for v, n in scanned.histogram[:_MOST_LISTED]
        )
    look = looks.sample.columns[name]
    if look.filled == 0 or look.top[0].rows <= 1 or any(len(t.value) >= _CUT_AT for t in look.top):
        return ()
    scale = looks.rows / max(1, looks.sample.rows)
    return tuple(
        ValueCount(
            value=t.value, rows=round(t.rows * scale), share=t.rows / looks.sample.rows, is_exact=looks.sample.is_whole
        )
        for t in look.top[:_MOST_SAMPLED]
    )
