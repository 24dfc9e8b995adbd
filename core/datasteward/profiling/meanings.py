"""What the values of a column stand for, by checksum, shape and the column's name; personal data is marked."""

import ipaddress
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from datasteward.profiling.checksums import is_card_number, is_ean, is_iban, is_isbn, is_us_ssn
from datasteward.profiling.model import Family, Meaning, Sensitivity
from datasteward.profiling.text_types import filled_values
from datasteward.profiling.word_lists import COUNTRIES_2, COUNTRIES_3, COUNTRY_NAMES, CURRENCIES, FIRST_NAMES, US_STATES

_EMAIL = re.compile(r"[\w.+%'-]+@[\w-]+(\.[\w-]+)*\.[A-Za-z]{2,24}")
_EMAIL_INSIDE = re.compile(r"[\w.+-]+@[\w-]+\.[A-Za-z]{2,}")
_URL = re.compile(r"(https?|ftp)://\S+|www\.[\w-]+\.\S+")
_UUID = re.compile(r"[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_MAC = re.compile(r"([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}")
_PHONE = re.compile(r"(\+\d{1,3}[ .-]?)?(\(\d{1,5}\)[ .-]?)?\d{1,5}([ .-]\d{2,5}){1,5}|\+\d{7,15}")
_SECRET = re.compile(
    r"(sk|pk|rk)[-_](live|test|ant|proj)?[-_]?\w{12,}|AKIA[0-9A-Z]{16}|gh[pousr]_\w{20,}|xox[abp]-\S{10,}|eyJ\w+\.eyJ\w+\.\S+"
)
_STREET = re.compile(
    r"(?i)\d+[a-z]?\s+([\w.']+\s+){1,4}(st|street|ave|avenue|rd|road|blvd|boulevard|ln|lane|dr|drive|ct|court|way|pl|place|hwy|sq|terrace)\b.*"
    r"|[\w. -]*(straße|strasse|str\.|gasse|weg|platz)\s*\d+\w?"
)
_POSTCODE = re.compile(r"(?i)\d{4,6}(-\d{4})?|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|[A-Z]\d[A-Z] ?\d[A-Z]\d|\d{4} ?[A-Z]{2}")
_NAME_SHAPE = re.compile(r"[A-ZÀ-Þ][\w'’-]+(,? ([A-ZÀ-Þ][\w'’.-]*|de|van|von|da|la|el|al|bin)){1,3}")
_LONG_RUN = re.compile(r"([xX9])\1{4,}")
_FIRST_TRIED = 30
_SURE = 0.5
"""A rule that needs this share of values is not tried on all when none of the first fits."""
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    kind: str
    test: Callable[[str], object]
    hint: str
    need: float = 0.8
    need_with_hint: float = 0.3
    needs_hint: bool = False
    sensitivity: Sensitivity = "none"
    certainty: float = 0.9


def _is_ip(text: str) -> bool:
    if text.count(".") != 3 and text.count(":") < 2:
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_phone(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    return (
        7 <= len(digits) <= 15
        and bool(_PHONE.fullmatch(text))
        and not re.fullmatch(r"\d{4}[-./ ]\d{1,2}[-./ ]\d{1,2}|\d{1,2}[-./ ]\d{1,2}[-./ ](\d{2}){1,2}|\d+\.\d+", text)
    )


def _is_phone_digits(text: str) -> bool:
    return 7 <= len(re.sub(r"\D", "", text)) <= 15 and bool(re.fullmatch(r"[\d+() ./x-]+", text))


def _is_json(text: str) -> bool:
    if text[:1] not in "{[":
        return False
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


_RULES = (
    _Rule(kind="secret", test=_SECRET.fullmatch, hint=r"secret|token|api_?key|credential", need=0.02, need_with_hint=0.02, sensitivity="sensitive"),
    _Rule(kind="password", test=lambda v: len(v) >= 4, hint=r"passw(or)?d|passphrase|pwd|password_?hash", needs_hint=True, sensitivity="sensitive"),
    _Rule(kind="email", test=_EMAIL.fullmatch, hint=r"e?_?mail", need=0.6, need_with_hint=0.2, sensitivity="personal", certainty=0.98),
    _Rule(kind="iban", test=is_iban, hint=r"iban|account|konto", need=0.6, need_with_hint=0.2, sensitivity="sensitive", certainty=0.99),
    _Rule(kind="card number", test=is_card_number, hint=r"card|(^|_)pan($|_)|cc_?n", need=0.8, need_with_hint=0.2, sensitivity="sensitive", certainty=0.97),
    _Rule(kind="US social security number", test=is_us_ssn, hint=r"ssn|social", need=0.9, need_with_hint=0.2, sensitivity="sensitive"),
    _Rule(kind="UUID", test=_UUID.fullmatch, hint=r"uuid|guid", need=0.95, need_with_hint=0.8, certainty=0.99),
    _Rule(kind="URL", test=_URL.fullmatch, hint=r"url|link|website|homepage", need=0.8, need_with_hint=0.4, certainty=0.98),
    _Rule(kind="IP address", test=_is_ip, hint=r"(^|_)ip($|_|addr)", need=0.8, need_with_hint=0.3, sensitivity="personal", certainty=0.97),
    _Rule(kind="MAC address", test=_MAC.fullmatch, hint=r"mac", sensitivity="personal", certainty=0.97),
    _Rule(kind="phone", test=_is_phone_digits, hint=r"phone|(^|_)tel($|_)|telephone|mobile|(^|_)cell($|_)|(^|_)fax|handy", needs_hint=True, need_with_hint=0.5, sensitivity="personal"),
    _Rule(kind="phone", test=_is_phone, hint=r"(?!)", need=0.85, sensitivity="personal", certainty=0.7),
    _Rule(kind="national identifier", test=lambda v: len(re.sub(r"\W", "", v)) >= 6 and any(c.isdigit() for c in v),
          hint=r"passport|national_?id|tax_?(id|no|number)|(^|_)(nino|tin|nif|cpf|bsn|dni)($|_)|driv\w*_?licen[cs]e|(^|_)ssn|social_?sec", needs_hint=True, need_with_hint=0.6, sensitivity="sensitive"),
    _Rule(kind="ISBN", test=is_isbn, hint=r"isbn", need=0.95, need_with_hint=0.5),
    _Rule(kind="EAN", test=is_ean, hint=r"(^|_)(ean|gtin|upc|barcode)", need=0.97, need_with_hint=0.7),
    _Rule(kind="currency", test=lambda v: v in CURRENCIES, hint=r"curr|ccy|(^|_)cur($|_)", need=0.95, need_with_hint=0.8),
    _Rule(kind="US state", test=lambda v: v.upper() in US_STATES, hint=r"state|province|region", needs_hint=True, need_with_hint=0.9),
    _Rule(kind="country", test=lambda v: v.upper() in COUNTRIES_2 or v.upper() in COUNTRIES_3 or v.lower() in COUNTRY_NAMES,
          hint=r"countr|nation|(^|_)land($|_)|pays|(^|_)iso", needs_hint=True, need_with_hint=0.6),
    _Rule(kind="country", test=lambda v: v.lower() in COUNTRY_NAMES and len(v) > 3, hint=r"(?!)", need=0.8),
    _Rule(kind="postcode", test=_POSTCODE.fullmatch, hint=r"zip|post(al)?_?code|plz|postal", needs_hint=True, need_with_hint=0.6),
    _Rule(kind="street address", test=_STREET.fullmatch, hint=r"addr|street|strasse|straße", need=0.7, need_with_hint=0.25, sensitivity="personal", certainty=0.8),
    _Rule(kind="street address", test=lambda v: bool(re.search(r"\d", v)) and bool(re.search(r"[^\W\d_]{2}", v)) and "@" not in v,
          hint=r"(^|_)(street|strasse|straße|(street|home|postal|mailing|billing|shipping)_?addr(ess)?|address_?(line)?_?\d?)$", needs_hint=True, need_with_hint=0.5, sensitivity="personal", certainty=0.7),
    _Rule(kind="colour", test=_COLOUR.fullmatch, hint=r"colou?r", need=0.95),
    _Rule(kind="JSON", test=_is_json, hint=r"json|payload", need=0.9),
)  # fmt: skip
_PERSON_HINT = re.compile(
    r"(?i)(first|last|given|family|full|middle|maiden|sur|fore|nick)_?name|(^|_)(surname|vorname|nachname|fname|lname)($|_)"
    r"|(customer|client|patient|employee|contact|person|student|teacher|driver|passenger|user|owner|author|doctor|manager|holder)_?(full_?)?name"
)
_NOT_PERSON = re.compile(
    r"(?i)(product|company|brand|file|table|column|city|state|country|region|brewery|beer|hospital|measure|store|shop|event|class|group|team|category|host|domain|server|project|street|county|school|course)_?"
)
_BIRTH = re.compile(r"(?i)birth|(^|_)dob($|_)|geburt")
_PLACE = re.compile(r"(?i)(^|_)(lat|latitude|lon|lng|long|longitude)($|_)")


def find_meaning(
    name: str, family: Family, values: Sequence[str], min_text: str | None = None, max_text: str | None = None
) -> Meaning | None:
    """The meaning of a column from distinct sample values; None when nothing fits well enough.

    A rule accepts at its share of valid values, lower when the column's name hints at it.
    """
    label = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().replace(" ", "_").replace("-", "_")
    if family in {"date", "timestamp"} or _BIRTH.search(label):
        if _BIRTH.search(label) and not re.search(r"place|country|city", label):
            return Meaning(kind="date of birth", share=1.0, confidence=0.9, sensitivity="personal")
        if family in {"date", "timestamp"}:
            return None
    if family == "decimal" and _PLACE.search(label):
        return _find_place(label, min_text, max_text)
    if family not in {"text", "integer"}:
        return None
    filled = filled_values(values)
    if not filled:
        return None
    return _by_rules(label, family, filled) or (_find_person(label, filled) if family == "text" else None)


def _by_rules(label: str, family: Family, filled: list[str]) -> Meaning | None:
    for rule in _RULES:
        has_hint = bool(re.search(rule.hint, label))
        if rule.needs_hint and not has_hint:
            continue
        if family == "integer" and not has_hint and rule.kind != "card number":
            continue
        need = rule.need_with_hint if has_hint else rule.need
        if need >= _SURE and not any(rule.test(v) for v in filled[:_FIRST_TRIED]):
            continue
        share = sum(1 for v in filled if rule.test(v)) / len(filled)
        if rule.kind in {"JSON", "URL"} and any(_EMAIL_INSIDE.search(v) for v in filled):
            continue
        if share >= need and (len(filled) >= 3 or has_hint or rule.certainty > 0.95):
            confidence = rule.certainty * (1.0 if has_hint else 0.9) * (0.5 + share / 2)
            return Meaning(
                kind=rule.kind, share=round(share, 3), confidence=round(confidence, 2), sensitivity=rule.sensitivity
            )
    return None


def _find_place(label: str, low: str | None, high: str | None) -> Meaning | None:
    try:
        least, most = float(low or "nan"), float(high or "nan")
    except ValueError:
        return None
    is_latitude = bool(re.search(r"(^|_)lat", label))
    bound = 90 if is_latitude else 180
    if not -bound <= least <= most <= bound:
        return None
    return Meaning(kind="latitude" if is_latitude else "longitude", share=1.0, confidence=0.9)


def _find_person(label: str, filled: list[str]) -> Meaning | None:
    known = sum(
        1
        for v in filled
        if (re.split(r"[ ,]+", v) or [""])[0].lower() in FIRST_NAMES or v.split(" ")[-1].lower() in FIRST_NAMES
    )
    share = known / len(filled)
    if _PERSON_HINT.search(label) and not _NOT_PERSON.match(label):
        letters = sum(1 for v in filled if any(c.isalpha() for c in v) and len(v) <= 60) / len(filled)
        if letters >= 0.8:
            return Meaning(
                kind="person name",
                share=round(letters, 3),
                confidence=0.9 if share > 0.1 else 0.7,
                sensitivity="personal",
            )
    shaped = sum(1 for v in filled if _NAME_SHAPE.fullmatch(v)) / len(filled)
    if shaped >= 0.7 and share >= 0.2 and not _NOT_PERSON.match(label):
        return Meaning(
            kind="person name",
            share=round(shaped, 3),
            confidence=round(min(0.9, 0.5 + share / 2), 2),
            sensitivity="personal",
        )
    return None


def mask(value: str) -> str:
    """The shape of a value without its content: letters become x or X, digits 9; long runs are shortened."""
    shape = "".join("9" if c.isdigit() else ("X" if c.isupper() else "x") if c.isalpha() else c for c in value[:40])
    return _LONG_RUN.sub(r"\1\1\1\1", shape)


def find_pattern(values: Sequence[str]) -> str | None:
    """The one shape that nine in ten values share, as a mask of x, X and 9; None when there is none or it is trivial."""
    if len(values) < 5:
        return None
    head = [mask(v) for v in values[:_FIRST_TRIED]]
    best = max(head, key=head.count)
    has_mark = any(c in best for c in "9-_/.:@") or best.isupper()
    if not has_mark or len(best) < 2 or head.count(best) < 0.7 * len(head):
        return None
    return best if sum(mask(v) == best for v in values) >= 0.9 * len(values) else None
