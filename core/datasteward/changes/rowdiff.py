"""Which rows of a table differ between the committed state and the open transaction: exact, paired, and countable.

Rows are compared by their row id and DuckDB's hash of all columns, or where an UPDATE alone changes them in place, of
the columns that it sets. Row ids hold still inside one transaction; rows the transaction adds carry ids from
`LOCAL_ROW_ID` up. An UPDATE that DuckDB runs as delete and insert (indexed columns, lists) is paired again by the
columns that it leaves alone, else by the table's key, and by position when nothing but UPDATEs ran.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from datasteward.changes.candidates import Candidates, hash_or_null, hash_with
from datasteward.changes.catalog import TableShape
from datasteward.changes.model import ObjectPrint
from datasteward.changes.names import hash_columns, hash_values, pack_columns, qualify, quote_name
from datasteward.changes.rows import read_row
from datasteward.changes.session import Session

LOCAL_ROW_ID = 36028797018960000


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """The sum and xor of hashes that go, and of those that come in their place."""

    removed_sum: int = 0
    removed_xor: int = 0
    added_sum: int = 0
    added_xor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RowDiff:
    """What changed in one table; the temporary relation `relation` has one line for each changed row.

    Its columns: before_rid, after_rid (null when the row goes or appears), before_hash, after_hash, after_row_hash (of
    the whole row, where those are not), before_image (a struct of `image_columns`) and after_image (one of
    `set_columns`), null without them.
    """

    shape: TableShape
    number: int
    inserted: int
    updated: int
    deleted: int
    hashes: Exchange
    row_hashes: Exchange | None
    """The same of whole rows; None when they were not read."""
    set_columns: tuple[str, ...] | None
    image_columns: tuple[str, ...]
    relation: str
    """Where the lines are, on the session's `work` cursor."""
    noted: str
    """Where the candidates are (rid, image), for the cursors `before` and `probe`."""
    by_changes: bool = False
    """Whether `hashes` are of what an UPDATE sets."""
    is_sample: bool = False
    """Whether all rows went or only some were added, and `relation` names (before_rid, after_rid) of a few."""

    @property
    def holds_rows(self) -> bool:
        """Whether `before_image` is the whole row."""
        return self.image_columns == self.shape.names

    @property
    def row_hash(self) -> str:
        """The column of `relation` with the hash of the whole row afterwards."""
        return "after_row_hash" if self.by_changes else "after_hash"

    def expected_of(self, base: ObjectPrint) -> ObjectPrint:
        """What is approved to become of a table with this print, by `hashes`."""
        if not (self.inserted or self.updated or self.deleted):
            return base
        made = self._exchange(base, self.hashes)
        return made.model_copy(update={"covers": "changes"}) if self.by_changes else made

    def result_of(self, base: ObjectPrint) -> ObjectPrint | None:
        """The print of the table's rows afterwards, computed from the one before; None without `row_hashes`."""
        return None if self.row_hashes is None else self._exchange(base, self.row_hashes)

    def _exchange(self, base: ObjectPrint, hashes: Exchange) -> ObjectPrint:
        return base.model_copy(
            update={
                "row_count": base.row_count + self.inserted - self.deleted,
                "hash_sum": str(int(base.hash_sum) - hashes.removed_sum + hashes.added_sum),
                "hash_xor": str(int(base.hash_xor) ^ hashes.removed_xor ^ hashes.added_xor),
            }
        )


def compare_rows(session: Session, candidates: Candidates, *, only_updates: bool) -> RowDiff | None:
    """Compare the open transaction with the candidates and keep a line for each row that differs.

    None when rows that were thought to be updated in place were moved, so that whole rows must be compared; of those
    only the ones that went are looked for.
    """
    raw = _make_temporary(session, f"__steward_raw_{candidates.number}", _raw_query(session, candidates))
    found = _summarise(session, candidates, raw)
    if candidates.by_changes and found.deleted:
        return None
    may_pair = bool(candidates.paired_by) or (only_updates and found.inserted == found.deleted)
    if found.inserted and found.deleted and may_pair:
        query = _pair_query(raw, only_updates)
        return _summarise(session, candidates, _make_temporary(session, f"__steward_diff_{candidates.number}", query))
    return found


