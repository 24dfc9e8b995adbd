"""Lineage kept in the workspace's state database: datasets with their schemas over time, and edges with their runs."""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasteward.lineage.edges import Confidence, Edge, StatementLineage
from datasteward.lineage.schemas import FILE_NAMESPACE, Column, ColumnRef, Dataset, DatasetKey, DatasetKind

MAX_EDGES = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStamp:
    """Which run an edge comes from: its id (a result, change or pipeline step), a job's name, and the time.

    `sql` and `seconds` (how long it took, None when not known) are kept for events about the run; `error` marks a run
    that failed.
    """

    run_id: str
    at: float
    job: str = ""
    sql: str = ""
    seconds: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEdge:
    """An edge as kept; times are seconds since 1970, `ended_at` tells that the target was replaced or dropped."""

    edge: Edge
    confidence: Confidence
    run_id: str
    statement_hash: str
    first_at: float
    last_at: float
    ended_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRecord:
    """A dataset as last seen; `columns` are of the newest schema known."""

    key: DatasetKey
    kind: DatasetKind
    columns: tuple[Column, ...]
    first_seen: float
    last_seen: float
    dropped_at: float | None
    renamed_to: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaVersion:
    """The columns a dataset had from a moment on."""

    seen_at: float
    columns: tuple[Column, ...]
    run_id: str | None


def hash_statement(sql: str) -> str:
    """SHA-256 of the statement without surrounding space and semicolons, in hexadecimal."""
    return hashlib.sha256(sql.strip().rstrip(";").encode("utf-8", "surrogatepass")).hexdigest()


