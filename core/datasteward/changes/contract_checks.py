"""What the workspace's contracts say of a change's tables: checks, judged by the gate like any other query, and labels."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasteward.changes.jobs import CheckQuery
from datasteward.changes.model import ColumnLabel, StatementWork, TableName

if TYPE_CHECKING:
    from datasteward.engine.engine import Engine
    from datasteward.engine.operations import Tell
    from datasteward.engine.session import Session
    from datasteward.pipelines.contracts import Contract

MAX_CHECKS = 200
Judge = Callable[[Sequence[str]], Awaitable[Sequence[bool]]]
logger = logging.getLogger(__name__)


def judge_reads(session: "Session", arguments: Mapping[str, Any], tell: "Tell") -> Any:
    """The worker operation: for each of `texts` whether the gate lets it through as a read."""
    return [session.check(str(text), for_write=False).refusal is None for text in arguments["texts"]]


def judge_by_worker(engine: "Engine") -> Judge:
    """The judgement of a reader worker's gate."""

    async def judge(texts: Sequence[str]) -> Sequence[bool]:
        found: list[bool] = await engine.run("judge_reads", {"texts": list(texts)})
        return found

    return judge


class ContractChecks:
    """Finds the checks of contract documents below a folder; `judge` tells which texts the gate lets through as reads."""

    def __init__(self, judge: Judge, root: Path) -> None:
        self._judge = judge
        self._root = root

    async def find(self, statements: Sequence[StatementWork]) -> tuple[CheckQuery, ...]:
        """A counting query for each check on a table that the statements write; those the gate refuses are left out."""
        tables = tuple(dict.fromkeys(table for statement in statements for table in statement.writes))
        found = await asyncio.to_thread(self._compile, tables)
        if not found:
            return ()
        allowed = await self._judge([check.query for check in found])
        return tuple(check for check, is_allowed in zip(found, allowed, strict=True) if is_allowed)

    async def find_labels(self) -> tuple[ColumnLabel, ...]:
        """Columns that a contract calls personal, by classification or the tag `pii`, or public."""
        return await asyncio.to_thread(self._read_labels)

    def _read_labels(self) -> tuple[ColumnLabel, ...]:
        return tuple(
            ColumnLabel(dataset=contract.name, column=column.name, is_personal=column.is_personal)
            for contract in self._contracts()
            for column in contract.columns
            if column.is_personal is not None
        )

    def _compile(self, tables: Sequence[TableName]) -> list[CheckQuery]:
        from datasteward.engine.carriers import quote_name

        by_name = {label.casefold(): table for table in tables for label in (table.label, f"main.{table.name}")}
        found: list[CheckQuery] = []
        for contract in self._contracts() if tables else ():
            table = by_name.get(contract.name.casefold())
            if table is None:
                continue
            quoted = f"{quote_name(table.schema_name)}.{quote_name(table.name)}"
            found += [
                CheckQuery(name=f"{c.name} ({contract.path})", query=c.count_query(quoted)) for c in contract.checks
            ]
        return found[:MAX_CHECKS]

    def _contracts(self) -> "Iterator[Contract]":
        from datasteward.lineage.dependents import read_contract_texts
        from datasteward.pipelines.contracts import parse_contracts
        from datasteward.pipelines.problems import PipelineFault

        for path, text in read_contract_texts(self._root):
            try:
                yield from parse_contracts(text, path)
            except PipelineFault as fault:
                logger.warning("%s gives no checks: %s", path, fault)
