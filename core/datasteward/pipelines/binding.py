"""Binding an asset's query on the shadow catalog: types, lineage, and faults with their place, without any data."""

import re
from collections.abc import Mapping, Sequence

from datasteward.errors import ToolError
from datasteward.lineage.bound import bind_ahead, bind_query
from datasteward.lineage.edges import StatementLineage
from datasteward.lineage.plan_types import BindError, UnknownPlan
from datasteward.lineage.resolve import resolve
from datasteward.lineage.schemas import Catalog, Column, Dataset
from datasteward.lineage.shadow import Shadow
from datasteward.pipelines.loading import Asset
from datasteward.pipelines.problems import PipelineFault, Problem, place_of, suggest

_MISSING_COLUMN = re.compile(r'(?:Referenced column|Table "[^"]*" does not have a column named) "([^"]+)"')


class AssetBinder:
    """One shadow catalog that grows with the assets as they are bound in order."""

    def __init__(self, database_name: str | None) -> None:
        self._catalog = Catalog((), database=database_name)
        self._shadow = Shadow(self._catalog, expand_views=False)
        self._known: dict[tuple[str, ...], Dataset] = {}
        self._new: list[Dataset] = []
        self._ahead: frozenset[str] = frozenset()
        """Queries that need no table made known since they were bound."""

    def add(self, path: tuple[str, ...], name: str, columns: tuple[Column, ...]) -> None:
        """Make a table known; the same one twice does no harm."""
        where = tuple(p.casefold() for p in path)
        known = self._known.get(where)
        if known is not None and known.columns == columns:
            return
        dataset = Dataset(namespace=self._catalog.namespace, name=name, kind="table", columns=columns, path=path)
        self._known[where] = dataset
        self._new.append(dataset)

    def _take_up_new(self) -> None:
        if self._new:
            self._catalog = Catalog(list(self._known.values()), database=self._catalog.database)
            self._shadow.catalog = self._catalog
            self._shadow.create_tables(self._new)
            self._new = []

    def bind_ahead(self, queries: Sequence[str]) -> None:
        """Bind many queries at once that `bind` is asked for next; faults are left to it."""
        self._take_up_new()
        self._ahead = frozenset(queries)
        bind_ahead(queries, self._shadow, {})

    def bind(
        self, asset: Asset, sql: str, files: Mapping[str, tuple[Column, ...]], *, has_places: bool
    ) -> StatementLineage:
        """The lineage and output types of a query; raises `PipelineFault` when DuckDB cannot bind it.

        `has_places` says that positions in `sql` are positions in the asset's file.
        """
        if sql not in self._ahead:
            self._take_up_new()
        try:
            return bind_query(sql, self._shadow, files)
        except BindError as error:
            raise PipelineFault([self._problem(asset, sql, error, has_places)]) from error
        except (UnknownPlan, KeyError, IndexError, TypeError, ValueError, RecursionError):
            return self._resolve(asset, sql, files)

    def _resolve(self, asset: Asset, sql: str, files: Mapping[str, tuple[Column, ...]]) -> StatementLineage:
        try:
            return resolve(sql, self._catalog, files=files)
        except ToolError as error:
            raise PipelineFault([Problem(path=asset.path, message=error.message)]) from error

    def _problem(self, asset: Asset, sql: str, error: BindError, has_places: bool) -> Problem:
        message = str(error)
        missing = _MISSING_COLUMN.search(message)
        if missing:
            columns = sorted({c.name for known in self._known.values() for c in known.columns})
            near = suggest(missing[1], columns)
            message = message.rstrip("!.") + (near if near.startswith(", did") else "")
        line, column = place_of(sql, error.position) if error.position is not None and has_places else (0, 0)
        return Problem(path=asset.path, line=line, column=column, message=message)
