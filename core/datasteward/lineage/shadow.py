"""The shadow catalog: an in-memory DuckDB that holds schemas only and in which statements are bound, never run."""

import json
import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import duckdb

from datasteward.lineage.plan_types import BindError, PlanNode
from datasteward.lineage.schemas import Catalog, Column, Dataset, ShadowTable
from datasteward.lineage.sql_tokens import quote_name

MAX_KEPT_SHADOWS = 8
MAX_MADE_SCHEMAS = 4
MEMORY_LIMIT = "256MB"
_BARE_NUMBERS = re.compile(r'"value":\s*-?(?:nan|inf(?:inity)?)\b', re.IGNORECASE)
_ABSENT_SCHEMA = re.compile(r"Schema with name (.+) does not exist")
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "memory_limit": MEMORY_LIMIT,
    "threads": "1",
}


class Shadow:
    """One shadow instance of a catalog. External access is off and settings are locked from the start."""

    def __init__(self, catalog: Catalog, *, expand_views: bool) -> None:
        self.catalog = catalog
        self._lock = threading.Lock()
        self._connection = duckdb.connect(":memory:", config=_SETTINGS)
        if catalog.database and catalog.database.casefold() not in ("memory", "temp", "system"):
            self._connection.execute(f"ATTACH ':memory:' AS {quote_name(catalog.database)}")
            self._connection.execute(f"USE {quote_name(catalog.database)}")
        self._connection.execute("SET lock_configuration = true")
        self._ahead: dict[str, list[PlanNode]] = {}
        views = [d for d in catalog.datasets if expand_views and d.kind == "view" and d.sql]
        named = {id(view) for view in views}
        self.create_tables([d for d in catalog.datasets if id(d) not in named])
        self._create_in_order([*catalog.macros, *(_create_view(v) for v in views)])
        self._stand_in_for_lost_views(views)

    def bind(self, sql: str, tables: Sequence[ShadowTable] = ()) -> list[PlanNode]:
        """The bound, unoptimised plans of the statements in `sql`; nothing is executed. Raises `BindError`."""
        with self._lock:
            if not tables:
                return self._plan(sql)
            self._connection.execute("BEGIN")
            try:
                for table in tables:
                    self._create_table(table)
                return self._plan(sql)
            finally:
                self._connection.execute("ROLLBACK")

    def bind_ahead(self, statements: Sequence[str]) -> None:
        """Bind many single statements at once, which costs a quarter of one by one; `bind` then takes their plans.

        When one of them cannot be bound, none is, and `bind` says why. What was bound ahead before is forgotten.
        """
        with self._lock:
            self._ahead = {}
            try:
                plans = self._plan_once("\n;\n".join(statements)) if len(statements) > 1 else []
            except BindError:
                return
            if len(plans) == len(statements):
                self._ahead = {sql: [plan] for sql, plan in zip(statements, plans, strict=True)}

    def _plan(self, sql: str) -> list[PlanNode]:
        """Plan; a schema that only the target is named by is made on the way."""
        for _ in range(MAX_MADE_SCHEMAS):
            try:
                return self._plan_once(sql)
            except BindError as error:
                absent = _ABSENT_SCHEMA.match(str(error))
                if absent is None or not self._try(f"CREATE SCHEMA {quote_name(absent[1])}"):
                    raise
        return self._plan_once(sql)

    def _plan_once(self, sql: str) -> list[PlanNode]:
        if sql in self._ahead:
            return self._ahead.pop(sql)
        try:
            row = self._connection.execute("SELECT json_serialize_plan(?, optimize := false)", [sql]).fetchone()
        except duckdb.Error as error:
            raise BindError(str(error).split("\n", 1)[0], kind="engine") from error
        reply: dict[str, Any] = {"error": True, "error_message": "DuckDB gave no plan"}
        if row and row[0]:
            reply = _read_reply(row[0])
        if reply["error"]:
            position = reply.get("position")
            raise BindError(
                str(reply.get("error_message", "")).split("\n", 1)[0],
                kind=str(reply.get("error_type", "")),
                position=int(position) if position is not None else None,
            )
        plans: list[PlanNode] = reply["plans"]
        return plans

    def create_tables(self, datasets: Sequence[Dataset]) -> None:
        """Make datasets known as tables; a type that the shadow does not know becomes VARCHAR."""
        tables = [ShadowTable(path=d.sql_path, columns=d.columns) for d in datasets if d.columns]
        try:
            self._connection.execute("BEGIN")
            self._connection.execute(";".join(_create_table_sql(t, t.columns) for t in tables) or "SELECT 1")
            self._connection.execute("COMMIT")
        except duckdb.Error:
            self._connection.execute("ROLLBACK")
            for table in tables:
                self._create_table(table)

    def _create_table(self, table: ShadowTable) -> None:
        try:
            self._connection.execute(_create_table_sql(table, table.columns))
        except duckdb.Error:
            columns = tuple(Column(name=c.name, type=self._known_type(c.type)) for c in table.columns)
            try:
                self._connection.execute(_create_table_sql(table, columns))
            except duckdb.Error:
                return

    def _known_type(self, type_name: str) -> str:
        try:
            self._plan(f"SELECT NULL::{type_name or 'VARCHAR'}")
        except BindError:
            return "VARCHAR"
        return type_name

    def _create_in_order(self, statements: Sequence[str]) -> None:
        """Create what can be created, again and again while it helps, as views and macros may need each other."""
        waiting = list(statements)
        while waiting:
            left = [sql for sql in waiting if not self._try(sql)]
            if len(left) == len(waiting):
                return
            waiting = left

    def _stand_in_for_lost_views(self, views: Sequence[Dataset]) -> None:
        for view in views:
            if view.columns and not self._try(f"DESCRIBE {_dotted(view.sql_path)}"):
                self._create_table(ShadowTable(path=view.sql_path, columns=view.columns))

    def _try(self, sql: str) -> bool:
        try:
            self._connection.execute(sql)
        except duckdb.Error:
            return False
        return True


