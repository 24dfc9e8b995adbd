"""Columns as the tools' outputs carry them."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from datasteward.engine.jobs import ColumnFacts, ResultColumn


class Column(BaseModel):
    """A column's name and DuckDB type; facts only where rows are left out of the view."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    type: str
    nulls: int | None = None
    distinct: int | None = None
    min: str | None = None
    max: str | None = None

    def to_core(self) -> ResultColumn:
        """The column as the core's view code takes it."""
        facts = None
        if self.nulls is not None or self.min is not None:
            facts = ColumnFacts(nulls=self.nulls, distinct=self.distinct, minimum=self.min, maximum=self.max)
        return ResultColumn(name=self.name, type=self.type, facts=facts)


def column_models(columns: Sequence[ResultColumn]) -> list[Column]:
    """The columns of a view as output models."""
    empty = ColumnFacts()
    return [
        Column(
            name=c.name,
            type=c.type,
            nulls=(c.facts or empty).nulls,
            distinct=(c.facts or empty).distinct,
            min=(c.facts or empty).minimum,
            max=(c.facts or empty).maximum,
        )
        for c in columns
    ]