def has_all_updates(session: Session, candidates: Candidates, diff: RowDiff) -> bool:
    """Whether the set columns of the whole table differ by just these rows, for a lone UPDATE in place."""
    shape, columns = candidates.shape, candidates.set_columns or ()
    table = qualify(session.catalog, shape.table)
    whole = hash_with("rowid", shape, columns)
    before, after = _total(session.before, whole, table), _total(session.work, whole, table)
    gone = _total(session.work, hash_with("before_rid", shape, columns, "before_image."), diff.relation)
    came = _total(session.work, hash_with("after_rid", shape, columns, "after_image."), diff.relation)
    is_sum = after.sum - before.sum == came.sum - gone.sum
    return is_sum and after.xor ^ before.xor == came.xor ^ gone.xor


@dataclass(frozen=True, slots=True, kw_only=True)
class _Total:
    sum: int
    xor: int


def _total(connection: duckdb.DuckDBPyConnection, value: str, relation: str) -> _Total:
    query = f"SELECT system.main.sum({value})::VARCHAR, system.main.bit_xor({value})::VARCHAR FROM {relation}"
    row = read_row(connection, query)
    assert row is not None
    return _Total(sum=int(row[0] or 0), xor=int(row[1] or 0))


def _make_temporary(session: Session, name: str, query: str) -> str:
    session.work.execute(f"CREATE OR REPLACE TEMP TABLE {quote_name(name)} AS {query}")
    return f"temp.main.{quote_name(name)}"


SAMPLED_ROWS = 100


def take_all_rows(session: Session, candidates: Candidates, base: ObjectPrint) -> RowDiff:
    """The difference when every row went; its relation has a line for the first SAMPLED_ROWS only."""
    first = _first_ids(session.before, qualify(session.catalog, candidates.shape.table))
    relation = _note_sample(session, candidates, before=first)
    hashes = Exchange(removed_sum=int(base.hash_sum), removed_xor=int(base.hash_xor))
    return _lone_diff(candidates, relation, hashes, deleted=base.row_count)


def count_added_rows(session: Session, candidates: Candidates) -> RowDiff:
    """The difference when rows can only have been added; its relation has a line for the first SAMPLED_ROWS only."""
    added = local_rows(session, candidates.shape)
    value = hash_columns(candidates.shape.names, candidates.shape.types, "r")
    row = read_row(
        session.work,
        f"SELECT system.main.count(*), coalesce(system.main.sum({value}), 0)::VARCHAR,"
        f" coalesce(system.main.bit_xor({value}), 0)::VARCHAR FROM {added}",
    )
    assert row is not None
    relation = _note_sample(session, candidates, after=_first_ids(session.work, added))
    hashes = Exchange(added_sum=int(row[1]), added_xor=int(row[2]))
    return _lone_diff(candidates, relation, hashes, inserted=int(row[0]))


def local_rows(session: Session, shape: TableShape) -> str:
    """The rows that the open transaction has added to the table, as a relation named `r` on `work`."""
    return f"(SELECT rowid, * FROM {qualify(session.catalog, shape.table)} WHERE rowid >= {LOCAL_ROW_ID}) AS r"


def _first_ids(connection: duckdb.DuckDBPyConnection, relation: str) -> list[int]:
    rows = connection.execute(f"SELECT rowid FROM {relation} LIMIT {SAMPLED_ROWS}").fetchall()
    return [int(row[0]) for row in rows]