_shadows: "OrderedDict[tuple[int, bool], Shadow]" = OrderedDict()
_shadows_lock = threading.Lock()


def shadow_of(catalog: Catalog, *, expand_views: bool = False) -> Shadow:
    """The shadow of `catalog`, kept for the next statements; views are tables unless they are expanded."""
    key = (catalog.fingerprint, expand_views)
    with _shadows_lock:
        if key in _shadows:
            _shadows.move_to_end(key)
            return _shadows[key]
    made = Shadow(catalog, expand_views=expand_views)
    with _shadows_lock:
        _shadows[key] = made
        while len(_shadows) > MAX_KEPT_SHADOWS:
            _shadows.popitem(last=False)
    return made


def _read_reply(text: str) -> dict[str, Any]:
    """The answer as JSON; DuckDB writes NaN and infinity constants in a way no JSON reader takes."""
    try:
        reply: dict[str, Any] = json.loads(text)
    except ValueError:
        reply = json.loads(_BARE_NUMBERS.sub('"value":null', text))
    return reply


def _create_table_sql(table: ShadowTable, columns: Sequence[Column]) -> str:
    parts = [f"{quote_name(c.name)} {c.type or 'VARCHAR'}" for c in columns]
    if table.unique:
        parts.append(f"UNIQUE ({', '.join(quote_name(name) for name in table.unique)})")
    schema = f"CREATE SCHEMA IF NOT EXISTS {quote_name(table.path[0])};" if len(table.path) > 1 else ""
    return f"{schema}CREATE OR REPLACE TABLE {_dotted(table.path)} ({', '.join(parts)})"


def _create_view(view: Dataset) -> str:
    schema = f"CREATE SCHEMA IF NOT EXISTS {quote_name(view.sql_path[0])};" if len(view.sql_path) > 1 else ""
    query = (view.sql or "").rstrip().rstrip(";")
    return f"{schema}CREATE OR REPLACE VIEW {_dotted(view.sql_path)} AS {query}"


def _dotted(path: Sequence[str]) -> str:
    return ".".join(quote_name(part) for part in path)
