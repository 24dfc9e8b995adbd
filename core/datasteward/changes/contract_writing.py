"""Writing a data contract as a change: the text that proposes it, and what the contract would newly promise.

`WRITE CONTRACT 'contracts/orders.yaml' AS $$ … $$` names a YAML file of the workspace and holds the whole document, by
the Open Data Contract Standard v3.1.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from datasteward.changes.model import StatementWork
from datasteward.changes.ports import Inspected, Inspector
from datasteward.errors import ToolError

WRITE_CONTRACT = "write_contract"
SUFFIXES = (".yaml", ".yml")
MAX_CHARACTERS = 2**20
"""Longer documents are not read as contracts."""
_TEXT = re.compile(r"\s*WRITE\s+CONTRACT\s+'((?:[^']|'')+)'\s+AS\s+\$\$(.*)\$\$\s*;?\s*\Z", re.DOTALL | re.IGNORECASE)
_HEAD = re.compile(r"\s*WRITE\s+CONTRACT\b", re.IGNORECASE)


class ContractInspector:
    """Reads `WRITE CONTRACT` texts itself and leaves every other text to the inspector given."""

    def __init__(self, inner: Inspector, root: Path) -> None:
        self._inner = inner
        self._root = root

    async def inspect(self, sql: str) -> Inspected:
        """The writing as one statement, its document found valid, or what the inner inspector says.

        Raises `ToolError` with each fault of the document.
        """
        if _HEAD.match(sql) is None:
            return await self._inner.inspect(sql)
        match = _TEXT.match(sql)
        if match is None or "$$" in match[2]:
            raise ToolError(
                "WRITE CONTRACT is not written as it is read.",
                code="syntax",
                hint="WRITE CONTRACT 'contracts/orders.yaml' AS $$ … the document as YAML … $$, alone in the text.",
            )
        from datasteward.pipelines.contracts import parse_contracts

        named = match[1].replace("''", "'")
        target = _find_target(self._root, named)
        if len(match[2]) > MAX_CHARACTERS:
            raise ToolError(f"The contract has more than {MAX_CHARACTERS:,} characters.", code="too_large")
        parse_contracts(match[2], named)
        return Inspected(
            statements=(
                StatementWork(sql=sql.strip(), kind=WRITE_CONTRACT, target_file=str(target), target_text=named),
            )
        )


def _find_target(root: Path, named: str) -> Path:
    target = (root / named).resolve()
    inside = target.relative_to(root) if target.is_relative_to(root) else None
    if inside is None or any(part.startswith(".") for part in inside.parts) or target.suffix.lower() not in SUFFIXES:
        raise ToolError(
            f"'{named}' cannot hold a contract.",
            code="forbidden",
            hint="Name a .yaml file below the workspace that is not hidden, such as contracts/orders.yaml.",
        )
    if not target.parent.is_dir() and not target.parent.parent.is_dir():
        raise ToolError(f"The folder of '{named}' does not exist.", code="not_found", hint="Use contracts/.")
    return target


def read_document(statement: StatementWork) -> str:
    """The document of a `WRITE CONTRACT` statement."""
    match = _TEXT.match(statement.sql)
    assert match is not None
    return match[2].lstrip("\n")


def describe_promises(statement: StatementWork) -> Iterator[str]:
    """What the document promises of each dataset, and where it differs from the one that the file holds now."""
    from datasteward.pipelines.contracts import compare_contracts, parse_contracts
    from datasteward.pipelines.problems import PipelineFault

    assert statement.target_file is not None
    path = Path(statement.target_file)
    try:
        held = parse_contracts(path.read_text(encoding="utf-8"), path.name) if path.is_file() else ()
    except (PipelineFault, UnicodeDecodeError):
        held = ()
        yield f"{path.name} holds no valid contract now"
    before = {c.name: c for c in held}
    after = {c.name: c for c in parse_contracts(read_document(statement), path.name)}
    for name, contract in after.items():
        if name not in before:
            yield f"contract {name} promises {len(contract.columns)} columns and {len(contract.checks)} checks"
            continue
        changes = compare_contracts(before[name], contract)
        yield from (f"contract {name}: {change.message} ({change.kind})" for change in changes)
    yield from (f"contract {name} goes" for name in before if name not in after)
