"""The catalog as later statements of one text will find it: with what earlier ones make, without what they drop."""

from collections.abc import Iterable, Sequence

from datasteward.engine.gate_catalog import CatalogView, StoredMacro, StoredObject
from datasteward.engine.gate_facts import CatalogName, WriteTarget
from datasteward.engine.gate_files import looks_like_path

_MAKES = frozenset({"create", "replace"})


class GrowingCatalog:
    """A catalog to which tables and schemas are added as statements make or rename them; new views and macros are not.

    What is dropped is gone: a name that looks like a path would mean the file from then on.
    """

    def __init__(self, inner: CatalogView, *, database_name: str | None = None) -> None:
        """Over `inner`; `database_name` is for a database that is yet to be made."""
        self._inner = inner
        self._name = database_name
        self._tables: dict[tuple[str, str], StoredObject] = {}
        self._schemas: set[str] = set()
        self._gone: set[tuple[str, str]] = set()
        self._gone_schemas: set[str] = set()

    def add(self, writes: Iterable[WriteTarget]) -> None:
        """Note what a statement that passed makes, renames and drops."""
        targets = list(writes)
        if any(t.action == "rename" for t in targets):
            self._rename(targets)
            return
        for target in targets:
            schema, name = target.schema.casefold(), target.name.casefold()
            if target.kind == "schema" and target.action in _MAKES:
                self._schemas.add(name)
            elif target.kind == "schema" and target.action == "drop":
                self._schemas.discard(name)
                self._gone_schemas.add(name)
                self._tables = {key: made for key, made in self._tables.items() if key[0] != name}
            elif target.kind not in {"table", "view"}:
                continue
            elif target.action == "drop" or (target.action == "alter" and looks_like_path(target.name)):
                self._gone.add((schema, name))
                self._tables.pop((schema, name), None)
            elif target.action in _MAKES and target.kind == "table":
                self.add_table(target.schema, target.name)

    def _rename(self, targets: Sequence[WriteTarget]) -> None:
        """Note what `ALTER … RENAME TO` does: its targets are the object as it was called and as it will be."""
        old = next((t for t in targets if t.action == "alter"), None)
        new = next(t for t in targets if t.action == "rename")
        stored = self.find(old.schema, old.name) if old else None
        if old is None or stored is None:
            return
        earlier, later = ((t.schema.casefold(), t.name.casefold()) for t in (old, new))
        self._tables.pop(earlier, None)
        self._gone.add(earlier)
        self._gone.discard(later)
        self._tables[later] = StoredObject(schema=stored.schema, name=new.name, kind=stored.kind, sql=stored.sql)

    def add_table(self, schema: str, name: str) -> None:
        """A table that will be there, and its schema with it."""
        key = (schema.casefold(), name.casefold())
        self._gone.discard(key)
        self._schemas.add(key[0])
        self._tables[key] = StoredObject(schema=schema, name=name, kind="table", sql="")

    @property
    def database_name(self) -> str | None:
        """As it will be called, or as the catalog below has it."""
        return self._name or self._inner.database_name

    def find(self, schema: str, name: str) -> StoredObject | None:
        """The stored object, or the table that an earlier statement makes; None once a statement drops it."""
        key = (schema.casefold(), name.casefold())
        if made := self._tables.get(key):
            return made
        is_gone = key in self._gone or key[0] in self._gone_schemas
        return None if is_gone else self._inner.find(schema, name)

    def has_schema(self, schema: str) -> bool:
        """Whether it is there or an earlier statement makes it."""
        name = schema.casefold()
        return name in self._schemas or (name not in self._gone_schemas and self._inner.has_schema(schema))

    def macros(self, name: str) -> Sequence[StoredMacro]:
        """The stored ones."""
        return self._inner.macros(name)

    def macro_names(self) -> Iterable[str]:
        """The stored ones."""
        return self._inner.macro_names()

    def names(self) -> Sequence[CatalogName]:
        """Stored objects and the tables that are made."""
        made = [CatalogName(parts=(o.schema, o.name), kind=o.kind) for o in self._tables.values()]
        return [*self._inner.names(), *made]
