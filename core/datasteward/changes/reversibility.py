"""Whether a change can be taken back, told beforehand, and if not, why."""

from datasteward.changes.carrying_out import Measured
from datasteward.changes.catalog import ObjectKey, Referring
from datasteward.changes.names import qualify, quote_name
from datasteward.changes.record import stays
from datasteward.changes.rowdiff import LOCAL_ROW_ID
from datasteward.changes.rows import read_row
from datasteward.changes.session import Session
from datasteward.changes.table_changes import TableChange


def find_irreversible(session: Session, measured: Measured) -> str | None:
    """Why the change, carried out in the session's open transaction, could not be taken back, or None."""
    made_anew = {key for key in measured.changed_objects if not stays(measured, key)}
    return (
        _find_strange_trigger(measured)
        or _find_inexact(measured, made_anew)
        or _find_referred_table(measured, made_anew)
        or _find_tied_rows(session, measured, made_anew)
    )


def _find_strange_trigger(measured: Measured) -> str | None:
    """Taking anything back sets all triggers aside."""
    for found in measured.objects_before.values():
        for trigger in found.triggers:
            if trigger.sql is None:
                return f"the trigger {trigger.name} on {trigger.table} is not understood, so it could not be made again"
    return None


def _find_inexact(measured: Measured, made_anew: set[ObjectKey]) -> str | None:
    for key in sorted(made_anew & measured.objects_before.keys()):
        if not measured.objects_before[key].is_exact:
            return (
                f"{key[0]} {key[2]} goes or changes, and DuckDB's catalog does not keep the defaults of its parameters,"
                " so it could not be made again exactly"
            )
    return None


def _find_referred_table(measured: Measured, made_anew: set[ObjectKey]) -> str | None:
    """Taking back makes a changed table anew, and DuckDB drops none that a table which stays refers to."""
    for key in sorted(k for k in made_anew if k[0] == "table" and k in measured.objects_after):
        for child in _children(measured, key):
            if child.key not in made_anew:
                return (
                    f"{child.table.label} refers to {key[2]} by a foreign key, so DuckDB cannot make {key[2]} again as"
                    " it was while the rows that refer to it stay"
                )
    return None


def _find_tied_rows(session: Session, measured: Measured, made_anew: set[ObjectKey]) -> str | None:
    """DuckDB refuses to delete a row in the transaction in which the last row that refers to it goes or changes."""
    for parent in measured.tables:
        if parent.diff is None or not (parent.diff.inserted or parent.diff.updated):
            continue
        for child in _children(measured, parent.key):
            if child.key not in made_anew and _refers_to_new_rows(session, parent, child):
                return (
                    f"{child.table.label} will refer to rows that it adds to {parent.table.label}, or changes there,"
                    " and DuckDB cannot take both back in one transaction; propose them as two changes"
                )
    return None


def _children(measured: Measured, key: ObjectKey) -> tuple[Referring, ...]:
    return measured.referring.get((key[1], key[2]), ())


def _refers_to_new_rows(session: Session, parent: TableChange, child: Referring) -> bool:
    """Whether a row refers to one that the transaction has added, also in the place of one that it updates."""
    equal = " AND ".join(
        f"c.{quote_name(own)} = p.{quote_name(other)}"
        for own, other in zip(child.foreign_key.columns, child.foreign_key.referenced, strict=True)
    )
    row = read_row(
        session.work,
        f"SELECT 1 FROM {qualify(session.catalog, child.table)} AS c JOIN {qualify(session.catalog, parent.table)} AS p"
        f" ON {equal} WHERE p.rowid >= {LOCAL_ROW_ID} LIMIT 1",
    )
    return row is not None