def _note_sample(
    session: Session, candidates: Candidates, *, before: Sequence[int] = (), after: Sequence[int] = ()
) -> str:
    name = f"__steward_diff_{candidates.number}"
    session.work.execute(
        f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT system.main.unnest($1::BIGINT[]) AS before_rid, NULL::BIGINT AS after_rid"
        " UNION ALL SELECT NULL, system.main.unnest($2::BIGINT[])",
        [list(before), list(after)],
    )
    return f"temp.main.{name}"


def _lone_diff(
    candidates: Candidates, relation: str, hashes: Exchange, *, inserted: int = 0, deleted: int = 0
) -> RowDiff:
    return RowDiff(
        shape=candidates.shape,
        number=candidates.number,
        inserted=inserted,
        updated=0,
        deleted=deleted,
        hashes=hashes,
        row_hashes=hashes,
        set_columns=(),
        image_columns=(),
        relation=relation,
        noted=candidates.relation,
        is_sample=True,
    )


def _raw_query(session: Session, candidates: Candidates) -> str:
    shape = candidates.shape
    table = qualify(session.catalog, shape.table)
    key = hash_or_null(shape, candidates.paired_by, "r")
    image = pack_columns(candidates.set_columns, "r") if candidates.set_columns else "NULL"
    value = hash_columns(shape.names, shape.types, "r")
    appeared = (
        f"SELECT NULL::BIGINT AS before_rid, r.rowid AS after_rid, NULL::UBIGINT AS before_hash, {value} AS after_hash,"
        " NULL::UBIGINT AS before_row_hash, NULL::UBIGINT AS after_row_hash,"
        f" NULL::UBIGINT AS before_key, {key} AS after_key, NULL AS before_image, {image} AS after_image FROM {table} AS r"
        f" WHERE r.rowid >= {LOCAL_ROW_ID}"
    )
    if not candidates.count:
        return appeared
    row = _later_row_hash(candidates)
    later = row
    if candidates.by_changes:
        later = hash_with("c.h", shape, candidates.set_columns or (), "a.image.")
    after_row = f"CASE WHEN a.rid IS NOT NULL THEN {row} END" if candidates.by_changes else "NULL::UBIGINT"
    read = f"{value} AS h" if row == "a.h" else "NULL AS h"
    changed = (
        f"SELECT c.rid AS before_rid, a.rid AS after_rid, c.h AS before_hash, CASE WHEN a.rid IS NOT NULL THEN {later}"
        f" END AS after_hash, c.w::UBIGINT AS before_row_hash, {after_row} AS after_row_hash, c.k AS before_key,"
        f" NULL AS after_key, c.image AS before_image, a.image AS after_image FROM {candidates.relation} AS c"
        f" LEFT JOIN (SELECT r.rowid AS rid, {read}, {image} AS image FROM {table} AS r) AS a ON a.rid = c.rid"
    )
    differing = f"SELECT * FROM ({changed}) WHERE after_rid IS NULL OR"
    if not candidates.by_changes:
        return f"{differing} after_hash <> before_hash UNION ALL BY NAME {appeared}"
    sides = (
        hash_values((f"{side}.{quote_name(c)}", shape.types[c]) for c in candidates.set_columns or ())
        for side in ("before_image", "after_image")
    )
    return f"{differing} {' <> '.join(sides)}"


def _later_row_hash(candidates: Candidates) -> str:
    """The hash of the whole row `a` that was candidate `c`, of its new values and of those that cannot have changed."""
    if not candidates.hashes_rows:
        return "NULL::UBIGINT"
    if candidates.set_columns == ():
        return "c.h"
    if candidates.set_columns is None or not candidates.holds_rows:
        return "a.h"
    sides = {name: "a" if name in candidates.set_columns else "c" for name in candidates.shape.names}
    types = candidates.shape.types
    return hash_values((f"{side}.image.{quote_name(name)}", types[name]) for name, side in sides.items())


