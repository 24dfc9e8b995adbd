"""The gate: decides from DuckDB's own syntax tree whether a text may run, and says what it reads and writes.

What is not known is refused. The rules stand in modules of their own: `gate_text` (characters and size), `gate_parser`,
`gate_tree` (queries), `gate_queries` and `gate_definitions` (statements), `gate_functions` (lists), `gate_files`,
`gate_catalog`; `statements` tells the kinds apart.
"""

from datasteward.engine.gate_catalog import AttachedCatalog, CatalogView, StoredMacro, StoredObject
from datasteward.engine.gate_facts import (
    CatalogName,
    Effect,
    FileOption,
    FileUse,
    GateReport,
    Intent,
    NamedSource,
    NameResolver,
    Refusal,
    Refused,
    StatementFacts,
    WriteTarget,
)
from datasteward.engine.gate_files import FileRules
from datasteward.engine.gate_functions import IMPLICIT_FUNCTIONS
from datasteward.engine.gate_made import GrowingCatalog
from datasteward.engine.gate_parser import Parser, SplitStatement, Tree, trim_statement
from datasteward.engine.gate_text import DEFAULT_MAX_BYTES, check_text
from datasteward.engine.gate_tree import TreeWalk
from datasteward.engine.statements import Verdict, judge_statement

__all__ = [
    "AttachedCatalog",
    "CatalogName",
    "CatalogView",
    "Effect",
    "FileOption",
    "FileRules",
    "FileUse",
    "Gate",
    "GateReport",
    "Intent",
    "NameResolver",
    "NamedSource",
    "Refusal",
    "StatementFacts",
    "StoredMacro",
    "StoredObject",
    "WriteTarget",
]

MAX_STATEMENTS = 100


class Gate:
    """Judges SQL against one database, the names beside it and the file rules; use from one thread at a time.

    The parser knows nothing of the database, so one may serve gate after gate.
    """

    def __init__(
        self,
        catalog: CatalogView,
        names: NameResolver,
        files: FileRules,
        *,
        max_bytes: int = DEFAULT_MAX_BYTES,
        parser: Parser | None = None,
    ) -> None:
        self._catalog = catalog
        self._names = names
        self._files = files
        self._max_bytes = max_bytes
        self._parser = parser or Parser()
        self._stability = self._parser.functions()
        self._bodies: dict[str, Tree] = {}

    def check(self, sql: str, *, intent: Intent) -> GateReport:
        """The statements of `sql` with what each touches, and why one may not run.

        With `read`, changes are refused with the code needs_approval; with `write`, changes of data and definitions
        pass. What is forbidden is refused either way. Raises nothing for any text.
        """
        try:
            check_text(sql, max_bytes=self._max_bytes)
            split = self._parser.split(sql)
            if len(split) > MAX_STATEMENTS:
                raise Refused(f"{len(split)} statements were sent; at most {MAX_STATEMENTS} are taken.")
        except Refused as refused:
            return GateReport(statements=(), problem=_refusal(refused, sql, 0))
        catalog = GrowingCatalog(self._catalog)
        statements = []
        for item in split:
            facts = self._facts(sql, item, intent, catalog)
            statements.append(facts)
            if facts.refusal is None:
                catalog.add(facts.writes)
        return GateReport(statements=tuple(statements))

    def _facts(self, sql: str, item: SplitStatement, intent: Intent, catalog: CatalogView) -> StatementFacts:
        walk = self._walk(catalog)
        try:
            verdict = judge_statement(item, walk)
        except Exception as error:
            refused = Refused(f"The statement could not be judged ({type(error).__name__}), so it is refused.")
            verdict = Verdict(effect="forbidden", kind="unknown", refused=refused)
        stopped = verdict.refused or _against_intent(verdict, walk, intent)
        if stopped is None and verdict.kind != "drop_macro":
            stopped = self._find_planted()
        text = trim_statement(item.text) if verdict.kind != "unknown" else item.text
        start = _characters(sql, item.start)
        found = walk.found
        return StatementFacts(
            text=text,
            start=start,
            end=start + len(text),
            effect=verdict.effect,
            kind=verdict.kind,
            reads=tuple(found.reads),
            writes=tuple(found.writes),
            files=tuple(found.files),
            named_sources=tuple(found.named_sources),
            functions=tuple(sorted(found.functions)),
            volatile=tuple(sorted(found.volatile)),
            parameters=tuple(sorted(found.parameters | set(item.parameters))),
            has_where=found.has_where,
            has_returning=found.has_returning,
            refusal=None if stopped is None else _refusal(stopped, sql, item.start),
        )

    def _walk(self, catalog: CatalogView) -> TreeWalk:
        return TreeWalk(
            catalog=catalog,
            resolver=self._names,
            files=self._files,
            parser=self._parser,
            stability=self._stability,
            bodies=self._bodies,
        )

    def _find_planted(self) -> Refused | None:
        """Why nothing can run while a stored macro takes the place of a function that DuckDB itself calls by name."""
        for name in sorted(IMPLICIT_FUNCTIONS.intersection(self._catalog.macro_names())):
            try:
                self._walk(self._catalog).judge_planted(name)
            except Refused as refused:
                message = f"The database holds a macro {name} in the place of DuckDB's own function: {refused.message}"
                return Refused(message, hint=f"Drop it: propose_change with DROP MACRO {name}.")
        return None


def _against_intent(verdict: Verdict, walk: TreeWalk, intent: Intent) -> Refused | None:
    """Why a statement that is allowed as such does not fit what the caller is here to do."""
    if intent == "read" and verdict.effect != "read":
        if verdict.kind == "copy_to":
            return Refused(
                "COPY … TO writes a file, which a query may not.",
                hint="Call propose_change with the same SQL to export.",
            )
        plain = Refused(f"This is a change ({verdict.kind}), and queries only read.", position=0)
        hidden = walk.found.approval if verdict.kind in _LOOKS_LIKE_A_READ else None
        reason = hidden or plain
        return Refused(
            reason.message,
            code="needs_approval",
            hint="Call propose_change with the same SQL; a person or the policy decides.",
            position=reason.position,
        )
    if intent == "write" and verdict.kind == "explain" and verdict.effect != "read":
        return Refused("EXPLAIN of a change is not a change to propose.", hint="Propose the statement itself.")
    hides_change = walk.found.approval is not None and verdict.kind not in _CHANGES
    if (
        intent == "write"
        and hides_change
        and any(w.kind == "table" and w.action in _CHANGES for w in walk.found.writes)
    ):
        return Refused("A query that hides a change is not taken.", hint="Propose the change as a statement by itself.")
    return None


_LOOKS_LIKE_A_READ = frozenset({"select", "values", "pivot", "unpivot", "describe", "summarize", "explain"})
_CHANGES = frozenset({"insert", "update", "delete", "truncate", "merge"})


def _refusal(refused: Refused, sql: str, offset: int) -> Refusal:
    position = None if refused.position is None else _characters(sql, offset + refused.position)
    return Refusal(code=refused.code, message=refused.message, hint=refused.hint, position=position)


def _characters(sql: str, at: int) -> int:
    """The character offset of a byte offset."""
    return (
        min(at, len(sql)) if sql.isascii() else len(sql.encode("utf-8", "surrogatepass")[:at].decode("utf-8", "ignore"))
    )
