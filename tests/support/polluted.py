"""One clean table written in a hundred damaged or unusual ways, each with the table a careful reader would get."""

import csv
import io
from dataclasses import dataclass

HEADER = ["day", "clock", "quantity", "product", "price", "kind", "description", "link", "remark"]
KINDS = ["lamp", "chair", "table", "shelf"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PollutedFile:
    """A file's bytes, and the header and rows it holds; rows in `unsure` may be set aside instead when that is told."""

    name: str
    data: bytes
    header: list[str]
    rows: list[list[str]]
    unsure: frozenset[int] = frozenset()


def clean_rows(count: int = 60) -> list[list[str]]:
    """Rows with quoted delimiters, doubled quotes, line breaks inside fields and empty fields."""
    rows = []
    for n in range(count):
        kind = KINDS[n % 4]
        text = f"A {kind}, made by hand" if n % 3 == 0 else f"Plain {kind} number {n}"
        if n % 10 == 4:
            text = f'The "{kind}" of the year'
        if n % 15 == 7:
            text = f"First line of {kind}\nsecond line, longer"
        rows.append(
            [
                f"2024-{n % 12 + 1:02d}-{n % 28 + 1:02d}", f"{n % 24:02d}:{n % 60:02d}:00", str(n % 9 + 1), f"P-{1000 + n}",
                f"{n * 3.5 + 0.25:.2f}", kind, text, f"https://shop.example/{kind}/{n}", "" if n % 4 else f"seen {n}",
            ]
        )  # fmt: skip
    return rows


def write(
    header: list[str] | None, rows: list[list[str]], *, delimiter: str = ",", quote: str = '"', escape: str = "",
    newline: str = "\r\n", quote_all: bool = False,
) -> str:  # fmt: skip
    """The table as text; an empty `escape` doubles quotes; an empty `quote` writes fields bare."""
    lines = []
    for row in ([header] if header else []) + rows:
        cells = []
        for cell in row:
            needs = quote and (quote_all or any(c in cell for c in (delimiter, quote, "\n", "\r")))
            inner = (
                cell.replace(escape, escape * 2).replace(quote, escape + quote)
                if escape
                else cell.replace(quote or "\0", quote * 2)
            )
            cells.append(f"{quote}{inner}{quote}" if needs else cell)
        lines.append(delimiter.join(cells))
    return newline.join(lines) + newline


def _flat(rows: list[list[str]]) -> list[list[str]]:
    return [[c.replace("\n", " ").replace(",", " ").replace('"', "") for c in r] for r in rows]


def _with_row(rows: list[list[str]], index: int, text: str, **how: str) -> str:
    lines = [write(None, [r], **how).rstrip("\r\n") for r in rows]  # type: ignore[arg-type]
    lines[index] = text
    return "\r\n".join([",".join(HEADER), *lines]) + "\r\n"


def polluted_files() -> list[PollutedFile]:
    """Every case, in a fixed order."""
    rows = clean_rows()
    flat = _flat(rows)
    found: list[PollutedFile] = []

    def add(
        name: str,
        text: str | bytes,
        *,
        header: list[str] = HEADER,
        body: list[list[str]] = rows,
        unsure: frozenset[int] = frozenset(),
        encoding: str = "utf-8",
    ) -> None:
        data = text if isinstance(text, bytes) else text.encode(encoding)
        found.append(PollutedFile(name=name, data=data, header=header, rows=body, unsure=unsure))

    plain = write(HEADER, rows)
    add("as_is", plain)
    for newline, label in (("\n", "lf"), ("\r", "cr"), ("\r\n", "crlf")):
        inner = [[c.replace("\n", newline) for c in r] for r in rows] if newline == "\r" else rows
        add(f"newline_{label}", write(HEADER, inner, newline=newline), body=inner)
    for delimiter in (";", "\t", "|", " ", ":", "^", "~", "\x1f", "#", "||", "::", ", "):
        add(
            f"delimiter_{delimiter!r}",
            write(HEADER, rows, delimiter=delimiter) if delimiter != ", " else write(HEADER, rows, delimiter=", "),
        )
    for quote in ("'", "`", "|", "%"):
        add(f"quote_{quote}", write(HEADER, rows, quote=quote))
        add(f"quote_all_{quote}", write(HEADER, rows, quote=quote, quote_all=True))
    add("quote_all", write(HEADER, rows, quote_all=True))
    add("quote_none", write(HEADER, flat, quote=""), body=flat)
    add("quote_none_semicolon", write(HEADER, flat, quote="", delimiter=";"), body=flat)
    for delimiter in (",", ";", "\t"):
        add(f"escape_backslash_{delimiter!r}", write(HEADER, rows, escape="\\", delimiter=delimiter))
        add(
            f"escape_backslash_all_{delimiter!r}", write(HEADER, rows, escape="\\", delimiter=delimiter, quote_all=True)
        )
    add("no_header", write(None, rows), header=[])
    add("no_header_semicolon", write(None, rows, delimiter=";"), header=[])
    add("header_only", write(HEADER, []), body=[])
    add("one_row", write(HEADER, rows[:1]), body=rows[:1])
    add("two_rows", write(HEADER, rows[:2]), body=rows[:2])
    add("no_last_newline", plain.rstrip("\r\n"))
    add("blank_lines_at_end", plain + "\r\n\r\n")
    add("blank_lines_at_start", "\r\n\r\n" + plain)
    add("blank_lines_between", plain.replace("\r\n2024-03", "\r\n\r\n2024-03"))
    for n in (1, 2, 5):
        titles = [f"Sales of the year, part {i}" if i % 2 else "Shop register" for i in range(n)]
        add(f"preamble_{n}", "\r\n".join(titles) + "\r\n" + plain)
        add(f"preamble_blank_{n}", "\r\n".join(titles) + "\r\n\r\n" + plain)
        padded = [t.replace(",", "") + "," * 8 for t in titles]
        add(f"preamble_padded_{n}", "\r\n".join(padded) + "\r\n" + plain)
        notes = [f"Note {i}: figures are provisional" for i in range(n)]
        add(f"footer_{n}", plain + "\r\n".join(notes) + "\r\n")
        add(f"footer_blank_{n}", plain + "\r\n" + "\r\n".join(notes) + "\r\n")
        add(f"footer_padded_{n}", plain + "\r\n".join(f"Source: register {i}" + "," * 8 for i in range(n)) + "\r\n")
    add("comments_above", "# made by hand\r\n# do not edit\r\n" + plain)
    add("comments_between", plain.replace("\r\n2024-05", "\r\n# a remark in between\r\n2024-05", 1))
    units = ["iso", "local", "pieces", "code", "euro", "name", "text", "url", "text"]
    joined = [f"{a} {b}" for a, b in zip(HEADER, units, strict=True)]
    add("header_two_rows", write(HEADER, [units, *rows]), header=joined)
    third = ["a", "b", "c", "d", "e", "f", "g", "h", "i"]
    add(
        "header_three_rows",
        write(HEADER, [units, third, *rows]),
        header=[f"{j} {t}" for j, t in zip(joined, third, strict=True)],
    )
    for encoding in ("utf-8-sig", "utf-16", "utf-16-le", "cp1252", "latin-1"):
        accented = [[c.replace("lamp", "lámpara").replace("chair", "Stühlchen") for c in r] for r in rows]
        add(f"encoding_{encoding}", write(HEADER, accented), body=accented, encoding=encoding)
    for index in (0, 3, 30, 59):
        row, one = rows[index], {"newline": ""}
        line = write(None, [row], **one)
        sure = frozenset({index})
        add(f"row_{index}_trailing_delimiter", _with_row(rows, index, line + ","))
        add(f"row_{index}_many_trailing_delimiters", _with_row(rows, index, line + ",,,"))
        add(
            f"row_{index}_missing_last",
            _with_row(rows, index, line.rsplit(",", 1)[0]),
            body=[*rows[:index], [*row[:-1], ""], *rows[index + 1 :]],
            unsure=sure,
        )
        add(f"row_{index}_extra_delimiter_inside", _with_row(rows, index, line.replace(",", ",,", 1)), unsure=sure)
        add(f"row_{index}_missing_delimiter", _with_row(rows, index, line.replace(",", "", 1)), unsure=sure)
        add(f"row_{index}_semicolons", _with_row(rows, index, write(None, [row], delimiter=";", **one)))
        add(f"row_{index}_tabs", _with_row(rows, index, write(None, [row], delimiter="\t", **one)))
        add(f"row_{index}_single_quotes", _with_row(rows, index, write(None, [row], quote="'", quote_all=True, **one)))
        add(
            f"row_{index}_opened_quote",
            _with_row(rows, index, line.replace(row[5] + ",", '"' + row[5] + ",", 1)),
            unsure=sure,
        )
        add(
            f"row_{index}_quote_after_end",
            _with_row(rows, index, line.replace(row[5] + ",", row[5] + '",', 1)),
            body=[*rows[:index], [*row[:5], row[5] + '"', *row[6:]], *rows[index + 1 :]],
            unsure=sure,
        )
        add(f"row_{index}_inner_quotes", _with_row(rows, index, line.replace(row[3], f'"{row[3]}" x', 1)), unsure=sure)
        add(f"row_{index}_lf", plain.replace("\r\n" + line, "\n" + line, 1))
    add(
        "trailing_delimiter_everywhere",
        plain.replace("\r\n2024", ",\r\n2024").replace("remark\r\n", "remark,\r\n").rstrip("\r\n") + ",\r\n",
    )
    add("duplicate_labels", write([*HEADER[:7], "kind", "remark"], rows), header=[*HEADER[:7], "kind_2", "remark"])
    add("blank_label", write([*HEADER[:8], ""], rows), header=[*HEADER[:8], "column_9"])
    add(
        "leading_zero_codes",
        write(HEADER, [[*r[:3], f"{i:05d}", *r[4:]] for i, r in enumerate(rows)]),
        body=[[*r[:3], f"{i:05d}", *r[4:]] for i, r in enumerate(rows)],
    )
    add(
        "late_null_word",
        write(HEADER, [[*r[:2], "null" if i == 50 else r[2], *r[3:]] for i, r in enumerate(rows)]),
        body=[[*r[:2], "" if i == 50 else r[2], *r[3:]] for i, r in enumerate(rows)],
    )
    add(
        "decimal_comma",
        write(HEADER, [[*r[:4], r[4].replace(".", ","), *r[5:]] for r in rows], delimiter=";"),
        body=[[*r[:4], r[4].replace(".", ","), *r[5:]] for r in rows],
    )
    return found


def same_cell(read: object, meant: str) -> bool:
    """Whether a value read is the cell as written, numbers compared as numbers."""
    if read is None:
        return meant == ""
    text = str(read)
    if text.replace("\r\n", "\n") == meant.replace("\r\n", "\n") or text.strip() == meant.strip():
        return True
    try:
        return float(text) == float(meant) and not (len(meant) > 1 and meant[0] == "0" and meant[1] != ".")
    except ValueError:
        return text.lower() == meant.lower() and meant.lower() in {"true", "false"}


def read_clean(text: str) -> list[list[str]]:
    """Rows of well-formed CSV text by Python's own reader."""
    return list(csv.reader(io.StringIO(text, newline="")))