def _pair_query(raw: str, only_updates: bool) -> str:
    """The lines of `raw` with those that went and those that came joined: by key, then with only UPDATEs by order.

    A row that came with the very content of one that went was only moved, and is no line.
    """
    place = "system.main.row_number() OVER"
    columns = (
        "before_rid, after_rid, before_hash, after_hash, before_row_hash, after_row_hash, before_image, after_image"
    )
    joined = (
        "g.before_rid, a.after_rid, g.before_hash, a.after_hash, g.before_row_hash, a.after_row_hash, g.before_image,"
        " a.after_image"
    )
    parts = [
        f"all_gone AS (SELECT *, {place} (PARTITION BY before_hash ORDER BY before_rid) AS e FROM {raw}"
        " WHERE after_rid IS NULL)",
        f"all_came AS (SELECT *, {place} (PARTITION BY after_hash ORDER BY after_rid) AS e FROM {raw}"
        " WHERE before_rid IS NULL)",
        f"gone AS (SELECT g.*, {place} (PARTITION BY g.before_key ORDER BY g.before_rid) AS n FROM all_gone AS g"
        " ANTI JOIN all_came AS a ON a.after_hash = g.before_hash AND a.e = g.e)",
        f"came AS (SELECT a.*, {place} (PARTITION BY a.after_key ORDER BY a.after_rid) AS n FROM all_came AS a"
        " ANTI JOIN all_gone AS g ON a.after_hash = g.before_hash AND a.e = g.e)",
        f"met AS (SELECT {joined} FROM gone AS g FULL JOIN came AS a ON g.n = a.n AND g.before_key IS NOT DISTINCT FROM"
        " a.after_key)",
    ]
    found = f"SELECT {columns} FROM met"
    if only_updates:
        parts += [
            f"left_over AS (SELECT *, {place} (ORDER BY before_rid) AS m FROM met WHERE after_rid IS NULL)",
            f"left_new AS (SELECT *, {place} (ORDER BY after_rid) AS m FROM met WHERE before_rid IS NULL)",
        ]
        found += (
            " WHERE before_rid IS NOT NULL AND after_rid IS NOT NULL UNION ALL"
            f" SELECT {joined} FROM left_over AS g FULL JOIN left_new AS a USING (m)"
        )
    stay = f"SELECT {columns} FROM {raw} WHERE before_rid IS NOT NULL AND after_rid IS NOT NULL"
    return (
        f"WITH {', '.join(parts)} SELECT {columns} FROM ({stay} UNION ALL {found})"
        " WHERE before_hash IS DISTINCT FROM after_hash"
    )


def _summarise(session: Session, candidates: Candidates, relation: str) -> RowDiff:
    sides = ["before_hash", "after_hash"]
    if candidates.by_changes and candidates.hashes_rows:
        sides += ["before_row_hash", "after_row_hash"]
    totals = ", ".join(f"{f}({side})::VARCHAR" for side in sides for f in ("system.main.sum", "system.main.bit_xor"))
    row = read_row(
        session.work,
        "SELECT system.main.count(*) FILTER (before_rid IS NULL),"
        " system.main.count(*) FILTER (before_rid IS NOT NULL AND after_rid IS NOT NULL),"
        f" system.main.count(*) FILTER (after_rid IS NULL), {totals} FROM {relation}",
    )
    assert row is not None
    counts, sums = row[:3], [int(value or 0) for value in row[3:]]
    found = [
        Exchange(removed_sum=s[0], removed_xor=s[1], added_sum=s[2], added_xor=s[3])
        for s in (sums[i : i + 4] for i in range(0, len(sums), 4))
    ]
    row_hashes = found[-1] if candidates.hashes_rows else None
    return RowDiff(
        shape=candidates.shape,
        number=candidates.number,
        inserted=int(counts[0]),
        updated=int(counts[1]),
        deleted=int(counts[2]),
        hashes=found[0],
        row_hashes=row_hashes,
        by_changes=candidates.by_changes,
        set_columns=candidates.set_columns,
        image_columns=candidates.image_columns,
        relation=relation,
        noted=candidates.relation,
    )
