"""Figures and values as short text."""


def format_count(count: int) -> str:
    """A whole number, shortened from ten thousand on: 9,999 · 12.3k · 4.5M · 1.2bn."""
    if count < 10_000:
        return f"{count:,}"
    for unit, size in (("bn", 1_000_000_000), ("M", 1_000_000), ("k", 1_000)):
        if count >= size:
            return f"{count / size:.3g}{unit}"
    return str(count)


def format_share(share: float) -> str:
    """A share as a percentage that is 0 % or 100 % only when it is exactly that."""
    if share in {0, 1}:
        return f"{share:.0%}"
    percent = share * 100
    if percent < 0.1:
        return "<0.1%"
    if percent > 99.9:
        return ">99.9%"
    return f"{percent:.1f}%" if percent < 10 or percent > 99 else f"{percent:.0f}%"


def format_bytes(size: int) -> str:
    """A size in B, kB, MB or GB (powers of ten)."""
    for unit, factor in (("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size} B"


def format_value(value: str, most: int) -> str:
    """A value in one line of at most `most` characters, without control characters; outer spaces are shown by quotes."""
    text = " ".join(value.split()) if value.strip(" ") == value != "" else repr(value)
    return format_name(text if len(text) <= most else text[: most - 1] + "…")


def format_name(name: str) -> str:
    """A name as it is, but for line breaks and control characters, which a terminal would obey."""
    return name if name.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in name)


def format_number(number: float) -> str:
    """A number in at most six significant digits, whole ones in full up to twelve."""
    return f"{number:.0f}" if number == round(number) and abs(number) < 1e12 else f"{number:.6g}"
