"""Random tables written in random ways, and how each is read: cell for cell, with a doubt told, or silently wrong."""

import random
from pathlib import Path

import duckdb

from datasteward.errors import ToolError
from datasteward.intake.inspect import inspect_file
from datasteward.intake.model import Look, Overrides, ReadPlan
from datasteward.intake.plan import read_plan
from tests.support.polluted import PollutedFile, same_cell, write

WORDS = [
    "lamp",
    "chair",
    "table",
    "shelf",
    "north",
    "south",
    "river",
    "stone",
    "paper",
    "garden",
    "winter",
    "market",
    "signal",
    "copper",
    "velvet",
    "harbour",
    "meadow",
    "Größe",
    "naïve",
    "señor",
    "東京",
    "Łódź",
    "fjord",
]


def make_column(chance: random.Random, rows: int) -> tuple[str, list[str]]:
    """A label and the cells of one column."""
    kind = chance.choice(
        ["id", "word", "words", "text", "price", "count", "date", "local_date", "stamp", "flag", "code", "sparse", "note",
         "percent", "money", "mail", "link", "euro"]
    )  # fmt: skip
    gap = chance.choice([0.0, 0.0, 0.1, 0.6])
    cells = ["" if chance.random() < gap else make_cell(chance, kind, n) for n in range(rows)]
    return kind, cells


def make_cell(chance: random.Random, kind: str, n: int) -> str:
    """One cell of a kind of column."""
    words = [chance.choice(WORDS) for _ in range(chance.randint(2, 9))]
    match kind:
        case "id":
            return str(n + 1)
        case "word":
            return chance.choice(WORDS)
        case "words":
            return " ".join(words)
        case "text":
            return chance.choice([", ", "; ", " - ", " "]).join(words) + chance.choice(["", ".", "!", "?"])
        case "price":
            return f"{chance.uniform(0, 900):.2f}"
        case "count":
            return str(chance.randint(0, 100_000))
        case "date":
            return f"20{chance.randint(10, 24)}-{chance.randint(1, 12):02d}-{chance.randint(1, 28):02d}"
        case "local_date":
            return f"{chance.randint(1, 28):02d}.{chance.randint(1, 12):02d}.20{chance.randint(10, 24)}"
        case "stamp":
            return f"2024-05-{chance.randint(1, 28):02d} {chance.randint(0, 23):02d}:{chance.randint(0, 59):02d}:00"
        case "flag":
            return chance.choice(["yes", "no"])
        case "code":
            return f"{chance.randint(0, 99_999):05d}"
        case "sparse":
            return chance.choice(WORDS) if chance.random() < 0.1 else ""
        case "percent":
            return f"{chance.randint(0, 100)}%"
        case "money":
            return f"${chance.randint(1, 9)},{chance.randint(0, 999):03d}.00"
        case "mail":
            return f"{chance.choice(WORDS)}@{chance.choice(WORDS)}.example"
        case "link":
            return f"https://shop.example/{chance.choice(WORDS)}?page={n}"
        case "euro":
            return f"{chance.randint(0, 999)},{chance.randint(0, 99):02d}"
        case _:
            return chance.choice(
                ['said "no"', "two\nlines", "tab\there", "it's fine", 'a "b", c', "", "semi; colon", "a | b"]
            )


