"""Assets of pipelines as dependents of what they read, from what was kept when each pipeline was last planned."""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasteward.lineage.graph import Dependent
from datasteward.lineage.recording import TABLE_NAMESPACE
from datasteward.lineage.schemas import FILE_NAMESPACE, ColumnRef

KEPT_PREFIX = "pipeline-"
"""How the names of kept analyses begin, in the cache folder."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineAssets:
    """The pipelines below `root` whose analyses are kept in `cache_folder`."""

    root: Path
    cache_folder: Path

    def find(self, columns: Sequence[ColumnRef]) -> Sequence[Dependent]:
        """The assets that read one of `columns`, each once for a column, by pipeline folder and path."""
        wanted = [c for c in columns if c.dataset.namespace in (TABLE_NAMESPACE, FILE_NAMESPACE)]
        found: dict[Dependent, None] = {}
        for kept in self._read_kept() if wanted else ():
            for name, used in _inputs_of(kept):
                refs = [r for r in wanted if r.dataset.name.casefold() == name and _uses(used, r.column)]
                found.update((Dependent(kind="pipeline", name=used.asset, column=r), None) for r in refs)
        return tuple(found)

    def _read_kept(self) -> Iterator[dict[str, Any]]:
        for path in sorted(self.cache_folder.glob(f"{KEPT_PREFIX}*.json")):
            try:
                kept: dict[str, Any] = json.loads(path.read_bytes())
                folder = str(kept["folder"])
            except (OSError, ValueError, KeyError) as error:
                logger.warning("%s is left out of lineage: %s", path.name, error)
                continue
            if (self.root / folder).is_dir() or (self.root / "pipelines" / folder).is_dir():
                yield kept


@dataclass(frozen=True, slots=True, kw_only=True)
class _Use:
    asset: str
    columns: frozenset[str] | None


def _inputs_of(kept: dict[str, Any]) -> Iterator[tuple[str, _Use]]:
    """Each input of each asset under every name that lineage may have for it, in lower case."""
    files = {o["name"]: [f["path"] for f in o["files"]] for o in kept["found"]}
    for node in kept["nodes"].values():
        asset = f"{kept['folder']}/{node['path']}"
        for key, columns in node["reads"].items():
            use = _Use(asset=asset, columns=None if columns is None else frozenset(columns))
            yield key.removeprefix("main."), use
        for name, columns in node["outer_reads"].items():
            use = _Use(asset=asset, columns=None if columns is None else frozenset(columns))
            for shown in dict.fromkeys([name, *files.get(name, ())]):
                yield shown.casefold(), use


def _uses(use: _Use, column: str) -> bool:
    return not column or use.columns is None or column.casefold() in use.columns
