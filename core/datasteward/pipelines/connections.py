"""`connections:` of pipeline.yaml: the engines and databases that assets name."""

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from datasteward.errors import ToolError

_URL = re.compile(r"sc://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?/?\Z")
DEFAULT_SPARK_PORT = 15002
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})


class _Connection(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SparkConnection(_Connection):
    """A Spark Connect server."""

    kind: Literal["spark"]
    url: str
    """`sc://host:port`; the port is 15002 by default."""
    exchange: str | None = None
    """A folder that this machine and the server both see by this path; the workspace's cache by default."""

    @field_validator("url")
    @classmethod
    def _is_spark_url(cls, url: str) -> str:
        match = _URL.match(url)
        if match is None or not 0 < int(match["port"] or DEFAULT_SPARK_PORT) < 2**16:
            raise ValueError(f"'{url}' is not a Spark Connect address such as sc://localhost:15002")
        return url

    @property
    def address(self) -> str:
        """Host and port as gRPC wants them."""
        match = _URL.match(self.url)
        assert match is not None
        return f"{match['host']}:{match['port'] or DEFAULT_SPARK_PORT}"

    @property
    def is_local(self) -> bool:
        """Whether the server is on this machine, so that no data leaves it."""
        return self.address.rsplit(":", 1)[0] in LOOPBACK_HOSTS


class DatabaseConnection(_Connection):
    """A database file that assets may read."""

    kind: Literal["database"]
    path: str
    """The file, relative to the workspace."""
    type: Literal["duckdb", "sqlite"] = "duckdb"
    """How the file is written."""


Connection = Annotated[SparkConnection | DatabaseConnection, Field(discriminator="kind")]


def find_spark(engine: str, connections: Mapping[str, Connection]) -> SparkConnection | None:
    """The connection that `spark` or `spark:NAME` means; None for `duckdb`.

    Raises `ToolError` (not_found) when there is no such connection, or when several could be meant.
    """
    if engine == "duckdb":
        return None
    known = {name: c for name, c in connections.items() if isinstance(c, SparkConnection)}
    name = engine.partition(":")[2] or (next(iter(known)) if len(known) == 1 else "")
    if name in known:
        return known[name]
    told = f"there is no Spark connection '{name}'" if name else f"{len(known) or 'no'} Spark connections"
    raise ToolError(
        f"'{engine}': {told}; pipeline.yaml has {', '.join(known) or 'none'}",
        code="not_found",
        hint="Name one: connections: {lake: {kind: spark, url: sc://localhost:15002}}, engine: spark:lake.",
    )
