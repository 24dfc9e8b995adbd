"""What relies on columns besides datasets: assets, pinned results, checked answers, contracts and their checks."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasteward.engine.results import ResultStore
from datasteward.lineage.graph import Dependent, Dependents
from datasteward.lineage.noting import ANSWER_NAMESPACE
from datasteward.lineage.pipeline_assets import PipelineAssets
from datasteward.lineage.recording import RESULT_NAMESPACE, TABLE_NAMESPACE
from datasteward.lineage.schemas import FILE_NAMESPACE, ColumnRef, DatasetKey
from datasteward.workspace import Workspace

MAX_DOCUMENTS = 500
MAX_DOCUMENT_BYTES = 2**20
_SKIPPED = frozenset({"node_modules", "__pycache__", "venv", "site-packages"})
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedResults:
    """Results that someone pinned, so that they outlast the others."""

    results: ResultStore

    def find(self, columns: Sequence[ColumnRef]) -> Sequence[Dependent]:
        """The pinned results among `columns`, each once, with the first of its columns."""
        first: dict[str, ColumnRef] = {}
        for ref in columns:
            if ref.dataset.namespace == RESULT_NAMESPACE:
                first.setdefault(ref.dataset.name, ref)
        if not first:
            return ()
        pinned = self.results.pinned()
        return [Dependent(kind="result", name=h, column=r, detail="pinned") for h, r in first.items() if h in pinned]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedAnswers:
    """Answers whose figures were held against results."""

    def find(self, columns: Sequence[ColumnRef]) -> Sequence[Dependent]:
        """The figures among `columns`, by answer."""
        figures: dict[DatasetKey, list[ColumnRef]] = {}
        for ref in columns:
            if ref.dataset.namespace == ANSWER_NAMESPACE and ref.column:
                figures.setdefault(ref.dataset, []).append(ref)
        return [
            Dependent(kind="answer", name=key.name, column=refs[0], detail=_count(len(refs), "figure"))
            for key, refs in figures.items()
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractFiles:
    """The Open Data Contract Standard documents (`.yaml`, `.yml`) below a folder, hidden folders left out."""

    root: Path

    def find(self, columns: Sequence[ColumnRef]) -> Sequence[Dependent]:
        """Contracts that promise one of `columns`, and the rules of theirs on it.

        A contract is about the table or file that its schema names. What is not readable is left out and logged.
        """
        asked: dict[str, list[ColumnRef]] = {}
        for ref in columns:
            if ref.dataset.namespace in (TABLE_NAMESPACE, FILE_NAMESPACE):
                asked.setdefault(ref.dataset.name.casefold(), []).append(ref)
        found: dict[Dependent, None] = {}
        if asked:
            for path, document in _read_documents(self.root):
                for schema in _dicts(document.get("schema")):
                    refs = [r for name in _names(schema) for r in asked.get(name.casefold(), ())]
                    found.update(dict.fromkeys(_promises(path, schema, refs)))
        return tuple(found)


def read_contract_texts(root: Path) -> list[tuple[str, str]]:
    """Path below `root` and text of every Open Data Contract Standard document there; unreadable ones are left out."""
    found = []
    for path, _ in _read_documents(root):
        try:
            found.append((path, (root / path).read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            logger.warning("%s is left out: %s", path, error)
    return found


def workspace_dependents(results: ResultStore, root: Path) -> tuple[Dependents, ...]:
    """Everything that a workspace knows to rely on columns."""
    assets = PipelineAssets(root=root, cache_folder=Workspace(root=root).cache_folder)
    return (ContractFiles(root=root), assets, PinnedResults(results=results), CheckedAnswers())


def _promises(path: str, schema: dict[str, Any], refs: Sequence[ColumnRef]) -> Iterator[Dependent]:
    properties = [(name.casefold(), p) for p in _dicts(schema.get("properties")) for name in _names(p)]
    for ref in refs:
        for name, item in properties:
            if ref.column and ref.column.casefold() != name:
                continue
            on = ref if ref.column else ColumnRef(ref.dataset, str(item.get("name") or name))
            yield Dependent(kind="contract", name=path, column=on)
            rules = [k for k in ("required", "unique", "primaryKey") if item.get(k) is True]
            rules += [
                str(q.get("name") or q.get("metric") or q.get("rule") or "rule") for q in _dicts(item.get("quality"))
            ]
            if rules:
                yield Dependent(kind="check", name=path, column=on, detail=", ".join(dict.fromkeys(rules)))


def _read_documents(root: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    import yaml

    from datasteward.pipelines.yaml_reading import has_aliases

    for path in _find_documents(root):
        try:
            text = path.read_text(encoding="utf-8") if path.stat().st_size <= MAX_DOCUMENT_BYTES else ""
            if "DataContract" not in text or has_aliases(text):
                continue
            document = yaml.safe_load(text)
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            logger.warning("%s is left out of lineage: %s", path, error)
            continue
        if isinstance(document, dict) and document.get("kind") == "DataContract":
            yield path.relative_to(root).as_posix(), document


def _find_documents(root: Path) -> list[Path]:
    found: list[Path] = []
    waiting = [root]
    while waiting and len(found) < MAX_DOCUMENTS:
        folder = waiting.pop()
        try:
            entries = sorted(folder.iterdir())
        except OSError:
            continue
        for entry in entries:
            if entry.name.startswith(".") or entry.is_symlink():
                continue
            if entry.is_dir() and entry.name not in _SKIPPED:
                waiting.append(entry)
            elif entry.suffix in (".yaml", ".yml"):
                found.append(entry)
    return sorted(found[:MAX_DOCUMENTS])


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _names(item: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(str(item[key]) for key in ("physicalName", "name") if item.get(key)))


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' if number != 1 else ''}"
