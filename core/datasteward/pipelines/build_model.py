"""What one step of a run starts from."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from datasteward.engine.carriers import quote_name, quote_text
from datasteward.lineage.schemas import Column
from datasteward.pipelines.analysis import Node
from datasteward.pipelines.loading import Asset
from datasteward.pipelines.plan_model import PlanStep
from datasteward.pipelines.state_model import AssetState, Versions, Window

Guard = Callable[[], contextlib.AbstractContextManager[None]]
"""Entered around a commit; it raises when this run may no longer publish."""
QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What one step starts from; `upstream` are the states its inputs have at this moment."""

    database: str
    pipeline: str
    run: str
    change: str
    node: Node
    step: PlanStep
    state: AssetState | None
    stored_kind: str | None
    stored_columns: tuple[tuple[str, str], ...]
    has_quarantine: bool
    """Whether a table with bad rows of an earlier run is there."""
    upstream: Mapping[str, Versions]
    version: str
    """The mark that content published by this step gets."""
    outside_seconds: float = 0.0
    """What computing its rows outside DuckDB took."""
    source: str | None = None
    """For a Python asset: the Parquet file with its rows."""
    attempt: int = 1

    @property
    def target(self) -> str:
        """The asset's table, qualified."""
        asset = self.node.asset
        return f"{quote_name(self.database)}.{quote_name(asset.schema)}.{quote_name(asset.table)}"

    @property
    def quarantine_name(self) -> str:
        """The table of its quarantine, without the schema."""
        return quarantine_name_of(self.node.asset)

    @property
    def quarantine(self) -> str:
        """The table of its quarantine, qualified."""
        return f"{quote_name(self.database)}.{QUARANTINE}.{quote_name(self.quarantine_name)}"


def quarantine_name_of(asset: Asset) -> str:
    """The table with an asset's bad rows, without the schema."""
    return asset.table if asset.schema == "main" else f"{asset.schema}__{asset.table}"


def is_refreshed(build: Build) -> bool:
    """Whether the asset is built anew because someone asked for it."""
    return any(r == "full refresh" for r in build.step.reasons)


def within(column: str, windows: Sequence[Window]) -> str:
    """A condition that holds inside the windows."""
    parts = [f"({column} >= {_timestamp(w.start)} AND {column} < {_timestamp(w.end)})" for w in windows]
    return f"({' OR '.join(parts)})"


def _timestamp(moment: datetime) -> str:
    return f"TIMESTAMP {quote_text(moment.isoformat(sep=' '))}"


def kept_columns(build: Build) -> tuple[Column, ...]:
    """The columns that the asset has once it is published."""
    if build.node.asset.options.drift == "discard" and build.state is not None and not is_refreshed(build):
        return tuple(Column(name=n, type=t) for n, t in build.state.columns)
    return build.node.columns
