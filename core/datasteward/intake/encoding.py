"""Guessing the character encoding of a file from its bytes."""

import codecs

from datasteward.intake.model import Encoding

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_EAST_ASIAN = ("shift_jis", "gb18030", "big5", "euc_kr")
_UNDEFINED_IN_CP1252 = frozenset(b"\x81\x8d\x8f\x90\x9d")


def guess_encoding(data: bytes) -> Encoding:
    """The likeliest encoding of `data`, the head of a file; plain ASCII counts as UTF-8 with confidence 1."""
    for mark, name in _BOMS:
        if data.startswith(mark):
            return Encoding(name=name, confidence=1.0, has_bom=True)
    if data.isascii() and b"\x00" not in data:
        return Encoding(name="utf-8", confidence=1.0)
    if wide := _guess_wide(data):
        return wide
    if is_utf8(data):
        return Encoding(name="utf-8", confidence=0.99)
    return _guess_damaged_utf8(data) or _guess_single_byte(data)


def is_utf8(data: bytes, *, final: bool = False) -> bool:
    """Whether `data` is valid UTF-8; a character cut at the end is let through unless `final`."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data, final)
    except UnicodeDecodeError:
        return False
    return True


def _guess_wide(data: bytes) -> Encoding | None:
    even, odd = data[0:4000:2].count(0), data[1:4000:2].count(0)
    half = max(1, len(data[0:4000:2]))
    if odd > 0.4 * half and even < 0.05 * half:
        return Encoding(name="utf-16-le", confidence=0.9)
    if even > 0.4 * half and odd < 0.05 * half:
        return Encoding(name="utf-16-be", confidence=0.9)
    return None


def _guess_damaged_utf8(data: bytes) -> Encoding | None:
    """UTF-8 with a few bad bytes: most bytes above 127 still form valid sequences."""
    text = data.decode("utf-8", errors="replace")
    bad = text.count("\ufffd")
    good = sum(1 for c in text if ord(c) > 127 and c != "\ufffd")
    return Encoding(name="utf-8", confidence=0.5) if good > 4 * bad else None


def _guess_single_byte(data: bytes) -> Encoding:
    high = [b for b in data if b > 127]
    letters = sum(1 for b in data if chr(b).isalpha() and b < 128)
    if len(high) > 0.6 * max(1, letters) and len(high) > 20:
        return _guess_non_latin(data, high)
    if any(0x80 <= b <= 0x9F for b in high):
        if _UNDEFINED_IN_CP1252.isdisjoint(high):
            return Encoding(name="cp1252", confidence=0.8)
        return Encoding(name="cp850" if len(high) < 0.2 * len(data) else "latin-1", confidence=0.3)
    return Encoding(name="cp1252", confidence=0.75)


def _guess_non_latin(data: bytes, high: list[int]) -> Encoding:
    for name in _EAST_ASIAN:
        try:
            text = codecs.getincrementaldecoder(name)().decode(data)
        except UnicodeDecodeError:
            continue
        if sum(1 for c in text if "\u3040" <= c <= "\u30ff" or "\u4e00" <= c <= "\u9fff" or "\uac00" <= c <= "\ud7a3"):
            return Encoding(name=name, confidence=0.5)
    if sum(1 for b in high if b >= 0xC0) > 0.9 * len(high):
        return Encoding(name="cp1251", confidence=0.5)
    return Encoding(name="latin-1", confidence=0.3)