class LineageStore:
    """Reads and writes lineage through one connection, inside the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._datasets: dict[DatasetKey, int] = {}
        self._nodes: dict[ColumnRef, int] = {}

    def record(
        self,
        lineage: StatementLineage,
        stamp: RunStamp,
        *,
        statement_hash: str,
        target_kind: DatasetKind = "table",
        schemas: Iterable[Dataset] = (),
    ) -> None:
        """Keep a statement's edges, the schemas of what it touched and its changes of shape.

        A statement that makes its target anew (CREATE TABLE AS, CREATE VIEW, an export) ends the edges the target had
        before; INSERT, UPDATE and MERGE add. The same statement run again only moves the time on.
        """
        for dataset in schemas:
            self.see_dataset(dataset, stamp)
        run = self._add_run(lineage, stamp, statement_hash)
        if lineage.kind in ("create_table", "create_view", "copy_to", "select"):
            self._end_edges_into(lineage.target, stamp.at, keep_hash=statement_hash)
            target = Dataset(
                namespace=lineage.target.namespace,
                name=lineage.target.name,
                kind=target_kind,
                columns=lineage.output_schema,
            )
            self.see_dataset(target, stamp)
        self._add_edges(lineage, stamp, run, statement_hash)
        self._apply_changes(lineage, stamp)

    def record_failure(self, lineage: StatementLineage, stamp: RunStamp) -> None:
        """Keep that a run failed; it has no edges."""
        self._add_run(lineage, stamp, hash_statement(f"{stamp.run_id}: {stamp.sql}"))

    def mark_gone(self, key: DatasetKey, stamp: RunStamp) -> None:
        """Keep that a dataset was dropped, unless that is known; what came into it ends."""
        known = self.dataset(key)
        if known is not None and known.dropped_at is None:
            self._end_edges_into(key, stamp.at)
            self._mark_gone(key, stamp.at, renamed_to=None)

    def take_back(self, lineage: StatementLineage, stamp: RunStamp, *, undone_at: float) -> None:
        """Keep that what ran at `undone_at` was undone: its edges end, what it ended holds again, in a new period."""
        run = self._add_run(lineage, stamp, "undo")
        self.connection.execute(
            "INSERT OR IGNORE INTO lineage_edge (source, target, subtype, masking, expression, run, statement_hash,"
            " confidence, first_at, last_at) SELECT source, target, subtype, masking, expression, :run,"
            " statement_hash || ' ' || :run_id, confidence, :at, :at FROM lineage_edge WHERE ended_at = :undone",
            {"run": run, "run_id": stamp.run_id, "at": stamp.at, "undone": undone_at},
        )
        self.connection.execute(
            "UPDATE lineage_edge SET ended_at = ? WHERE ended_at IS NULL AND first_at = ?", (stamp.at, undone_at)
        )
        self.connection.execute(
            "UPDATE lineage_dataset SET dropped_at = NULL, renamed_to = NULL WHERE dropped_at = ?", (undone_at,)
        )

    def see_dataset(self, dataset: Dataset, stamp: RunStamp) -> None:
        """Keep that the dataset exists and, if its columns differ from the newest version, a new version."""
        dataset_id = self._dataset_id(dataset.key, dataset.kind, stamp.at)
        self.connection.execute(
            "UPDATE lineage_dataset SET kind = ?, last_seen = max(last_seen, ?), dropped_at = NULL WHERE id = ?",
            (dataset.kind, stamp.at, dataset_id),
        )
        if not dataset.columns:
            return
        schema = json.dumps([[c.name, c.type] for c in dataset.columns], separators=(",", ":"))
        newest = self.connection.execute(
            "SELECT schema FROM lineage_version WHERE dataset_id = ? ORDER BY seen_at DESC LIMIT 1", (dataset_id,)
        ).fetchone()
        if newest is None or newest[0] != schema:
            self.connection.execute(
                "INSERT OR REPLACE INTO lineage_version VALUES (?, ?, ?, ?)",
                (dataset_id, stamp.at, schema, stamp.run_id),
            )

    def dataset(self, key: DatasetKey) -> DatasetRecord | None:
        """The dataset as last seen, or None when it never was."""
        row = self.connection.execute(
            "SELECT d.kind, d.first_seen, d.last_seen, d.dropped_at, d.renamed_to,"
            " (SELECT schema FROM lineage_version v WHERE v.dataset_id = d.id ORDER BY seen_at DESC LIMIT 1)"
            " FROM lineage_dataset d WHERE namespace = ? AND name = ?",
            (key.namespace, key.name),
        ).fetchone()
        if row is None:
            return None
        return DatasetRecord(
            key=key,
            kind=row[0],
            columns=_read_schema(row[5]),
            first_seen=row[1],
            last_seen=row[2],
            dropped_at=row[3],
            renamed_to=row[4],
        )

    def find_datasets(self, name: str) -> list[DatasetKey]:
        """The datasets of that name in any namespace, without regard to case; the newest first.

        Where there is none, the one file that goes by this friendly name.
        """
        rows = self.connection.execute(
            "SELECT namespace, name FROM lineage_dataset WHERE name = ? COLLATE NOCASE ORDER BY last_seen DESC", (name,)
        )
        found = [DatasetKey(*row) for row in rows]
        return found or self._files_called(name)

    def _files_called(self, name: str) -> list[DatasetKey]:
        from datasteward.engine.files import fold_name

        rows = self.connection.execute("SELECT name FROM lineage_dataset WHERE namespace = ?", (FILE_NAMESPACE,))
        wanted = fold_name(name)
        found = [DatasetKey(FILE_NAMESPACE, str(row[0])) for row in rows if fold_name(Path(row[0])) == wanted]
        return found if len(found) == 1 else []

    def list_datasets(self, limit: int = 1000) -> list[DatasetKey]:
        """The datasets that exist, newest first."""
        rows = self.connection.execute(
            "SELECT namespace, name FROM lineage_dataset WHERE dropped_at IS NULL ORDER BY last_seen DESC LIMIT ?",
            (limit,),
        )
        return [DatasetKey(*row) for row in rows]

    def versions(self, key: DatasetKey) -> list[SchemaVersion]:
        """Every schema the dataset was seen with, oldest first."""
        rows = self.connection.execute(
            "SELECT seen_at, schema, run_id FROM lineage_version v JOIN lineage_dataset d ON d.id = v.dataset_id"
            " WHERE namespace = ? AND name = ? ORDER BY seen_at",
            (key.namespace, key.name),
        )
        return [SchemaVersion(seen_at=r[0], columns=_read_schema(r[1]), run_id=r[2]) for r in rows]

    def prune(self, *, before: float, max_edges: int = MAX_EDGES) -> int:
        """Forget edges not seen since `before` that have ended, and the oldest beyond `max_edges`; the count."""
        gone = self.connection.execute(
            "DELETE FROM lineage_edge WHERE ended_at IS NOT NULL AND last_at < ?", (before,)
        ).rowcount
        excess = self.connection.execute("SELECT count(*) FROM lineage_edge").fetchone()[0] - max_edges
        if excess > 0:
            gone += self.connection.execute(
                "DELETE FROM lineage_edge WHERE id IN (SELECT id FROM lineage_edge ORDER BY last_at LIMIT ?)", (excess,)
            ).rowcount
        self.connection.execute(
            "DELETE FROM lineage_run WHERE at < ? AND id NOT IN (SELECT run FROM lineage_edge)", (before,)
        )
        return int(gone)

    def _add_run(self, lineage: StatementLineage, stamp: RunStamp, statement_hash: str) -> int:
        has_target = lineage.outputs or lineage.kind not in ("other", "create_macro")
        target = json.dumps([lineage.target.namespace, lineage.target.name]) if has_target else None
        cursor = self.connection.execute(
            "INSERT INTO lineage_run (run_id, statement_hash, job, at, confidence, notes, kind, sql, seconds, error,"
            " inputs, target, outputs) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                stamp.run_id,
                statement_hash,
                stamp.job,
                stamp.at,
                lineage.confidence,
                json.dumps(lineage.notes),
                lineage.kind,
                stamp.sql,
                stamp.seconds,
                stamp.error,
                json.dumps([[key.namespace, key.name] for key in lineage.inputs]),
                target,
                json.dumps([[o.name, o.type] for o in lineage.outputs]),
            ),
        )
        return int(cursor.lastrowid or 0)

    def _add_edges(self, lineage: StatementLineage, stamp: RunStamp, run: int, statement_hash: str) -> None:
        rows = [
            (
                self._node_id(e.source, stamp.at),
                self._node_id(e.target, stamp.at),
                e.subtype,
                e.masking,
                e.expression,
                run,
                statement_hash,
                lineage.confidence,
                stamp.at,
                stamp.at,
            )
            for e in lineage.edges
        ]
        self.connection.executemany(
            "INSERT INTO lineage_edge (source, target, subtype, masking, expression, run, statement_hash, confidence,"
            " first_at, last_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (target, source, subtype, statement_hash) DO UPDATE SET last_at = excluded.last_at,"
            " run = excluded.run, masking = excluded.masking, expression = excluded.expression,"
            " confidence = excluded.confidence, ended_at = NULL",
            rows,
        )

    def _end_edges_into(self, key: DatasetKey, at: float, *, keep_hash: str = "", column: str | None = None) -> None:
        self.connection.execute(
            "UPDATE lineage_edge SET ended_at = ? WHERE ended_at IS NULL AND statement_hash <> ? AND target IN"
            " (SELECT n.id FROM lineage_node n JOIN lineage_dataset d ON d.id = n.dataset_id"
            "  WHERE d.namespace = ? AND d.name = ? AND (? IS NULL OR n.column_name = ?))",
            (at, keep_hash, key.namespace, key.name, column, column),
        )

    def _apply_changes(self, lineage: StatementLineage, stamp: RunStamp) -> None:
        for change in lineage.changes:
            key = change.dataset
            match change.kind:
                case "drop":
                    self._end_edges_into(key, stamp.at)
                    self._mark_gone(key, stamp.at, renamed_to=None)
                case "rename" if change.new_name:
                    prefix = key.name.rpartition(".")[0]
                    new = DatasetKey(key.namespace, f"{prefix}.{change.new_name}" if prefix else change.new_name)
                    self._rename(key, new, stamp)
                case "rename_column" if change.column and change.new_name:
                    self._carry_on(ColumnRef(key, change.column), ColumnRef(key, change.new_name), stamp)
                case "drop_column":
                    self._end_edges_into(key, stamp.at, column=change.column)
                case _:
                    pass

    def _rename(self, old: DatasetKey, new: DatasetKey, stamp: RunStamp) -> None:
        known = self.dataset(old)
        columns = known.columns if known else ()
        kind: DatasetKind = known.kind if known else "table"
        self._mark_gone(old, stamp.at, renamed_to=new.name)
        self.see_dataset(Dataset(namespace=new.namespace, name=new.name, kind=kind, columns=columns), stamp)
        for column in columns:
            self._carry_on(ColumnRef(old, column.name), ColumnRef(new, column.name), stamp)

    def _carry_on(self, old: ColumnRef, new: ColumnRef, stamp: RunStamp) -> None:
        """History stays with the old name; an identity edge leads from it to the new one."""
        edge = (self._node_id(old, stamp.at), self._node_id(new, stamp.at), "identity", False, "renamed")
        self.connection.execute(
            "INSERT OR IGNORE INTO lineage_edge (source, target, subtype, masking, expression, run, statement_hash,"
            " confidence, first_at, last_at) VALUES (?, ?, ?, ?, ?, 0, 'rename', 'bound', ?, ?)",
            (*edge, stamp.at, stamp.at),
        )

    def _mark_gone(self, key: DatasetKey, at: float, *, renamed_to: str | None) -> None:
        self.connection.execute(
            "UPDATE lineage_dataset SET dropped_at = ?, renamed_to = ? WHERE namespace = ? AND name = ?",
            (at, renamed_to, key.namespace, key.name),
        )

    def _dataset_id(self, key: DatasetKey, kind: DatasetKind, at: float) -> int:
        known = self._datasets.get(key)
        if known is None:
            self.connection.execute(
                "INSERT OR IGNORE INTO lineage_dataset (namespace, name, kind, first_seen, last_seen)"
                " VALUES (?, ?, ?, ?, ?)",
                (key.namespace, key.name, kind, at, at),
            )
            row = self.connection.execute(
                "SELECT id FROM lineage_dataset WHERE namespace = ? AND name = ?", (key.namespace, key.name)
            ).fetchone()
            known = self._datasets[key] = int(row[0])
        return known

    def _node_id(self, ref: ColumnRef, at: float) -> int:
        known = self._nodes.get(ref)
        if known is None:
            kind: DatasetKind = "file" if ref.dataset.namespace == "file" else "table"
            dataset = self._dataset_id(ref.dataset, kind, at)
            self.connection.execute(
                "INSERT OR IGNORE INTO lineage_node (dataset_id, column_name) VALUES (?, ?)", (dataset, ref.column)
            )
            row = self.connection.execute(
                "SELECT id FROM lineage_node WHERE dataset_id = ? AND column_name = ?", (dataset, ref.column)
            ).fetchone()
            known = self._nodes[ref] = int(row[0])
        return known


def read_edges(connection: sqlite3.Connection, edge_ids: Sequence[int]) -> list[StoredEdge]:
    """The edges of these ids, in the order of the ids."""
    rows = connection.execute(
        "SELECT e.id, e.source, e.target, e.subtype, e.masking, e.expression, e.confidence, coalesce(r.run_id, ''),"
        " e.statement_hash, e.first_at, e.last_at, e.ended_at FROM json_each(?) f"
        " CROSS JOIN lineage_edge e ON e.id = f.value LEFT JOIN lineage_run r ON r.id = e.run",
        (json.dumps(list(edge_ids)),),
    ).fetchall()
    refs = read_refs(connection, {node for row in rows for node in row[1:3]})
    by_id = {int(row[0]): _stored_edge(row, refs[row[1]], refs[row[2]]) for row in rows}
    return [by_id[i] for i in edge_ids if i in by_id]


def read_refs(connection: sqlite3.Connection, node_ids: Iterable[int]) -> dict[int, ColumnRef]:
    """The columns behind node ids."""
    rows = connection.execute(
        "SELECT n.id, n.dataset_id, d.namespace, d.name, n.column_name FROM json_each(?) f"
        " CROSS JOIN lineage_node n ON n.id = f.value JOIN lineage_dataset d ON d.id = n.dataset_id",
        (json.dumps(list(node_ids)),),
    )
    keys: dict[int, DatasetKey] = {}
    found: dict[int, ColumnRef] = {}
    for node, dataset, namespace, name, column in rows:
        if dataset not in keys:
            keys[dataset] = DatasetKey(namespace, name)
        found[node] = ColumnRef(keys[dataset], column)
    return found


def _stored_edge(row: Sequence[Any], source: ColumnRef, target: ColumnRef) -> StoredEdge:
    edge = Edge(source=source, target=target, subtype=row[3], masking=bool(row[4]), expression=row[5])
    return StoredEdge(
        edge=edge,
        confidence=row[6],
        run_id=row[7],
        statement_hash=row[8],
        first_at=row[9],
        last_at=row[10],
        ended_at=row[11],
    )


def _read_schema(text: str | None) -> tuple[Column, ...]:
    return tuple(Column(name=name, type=kind) for name, kind in json.loads(text)) if text else ()
