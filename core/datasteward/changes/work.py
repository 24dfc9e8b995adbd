"""What a change is to carry out: statements, or an undo record."""

from dataclasses import dataclass

from datasteward.changes.contract_writing import WRITE_CONTRACT
from datasteward.changes.model import Parameter, StatementWork, TableName
from datasteward.changes.record import UndoRecord

ROW_KINDS = frozenset({"insert", "update", "delete", "merge", "truncate", "copy_from"})
FILE_KINDS = frozenset({"copy_to", WRITE_CONTRACT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What to carry out: statements, or an undo record attached to the session."""

    statements: tuple[StatementWork, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    record: UndoRecord | None = None

    @property
    def changes_catalog(self) -> bool:
        """Whether more than rows and files may change."""
        if self.record is not None:
            return bool(self.record.objects)
        return any(s.kind not in ROW_KINDS | FILE_KINDS for s in self.statements)

    @property
    def stages_files(self) -> bool:
        """Whether files are written, and so staged before."""
        if self.record is not None:
            return any(f.kept for f in self.record.files)
        return any(s.kind in FILE_KINDS for s in self.statements)

    @property
    def row_targets(self) -> tuple[TableName, ...]:
        """Tables whose rows the statements change."""
        if self.record is not None:
            return tuple(t.table for t in self.record.tables)
        return tuple(dict.fromkeys(t for s in self.statements if s.kind in ROW_KINDS for t in s.writes))

    @property
    def table_names(self) -> tuple[str, ...]:
        """Names of tables that the statements name, or that the record holds."""
        if self.record is not None:
            return tuple(o.name for o in self.record.result.objects)
        return tuple(t.name for s in self.statements for t in (*s.writes, *s.reads))

    @property
    def only_updates(self) -> bool:
        """Whether rows are only updated, so that those that DuckDB moved can be paired by position."""
        if self.record is not None:
            return not any(t.added or t.removed for t in self.record.tables)
        return bool(self.statements) and all(s.kind == "update" for s in self.statements)