def make_file(seed: int) -> PollutedFile:
    """A random table in a random dialect, with none, one or two things wrong with the file."""
    chance = random.Random(seed)
    is_big = seed % 25 == 24
    rows, width = chance.choice([1, 2, 3, 5, 12, 40, 160]), chance.randint(1, 9)
    rows, width = (16_000, max(6, width)) if is_big else (rows, width)
    columns = [make_column(chance, rows) for _ in range(width)]
    header = [f"{kind}_{n}" if [k for k, _ in columns].count(kind) > 1 else kind for n, (kind, _) in enumerate(columns)]
    body = [list(cells) for cells in zip(*(c for _, c in columns), strict=True)]
    body = [r for r in body if any(c.strip() for c in r)] or [["x"] * width]
    if is_big and (odd := chance.choice(["", "word", '5" x', "2\n3"])):
        body.insert(int(len(body) * 0.8), [odd] * width)
    delimiter = chance.choice([",", ",", ";", ";", "\t", "|"])
    quote_all, newline = chance.random() < 0.25, chance.choice(["\n", "\n", "\r\n"])
    escape = chance.choice(["", "", "", "\\"])
    text = write(header, body, delimiter=delimiter, escape=escape, newline=newline, quote_all=quote_all)
    wrongs = chance.sample(
        ["title", "foot", "no_header", "blank", "short", "long", "comment", "padding"], chance.choice([0, 0, 1, 1, 2])
    )
    encoding = chance.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16"])
    has_header = "no_header" not in wrongs
    if not has_header:
        text = write(None, body, delimiter=delimiter, escape=escape, newline=newline, quote_all=quote_all)
    if is_big:
        wrongs.append(chance.choice(["deep cut", "deep blank", "deep hash", "deep wide", "fine", "fine"]))
    text = _spoil(chance, text, wrongs, delimiter, newline, width)
    name = f"{seed} {rows}x{width} {delimiter!r} {escape!r} all={quote_all} {'+'.join(wrongs) or 'clean'} {encoding}"
    return PollutedFile(name=name, data=text.encode(encoding), header=header if has_header else [], rows=body)


def _spoil(chance: random.Random, text: str, wrongs: list[str], delimiter: str, newline: str, width: int) -> str:
    if "title" in wrongs:
        text = f"{chance.choice(['Report of the year', 'Export 2024', 'Stock, by shop'])}{newline}{newline}" + text
    if "comment" in wrongs:
        text = f"# written by a machine{newline}" + text
    if "foot" in wrongs:
        text += f"{newline}Source: the register{newline}"
    if "blank" in wrongs:
        text += newline * 3
    if "padding" in wrongs:
        text = text.rstrip("\r\n") + newline + delimiter * (width - 1) + newline
    if "short" in wrongs and width > 2:
        text = text.rstrip("\r\n") + newline + "cut" + newline
    if "long" in wrongs and width > 1:
        text = text.rstrip("\r\n") + newline + delimiter.join(["x"] * (width + 2)) + newline
    deep = {
        "deep cut": "cut", "deep blank": "", "deep hash": "# a remark",
        "deep wide": delimiter.join(["x"] * (width + 1)),
    }  # fmt: skip
    if (line := next((deep[w] for w in wrongs if w in deep), None)) is not None:
        at = text.find(f"{newline}", int(len(text) * 0.8))
        while text[:at].count('"') % 2:
            at = text.find(newline, at + 1)
        text = text[:at] + newline + line + text[at:]
    return text


def judge(connection: duckdb.DuckDBPyConnection, case: PollutedFile, folder: Path) -> tuple[str, str]:
    """right, told or SILENT or refused, and what was seen."""
    path = folder / f"{case.name.split()[0]}.csv"
    path.write_bytes(case.data)
    try:
        plan, names, rows = _read(connection, path, folder, "sample")
    except duckdb.Error:
        plan, names, rows = _read(connection, path, folder, "all")
    except ToolError as error:
        return "refused", error.message
    wanted = [case.rows, [*case.rows, [""] * len(case.rows[0])]] if "padding" in case.name else [case.rows]
    if (not case.header or names == case.header) and any(_is_same(rows, w) for w in wanted):
        return "right", ""
    seen = f"{len(rows)}x{len(names)} of {len(case.rows)}x{len(case.rows[0])} {names[:5]} {rows[:1]}; told {plan.told}"
    return ("told" if plan.told else "SILENT"), seen


def _read(
    connection: duckdb.DuckDBPyConnection, path: Path, folder: Path, look: Look
) -> tuple[ReadPlan, list[str], list[tuple[object, ...]]]:
    plan = read_plan(connection, inspect_file(path, Overrides(look=look)), folder / "cache")
    relation = connection.sql(f"SELECT COLUMNS(*)::VARCHAR FROM {plan.table_sql}")
    return plan, relation.columns, relation.fetchall()


def _is_same(rows: list[tuple[object, ...]], wanted: list[list[str]]) -> bool:
    return len(rows) == len(wanted) and all(
        len(a) == len(b) and all(map(same_cell, a, b)) for a, b in zip(rows, wanted, strict=True)
    )
