"""The gate's report as work: which statements change something, and what of."""

from collections.abc import Callable
from pathlib import Path

from datasteward.changes.model import Model, SourceView, StatementWork, TableName
from datasteward.changes.names import LEDGER_SCHEMA
from datasteward.engine.gate_facts import GateReport, NamedSource, StatementFacts
from datasteward.engine.gate_functions import SAMPLE
from datasteward.errors import ToolError


class InspectedText(Model):
    """A text as the gate read it, in a form that crosses the pipe from the worker that holds the gate."""

    statements: tuple[StatementWork, ...]
    sources: tuple[SourceView, ...] = ()


def inspect_report(report: GateReport, view_of: Callable[[NamedSource], SourceView]) -> InspectedText:
    """The report of a text checked with intent `write`, and a view for each name that the catalog does not know.

    Raises `ToolError` with the gate's refusal, or when a statement changes nothing.
    """
    statements = work_of_report(report)
    named = dict.fromkeys(source for facts in report.statements for source in facts.named_sources)
    return InspectedText(statements=statements, sources=tuple(view_of(source) for source in named))


def work_of_report(report: GateReport) -> tuple[StatementWork, ...]:
    """The statements of a report made with intent `write`.

    Raises `ToolError` with the gate's refusal, or when a statement changes nothing.
    """
    if report.refusal is not None:
        refusal = report.refusal
        raise ToolError(refusal.message, code=refusal.code, hint=refusal.hint, position=refusal.position)
    if not report.statements:
        raise ToolError("The text holds no statement.", code="invalid_arguments")
    for facts in report.statements:
        if facts.effect == "read":
            raise ToolError(
                "This statement reads and changes nothing.",
                code="invalid_arguments",
                hint="Use run_query for it, and propose only statements that change something.",
                position=facts.start,
            )
        _refuse_ledger(facts)
        _refuse_sample(facts)
    _refuse_second_target(report)
    return tuple(_work_of(facts) for facts in report.statements)


def _refuse_ledger(facts: StatementFacts) -> None:
    if any(LEDGER_SCHEMA in {w.schema.casefold(), w.name.casefold()} for w in facts.writes):
        raise ToolError(
            f"The schema {LEDGER_SCHEMA} holds the receipts of applied changes and is not for statements to change.",
            code="forbidden",
            hint="Use another schema.",
            position=facts.start,
        )


def _refuse_sample(facts: StatementFacts) -> None:
    if SAMPLE in facts.volatile:
        raise ToolError(
            "A sample holds other rows each time, so what is approved would not be what is applied.",
            code="forbidden",
            hint="Choose rows by a condition such as hash(id) % 10 = 0, or query the sample first and use its result.",
            position=facts.start,
        )


def _refuse_second_target(report: GateReport) -> None:
    """Refuse to write one file twice: only the last would stay, and none could be taken back."""
    seen: set[Path] = set()
    for facts in report.statements:
        for use in facts.files:
            if use.access == "write" and not seen.isdisjoint(use.paths):
                raise ToolError(
                    f"Two statements of this change write the same file, '{use.text}', and only the last would stay.",
                    code="invalid_arguments",
                    hint="Write each file once: join the queries with UNION ALL, or give the files names of their own.",
                    position=facts.start,
                )
            if use.access == "write":
                seen.update(use.paths)


def _work_of(facts: StatementFacts) -> StatementWork:
    targets = [f for f in facts.files if f.access == "write"]
    return StatementWork(
        sql=facts.text,
        kind=facts.kind,
        writes=tuple(
            dict.fromkeys(
                TableName(schema_name=w.schema, name=w.name) for w in facts.writes if w.kind in {"table", "view"}
            )
        ),
        reads=tuple(
            dict.fromkeys(
                TableName(schema_name=r.parts[0] if len(r.parts) > 1 else "main", name=r.parts[-1])
                for r in facts.reads
                if r.kind in {"table", "view"}
            )
        ),
        read_files=tuple(
            dict.fromkeys(
                [str(p) for f in facts.files if f.access == "read" for p in f.paths]
                + [str(p) for n in facts.named_sources for p in (n.matches or (n.path,)) if p.is_file()]
            )
        ),
        target_file=str(targets[0].paths[0]) if targets and len(targets[0].paths) == 1 else None,
        target_text=targets[0].text if targets else None,
        target_start=targets[0].start if targets else None,
        target_end=targets[0].end if targets else None,
        returns_rows=facts.has_returning,
        volatile=facts.volatile,
    )
