"""Checksums and shapes of identifiers, each by its published rule."""

import re

_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AT": 20, "BE": 16, "BG": 22, "BR": 29, "CH": 21, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "EE": 20,
    "ES": 24, "FI": 18, "FR": 27, "GB": 22, "GR": 27, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IS": 26, "IT": 27, "LI": 21,
    "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MT": 31, "NL": 18, "NO": 15, "PL": 28, "PT": 25, "RO": 24, "SA": 24, "SE": 24,
    "SI": 19, "SK": 24, "SM": 27, "TR": 26, "UA": 29,
}  # fmt: skip
_CARD_PREFIX = re.compile(r"4|5[1-5]|2[2-7]|3[47]|6011|65|35|30[0-5]|36|38")


def passes_luhn(digits: str) -> bool:
    """The Luhn check of ISO/IEC 7812: every second digit from the right doubled, the sum a multiple of ten."""
    total = 0
    for place, char in enumerate(reversed(digits)):
        value = int(char)
        if place % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0


def is_card_number(text: str) -> bool:
    """A payment card number: 13 to 19 digits with a known prefix and a right Luhn digit; spaces and hyphens may group it."""
    if len(text) < 13:
        return False
    digits = re.sub(r"[ -]", "", text)
    if not digits.isdecimal() or not digits.isascii() or not 13 <= len(digits) <= 19 or not _CARD_PREFIX.match(digits):
        return False
    return len(set(digits)) > 1 and passes_luhn(digits)


def is_iban(text: str) -> bool:
    """An IBAN by ISO 13616: known country, its length, and remainder 1 modulo 97."""
    if len(text) < 15:
        return False
    code = re.sub(r"\s", "", text).upper()
    if not re.fullmatch(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}", code) or _IBAN_LENGTHS.get(code[:2]) != len(code):
        return False
    return int("".join(str(int(c, 36)) for c in code[4:] + code[:4])) % 97 == 1


def is_us_ssn(text: str) -> bool:
    """A US social security number with hyphens: no area 000, 666 or 9xx, no group 00, no serial 0000."""
    match = re.fullmatch(r"(\d{3})-(\d{2})-(\d{4})", text)
    if not match:
        return False
    area, group, serial = match.groups()
    return area not in {"000", "666"} and area < "900" and group != "00" and serial != "0000"


def is_isbn(text: str) -> bool:
    """An ISBN-10 or ISBN-13 with a right check digit (ISO 2108)."""
    if len(text) < 10:
        return False
    code = re.sub(r"[ -]", "", text).upper()
    if re.fullmatch(r"97[89]\d{10}", code):
        return sum(int(c) * (3 if i % 2 else 1) for i, c in enumerate(code)) % 10 == 0
    if re.fullmatch(r"\d{9}[\dX]", code):
        return sum((10 - i) * (10 if c == "X" else int(c)) for i, c in enumerate(code)) % 11 == 0
    return False


def is_ean(text: str) -> bool:
    """A GTIN-8, -12 or -13 with a right check digit (GS1)."""
    if not text.isascii() or not text.isdecimal() or len(text) not in {8, 12, 13}:
        return False
    return sum(int(c) * (3 if i % 2 else 1) for i, c in enumerate(reversed(text))) % 10 == 0
