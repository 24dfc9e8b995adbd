"""Datasets, their columns, and the catalog that statements are bound against."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

DatasetKind = Literal["table", "view", "file", "result", "answer", "export"]
FILE_NAMESPACE = "file"
_OWN_DATABASES = ("memory", "temp", "system")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column and its type as DuckDB writes it; an unknown type is an empty text."""

    name: str
    type: str = ""


@dataclass(frozen=True, slots=True, order=True)
class DatasetKey:
    """The identity of a dataset, as OpenLineage names it."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """The name alone; namespaces are shown where two could be mixed up."""
        return self.name


@dataclass(frozen=True, slots=True, order=True)
class ColumnRef:
    """A column of a dataset; `column` is empty for the dataset as a whole."""

    dataset: DatasetKey
    column: str = ""

    def __str__(self) -> str:
        """`dataset.column`, or the dataset's name."""
        return f"{self.dataset.name}.{self.column}" if self.column else self.dataset.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A table, view, file, result, answer or export with its columns.

    `path` is what SQL calls it (schema and table, or table alone); by default the name split at its dots.
    `sql` is a view's query, needed only to look through the view.
    """

    namespace: str
    name: str
    kind: DatasetKind
    columns: tuple[Column, ...] = ()
    path: tuple[str, ...] = ()
    sql: str | None = None

    @property
    def key(self) -> DatasetKey:
        """Namespace and name."""
        return DatasetKey(self.namespace, self.name)

    @property
    def sql_path(self) -> tuple[str, ...]:
        """The parts by which SQL names the dataset, at most schema and table."""
        return self.path or tuple(self.name.split(".", 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowTable:
    """A table that exists for one statement: what a file scan or a changed target is replaced by."""

    path: tuple[str, ...]
    columns: tuple[Column, ...]
    unique: tuple[str, ...] = ()


class Catalog:
    """The datasets SQL can name: tables, views, results; with macros and types as `CREATE` statements.

    `namespace` is given to datasets that a statement makes. `database` is the name by which SQL may qualify
    schemas (`warehouse.main.orders`). Names are looked up without regard to case, as DuckDB does.
    """

    def __init__(
        self,
        datasets: Iterable[Dataset] = (),
        *,
        namespace: str = "duckdb",
        database: str | None = None,
        macros: Iterable[str] = (),
    ) -> None:
        self.datasets = tuple(datasets)
        self.namespace = namespace
        self.database = database
        self.macros = tuple(macros)

    @cached_property
    def _by_path(self) -> Mapping[tuple[str, ...], Dataset]:
        return {_canonical(d.sql_path): d for d in self.datasets}

    @cached_property
    def fingerprint(self) -> int:
        """Equal for catalogs with the same datasets, columns and macros within one process."""
        return hash((self.datasets, self.namespace, self.database, self.macros))

    def find(self, path: Iterable[str]) -> Dataset | None:
        """The dataset SQL means by these parts (database and the schema `main` may be left out), or None."""
        return self._by_path.get(_canonical(self.local_path(path)))

    def local_path(self, path: Iterable[str]) -> tuple[str, ...]:
        """The parts without this catalog's own database and without the default schema; a foreign database stays."""
        parts = tuple(path)
        own = (*_OWN_DATABASES, self.database.casefold()) if self.database else _OWN_DATABASES
        names_own = own if len(parts) > 2 else own[len(_OWN_DATABASES) :]
        if len(parts) > 1 and parts[0].casefold() in names_own:
            parts = parts[1:]
        return parts[1:] if len(parts) == 2 and parts[0].casefold() == "main" else parts

    def key_for(self, path: Iterable[str]) -> DatasetKey:
        """The key of the dataset at `path`: the known one's, or the one a new dataset there would get."""
        parts = tuple(path)
        known = self.find(parts)
        return known.key if known else DatasetKey(self.namespace, ".".join(self.local_path(parts)))

    def with_dataset(self, dataset: Dataset) -> "Catalog":
        """This catalog with `dataset` added or replaced."""
        where = _canonical(self.local_path(dataset.sql_path))
        kept = [d for d in self.datasets if _canonical(self.local_path(d.sql_path)) != where]
        return Catalog([*kept, dataset], namespace=self.namespace, database=self.database, macros=self.macros)

    def without_dataset(self, key: DatasetKey) -> "Catalog":
        """This catalog without the dataset of that key."""
        kept = [d for d in self.datasets if d.key != key]
        return Catalog(kept, namespace=self.namespace, database=self.database, macros=self.macros)

    def with_macro(self, create_statement: str) -> "Catalog":
        """This catalog with one more macro or type."""
        macros = (*self.macros, create_statement)
        return Catalog(self.datasets, namespace=self.namespace, database=self.database, macros=macros)


def file_dataset(path: str, columns: Iterable[Column] = ()) -> Dataset:
    """The dataset of a data file or glob, named by its path as written."""
    return Dataset(namespace=FILE_NAMESPACE, name=path, kind="file", columns=tuple(columns), path=(path,))


def _canonical(path: tuple[str, ...]) -> tuple[str, ...]:
    parts = tuple(part.casefold() for part in path)
    return parts[1:] if len(parts) == 2 and parts[0] == "main" else parts
