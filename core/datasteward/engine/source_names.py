"""What a name that stands for nothing may have meant: files that share it, parts that a file has, words that need quotes."""

import re

from datasteward.engine.carriers import quote_name, quote_text
from datasteward.engine.files import DataFile, DataFiles, fold_name
from datasteward.engine.gate_facts import NamedSource, Refused
from datasteward.engine.gate_parser import tokens_of
from datasteward.errors import ToolError

QUARANTINE = "quarantine"
_MOST_NAMED = 6
_NEAR = re.compile(r'at or near "([^"]+)"')
_BARE_PATH = re.compile(
    r"""(?i)\b(?:from|join)\s+((?:[\w.~-]*[/\\])+[^\s'",;()]*|[\w-]+\.(?:csv|tsv|parquet|json|ndjson|jsonl|xlsx?)\b)"""
)


def has_part(file: DataFile, part: str) -> bool:
    """Whether `part` is a sheet or table of the file, or its quarantine."""
    if part.casefold() == QUARANTINE:
        return True
    return any(p.casefold() == part.casefold() for p in _parts(file)) if file.format in {"excel", "sqlite"} else False


def part_of(source: NamedSource) -> str | None:
    """The part that a source names, spelt as in its file; raises `ToolError` with the parts there are."""
    if len(source.parts) == 1 or source.parts[1].casefold() == QUARANTINE:
        return None
    from datasteward.intake.inspect import inspect_file

    names = [p.name for p in inspect_file(source.path).parts]
    found = next((n for n in names if n.casefold() == source.parts[1].casefold()), None)
    if found is None:
        refused = _no_part(source.shown, write_name(source.parts[0]), source.parts[1], names)
        raise ToolError(refused.message, code="not_found", hint=refused.hint)
    return found


def explain_missing(parts: tuple[str, ...], files: DataFiles) -> Refused | None:
    """Why `parts` name nothing though files are near: several share the name, or the file lacks that part."""
    file = files.find(parts[0])
    if file is not None and len(parts) == 2:
        try:
            names = _parts(file) if file.format in {"excel", "sqlite"} else []
        except ToolError as error:
            return Refused(error.message, code=error.code, hint=error.hint)
        return _no_part(file.shown_path, write_name(file.name), parts[1], names)
    near = [f for f in files.listing() if parts[0].casefold() == f.path.name.casefold()]
    near = near or [f for f in files.listing() if fold_name(f.path) == fold_name(parts[0])]
    if not near:
        return None
    shown = [f"{write_name(f.name)} ({f.shown_path})" for f in near[:_MOST_NAMED]]
    left = f" and {len(near) - _MOST_NAMED:,} more" if len(near) > _MOST_NAMED else ""
    name = ".".join(parts)
    if len(near) == 1:
        hint = f"The file is called {write_name(near[0].name)}; or by its path: FROM {quote_text(near[0].shown_path)}."
        return Refused(f"There is no table, file or result '{name}'.", code="not_found", hint=hint)
    hint = f"Write one of {', '.join(shown)}{left}, or its path in single quotes."
    return Refused(f"'{name}' could be any of {len(near):,} files.", code="not_found", hint=hint)


def explain_syntax(message: str, sql: str, files: DataFiles) -> str | None:
    """What to write instead, where a text does not parse because a file's name or path stands in it without quotes."""
    if (bare := _BARE_PATH.search(sql)) is not None:
        return f"Write paths in single quotes: FROM {quote_text(bare[1])}."
    near = _NEAR.search(message)
    file = files.find(near[1]) if near else None
    if near is None or file is None:
        return None
    return (
        f"{near[1]} is a word of SQL; the file {file.shown_path} is called {quote_name(file.name)}, in double quotes."
    )


def write_name(name: str) -> str:
    """`name` as it is written in SQL: in double quotes where it is a word of SQL or not a plain name."""
    tokens = tokens_of(name)
    is_plain = re.fullmatch(r"[^\W\d]\w*", name) and len(tokens) == 1 and tokens[0].type == "identifier"
    return name if is_plain else quote_name(name)


def _parts(file: DataFile) -> list[str]:
    from datasteward.intake.inspect import inspect_file

    return [p.name for p in inspect_file(file.path).parts]


def _no_part(shown: str, name: str, part: str, parts: list[str]) -> Refused:
    if not parts:
        hint = f"It holds one table: FROM {name}; lines that did not parse are {name}.quarantine."
    else:
        listed = ", ".join(f"{name}.{write_name(p)}" for p in parts[:20])
        hint = f"It has {listed}{' and more' if len(parts) > 20 else ''}."
    return Refused(f"{shown} has no part '{part}'.", code="not_found", hint=hint)
