"""Personal data inside running text: what is found by shape and checksum, in which share of rows, and hiding it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from datasteward.intake.sql_text import quote_name, quote_text
from datasteward.profiling.checksums import is_card_number, is_iban, is_us_ssn
from datasteward.profiling.model import Sensitivity

if TYPE_CHECKING:
    import duckdb

    from datasteward.profiling.sampling import ColumnShape, Sample

_MOST_READ = 2_000
_NEED_OF_CANDIDATES = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalText:
    """What personal data a text column holds inside its values, and the share of sampled rows that do."""

    kind: str
    meaning: str
    sensitivity: Sensitivity
    share: float
    rows: int
    pattern: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Class:
    kind: str
    pattern: str
    """Understood alike by DuckDB and Python."""
    test: Callable[[str], bool]
    sensitivity: Sensitivity


def _is_any(_text: str) -> bool:
    return True


def _holds_card(text: str) -> bool:
    """Whether groups of four and more digits that stand together make a card number, whatever stands beside them."""
    groups = [g for g in re.findall(r"\d+", text) if len(g) >= 4]
    return any(is_card_number("".join(groups[a:b])) for a in range(len(groups)) for b in range(a + 1, len(groups) + 1))


def _holds_iban(text: str) -> bool:
    code = text.replace(" ", "")
    return any(is_iban(code[:length]) for length in range(15, min(len(code), 34) + 1))


_CLASSES = (
    _Class(kind="card numbers", pattern=r"\b\d(?:[ -]?\d){12,18}\b", test=_holds_card, sensitivity="sensitive"),
    _Class(kind="IBANs", pattern=r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", test=_holds_iban, sensitivity="sensitive"),
    _Class(kind="US social security numbers", pattern=r"\b\d{3}-\d{2}-\d{4}\b", test=is_us_ssn, sensitivity="sensitive"),
    _Class(kind="secrets", pattern=r"\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_\w{20,}|sk[-_](?:live|test|ant|proj)[-_]\w{12,}|eyJ\w+\.eyJ\w+\.[\w-]+)", test=_is_any, sensitivity="sensitive"),
    _Class(kind="email addresses", pattern=r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,24}", test=_is_any, sensitivity="personal"),
    _Class(kind="phone numbers", pattern=r"\+\d{1,3}[ (./-]{0,2}\d(?:[ ()./-]{0,2}\d){6,12}\b", test=_is_any, sensitivity="personal"),
)  # fmt: skip
_FOUND = tuple((c, re.compile(c.pattern)) for c in _CLASSES)


def conceal(text: str) -> str:
    """`text` with every piece of personal data that is known by its shape or checksum replaced by x and 9."""
    if "@" not in text and not any(c.isdigit() for c in text) and "_" not in text:
        return text
    for kind, pattern in _FOUND:
        if pattern.search(text):
            text = _conceal_one(text, kind, pattern)
    return text


def _conceal_one(text: str, kind: _Class, pattern: re.Pattern[str]) -> str:
    """A match that fails its test may hide another one that begins within it, so the search goes on one further."""
    parts, begin, at = [], 0, 0
    while match := pattern.search(text, at):
        if kind.test(match[0]):
            parts += [text[begin : match.start()], _mask(match[0])]
            begin = at = match.end()
        else:
            at = match.start() + 1
    return "".join([*parts, text[begin:]])


def _mask(found: str) -> str:
    return re.sub(r"\d", "9", re.sub(r"[^\W\d_]", "x", found))


def find_inside(
    connection: "duckdb.DuckDBPyConnection", sample: "Sample", shapes: "Sequence[ColumnShape]"
) -> dict[str, PersonalText]:
    """Personal data inside the text columns of the sample, by column name; the gravest class of each column.

    A value that is nothing but the number or address is none of running text; numbers count when at least half of all
    that have their shape pass the checksum.
    """
    found: dict[str, PersonalText] = {}
    texts = [s for s in shapes if s.type == "VARCHAR" and _has_words(sample.columns[s.name].values)]
    any_class = quote_text("|".join(c.pattern for c in _CLASSES))
    for shape in texts:
        c = quote_name(shape.name)
        rows = connection.execute(
            f"SELECT left({c}, 20000) FROM {sample.table} WHERE regexp_matches(left({c}, 20000), {any_class}) LIMIT {_MOST_READ + 1}"
        ).fetchall()
        if rows:
            scale = _count_matches(connection, sample, c, any_class) / len(rows) if len(rows) > _MOST_READ else 1.0
            inside = _classify([str(r[0]) for r in rows], sample.rows, scale)
            if inside is not None:
                found[shape.name] = inside
    return found


def classify_texts(texts: Sequence[str]) -> PersonalText | None:
    """The gravest class of personal data that stands inside these texts, or None."""
    return _classify(list(texts), len(texts), 1.0)


def _count_matches(connection: "duckdb.DuckDBPyConnection", sample: "Sample", column: str, pattern: str) -> int:
    row = connection.execute(
        f"SELECT count_if(regexp_matches(left({column}, 20000), {pattern})) FROM {sample.table}"
    ).fetchone()
    return int(row[0]) if row else 0


def _has_words(values: Sequence[str]) -> bool:
    """Whether a text column may hold running text: some values are of several words or longer than an identifier."""
    return any(len(v) >= 12 and any(c.isalpha() or c == "@" for c in v) for v in values)


def _classify(texts: list[str], sampled_rows: int, scale: float) -> PersonalText | None:
    for kind, pattern in _FOUND:
        matches = [(t, m) for t in texts if (m := pattern.findall(t))]
        candidates = [x for _, m in matches for x in m]
        right = sum(1 for x in candidates if kind.test(x))
        rows = sum(1 for t, m in matches if any(kind.test(x) and len(x) < len(t.strip()) for x in m))
        if rows and right >= _NEED_OF_CANDIDATES * len(candidates):
            scaled = round(rows * scale)
            return PersonalText(
                kind=kind.kind, meaning=f"text with {kind.kind}", sensitivity=kind.sensitivity,
                share=scaled / max(1, sampled_rows), rows=scaled, pattern=kind.pattern,
            )  # fmt: skip
    return None
