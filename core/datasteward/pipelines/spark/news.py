"""What crosses between a run and the process that speaks with Spark for it."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

FailureKind = Literal["missing", "unreachable", "cancelled", "failed"]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class SparkJob(_Message):
    """One query to compute."""

    address: str
    """`host:port`."""
    settings: Mapping[str, str]
    """Of the session."""
    inputs: Mapping[str, str]
    """By the name the query uses: the Parquet file with the rows."""
    sql: str
    output: str
    """The folder to write Parquet files to; it must not exist."""


class TasksDone(_Message):
    """How far the server is."""

    kind: Literal["tasks"] = "tasks"
    done: int
    total: int


class Done(_Message):
    """The rows are written."""

    kind: Literal["done"] = "done"


class Failed(_Message):
    """There are no rows; `missing` means that the client's packages are not installed."""

    kind: FailureKind
    message: str


News = Annotated[TasksDone | Done | Failed, Field(discriminator="kind")]
NEWS: TypeAdapter[News] = TypeAdapter(News)
