"""What intake finds out about a file, and how the file is then read."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

FileFormat = Literal["delimited", "json", "ndjson", "parquet", "arrow", "excel", "sqlite"]
Compression = Literal["none", "gzip", "zstd", "bzip2", "xz", "zip"]
Look = Literal["sample", "all"]
PlanKind = Literal["direct", "converted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What the caller knows better than the sniffer; `None` leaves a point to it.

    `part` names a sheet, a table of a SQLite file or a member of a zip archive; `header_rows` 0 means there is none;
    `skip_rows` counts physical lines before the header; `all_text` keeps every column as text; `look` "all" reads the
    whole file before types are chosen, so that a later line cannot break them.
    """

    delimiter: str | None = None
    quote: str | None = None
    escape: str | None = None
    encoding: str | None = None
    header_rows: int | None = None
    skip_rows: int | None = None
    part: str | None = None
    all_text: bool = False
    look: Look = "sample"


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """A character encoding by its Python codec name, with how sure the guess is (0 to 1)."""

    name: str
    confidence: float
    has_bom: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a delimited file is written; an empty `quote` or `escape` means there is none.

    `escape` equals `quote` where quotes are doubled. `mixed_newlines` is true when lines end in more than one way.
    """

    delimiter: str
    quote: str = '"'
    escape: str = '"'
    newline: str = "\n"
    mixed_newlines: bool = False
    skip_initial_space: bool = False
    confidence: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where the table lies among the lines of a file; all counts are of records, `skip_lines` of physical lines."""

    skip_lines: int = 0
    header_rows: int = 1
    preamble: tuple[str, ...] = ()
    footer: tuple[str, ...] = ()
    comment: str = ""
    width: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceColumn:
    """A column as it will be read.

    `name` is unique and not empty, `label` what the file says; `type` the SQL type it is read with; `null_spellings`
    words that stand for a missing value. Numbers and dates that hide in text are the profile's to tell.
    """

    name: str
    label: str
    type: str
    null_spellings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One table inside a file that may hold several: a sheet, a SQLite table, a member of an archive."""

    name: str
    rows: int | None = None
    columns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What a file is, in one record; `doubts` tells in sentences what is uncertain, empty when nothing is."""

    path: Path
    format: FileFormat
    size_bytes: int
    modified_ns: int
    compression: Compression = "none"
    encoding: Encoding = field(default_factory=lambda: Encoding(name="utf-8", confidence=1.0))
    dialect: Dialect | None = None
    layout: Layout = field(default_factory=Layout)
    columns: tuple[SourceColumn, ...] = ()
    parts: tuple[Part, ...] = ()
    part: str | None = None
    is_plain: bool = False
    is_fully_read: bool = False
    doubts: tuple[str, ...] = ()
    overrides: Overrides = field(default_factory=Overrides)


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRowLimit:
    """How many rows may fail to parse before reading stops: whichever of the two is reached later.

    `share` is a fraction of all rows, `count` an absolute number that is always let through.
    """

    share: float = 0.05
    count: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonCount:
    """How many rows were set aside, or mended, for one reason."""

    reason: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """Rows that did not parse: a Parquet file with columns line_number BIGINT, raw VARCHAR, reason VARCHAR."""

    path: Path
    rows: int
    reasons: tuple[ReasonCount, ...]
    table_sql: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPlan:
    """How a file is read: `table_sql` is a table expression for a FROM clause, reading only `files`.

    `told` tells in sentences what a reader of the table must know: rows set aside or mended, lines left out, doubts.
    """

    kind: PlanKind
    table_sql: str
    files: tuple[Path, ...]
    columns: tuple[SourceColumn, ...] = ()
    rows: int | None = None
    mended: tuple[ReasonCount, ...] = ()
    quarantine: Quarantine | None = None
    told: tuple[str, ...] = ()
