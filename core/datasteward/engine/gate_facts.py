"""What the gate tells of a text: its statements, what each reads and writes, and why one is refused."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from datasteward.errors import ErrorCode

Effect = Literal["read", "write", "admin", "forbidden"]
Intent = Literal["read", "write"]
ObjectKind = Literal["table", "view", "macro", "sequence", "type", "schema", "index", "system"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a statement may not run: one sentence, the next step, and the character offset in the text given."""

    code: ErrorCode
    message: str
    hint: str | None = None
    position: int | None = None


class Refused(Exception):
    """Raised inside the gate where a statement is found wanting; `position` counts bytes of the parsed text."""

    def __init__(
        self, message: str, *, code: ErrorCode = "forbidden", hint: str | None = None, position: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code: ErrorCode = code
        self.hint = hint
        self.position = position


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogName:
    """An object of the attached database (or of the system); `parts` is schema and name."""

    parts: tuple[str, ...]
    kind: ObjectKind


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSource:
    """What a name outside the database stands for: `parts` as written, the file, and how it is shown.

    `matches` are the files of a pattern, of which `path` is the first; empty for one file or folder.
    """

    parts: tuple[str, ...]
    kind: Literal["file", "result"]
    shown: str
    path: Path
    matches: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOption:
    """An option of a file function or of COPY, as constant text where it is one."""

    name: str
    value: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileUse:
    """A file that a statement reads or writes: `text` as spelt, `paths` absolute (a pattern may stand for many).

    `call_paths` are all that the same call reads, when it names several files or patterns. `start` and `end` are where
    the path that is written stands in the statement's text, in characters, quotes included.
    """

    text: str
    paths: tuple[Path, ...]
    function: str
    access: Literal["read", "write"] = "read"
    options: tuple[FileOption, ...] = ()
    call_paths: tuple[Path, ...] = ()
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteTarget:
    """An object that a statement changes; `schema` is `main` when none was written."""

    kind: ObjectKind
    schema: str
    name: str
    action: str
    """insert, update, delete, merge, create, replace, drop, alter, rename (the new name), comment, advance."""

    @property
    def parts(self) -> tuple[str, str]:
        """Schema and name."""
        return (self.schema, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementFacts:
    """One statement: `text` is its exact source between the character offsets `start` and `end`."""

    text: str
    start: int
    end: int
    effect: Effect
    kind: str
    reads: tuple[CatalogName, ...] = ()
    writes: tuple[WriteTarget, ...] = ()
    files: tuple[FileUse, ...] = ()
    named_sources: tuple[NamedSource, ...] = ()
    functions: tuple[str, ...] = ()
    volatile: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    has_where: bool = False
    has_returning: bool = False
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """The statements in order; `problem` is set when the text as a whole could not be judged."""

    statements: tuple[StatementFacts, ...]
    problem: Refusal | None = None

    @property
    def refusal(self) -> Refusal | None:
        """The first reason why the text may not run, or None when all of it may."""
        if self.problem is not None:
            return self.problem
        return next((s.refusal for s in self.statements if s.refusal is not None), None)


class NameResolver(Protocol):
    """Answers for table names that the database does not know: results and data files."""

    def resolve(self, parts: tuple[str, ...]) -> NamedSource | None:
        """What the name stands for, or None."""
        ...

    def names(self) -> Iterable[str]:
        """Names it would answer for, used for hints."""
        ...

    def explain_missing(self, parts: tuple[str, ...]) -> Refused | None:
        """Why a name stands for nothing though files are near it, naming them and how they are written; else None."""
        ...


@dataclass(slots=True, kw_only=True)
class Findings:
    """Facts gathered while one statement is walked."""

    reads: dict[CatalogName, None] = field(default_factory=dict)
    writes: dict[WriteTarget, None] = field(default_factory=dict)
    files: dict[FileUse, None] = field(default_factory=dict)
    named_sources: dict[NamedSource, None] = field(default_factory=dict)
    functions: set[str] = field(default_factory=set)
    volatile: set[str] = field(default_factory=set)
    parameters: set[str] = field(default_factory=set)
    has_where: bool = False
    has_returning: bool = False
    approval: Refused | None = None
    """What makes a statement that reads otherwise a write: a DML in a CTE, nextval."""

    def ask(self, reason: Refused) -> None:
        """Remember the first thing that needs approval."""
        if self.approval is None:
            self.approval = reason
