"""Settings of a workspace: `steward.toml`, then `STEWARD_*` variables, then flags, each stronger than the one before."""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from datasteward.changes.policy import PolicySettings
from datasteward.errors import ConfigError
from datasteward.intake.model import BadRowLimit, Overrides
from datasteward.intake.options import FileOptions, IntakeOptions
from datasteward.model_faults import describe_fault, near_name
from datasteward.workspace import Workspace

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*\Z")


def parse_size(value: object) -> object:
    """Bytes of a size such as `512MB` or `2 GiB`; anything else is handed on for pydantic to judge."""
    if not isinstance(value, str):
        return value
    match = _SIZE.match(value)
    if match is None or match[2].upper() not in _UNITS:
        raise ValueError(f"'{value}' is not a size; write bytes or a number with KB, MB, GB, KiB, MiB or GiB")
    return int(float(match[1]) * _UNITS[match[2].upper()])


Size = Annotated[int, BeforeValidator(parse_size), Field(gt=0)]


class Section(BaseModel):
    """Base of every settings table: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class DataSettings(Section):
    """`[data]`: what may be read and where tables live."""

    roots: tuple[str, ...] = (".",)
    """Folders whose files are readable, relative to the workspace."""
    database: str = "warehouse.duckdb"
    """The DuckDB file, relative to the workspace; made at the first approved write."""


class LimitSettings(Section):
    """`[limits]`: what one call may use."""

    memory: Size = 1024 * 2**20
    """Memory the engine may use for one query before it spills to disk."""
    temp: Size = 20 * 10**9
    """Disk that spilling may use."""
    threads: int = Field(default=0, ge=0, le=256)
    """Threads of one query; 0 for one per core."""
    workers: int = Field(default=6, ge=1, le=64)
    """Queries that may run at the same time, each in a process of its own."""
    timeout_seconds: float = Field(default=40.0, gt=0, le=86400)
    """How long a query may run when the caller names no time."""
    max_timeout_seconds: float = Field(default=3600.0, gt=0, le=86400)
    """The longest time a caller may ask for."""
    result_rows: int = Field(default=50_000_000, ge=1)
    """Rows of one result that are stored; the rest is cut and told."""
    result_bytes: Size = 4 * 10**9
    """Bytes of one stored result; the rest is cut and told."""
    view_characters: int = Field(default=2000, ge=200, le=20_000)
    """Characters of a result that a model is shown when it names no budget."""
    sql_bytes: Size = 64 * 1024
    """The longest SQL text of one call."""


class FileSettings(Section):
    """`[[intake.files]]`: how files are written that would otherwise be guessed."""

    path: str
    """The file, or a pattern such as `data/bank/*.csv`, relative to the workspace."""
    delimiter: str | None = None
    quote: str | None = None
    escape: str | None = None
    encoding: str | None = None
    header_rows: int | None = Field(default=None, ge=0, le=20)
    """Rows of labels; 0 when there are none."""
    skip_rows: int | None = Field(default=None, ge=0)
    """Lines above the labels."""
    all_text: bool = False
    """Keep every column as text."""

    def options(self) -> FileOptions:
        """The same for the worker."""
        given = self.model_dump(exclude={"path"})
        return FileOptions(pattern=self.path, overrides=Overrides(**given))


class IntakeSettings(Section):
    """`[intake]`: how messy files are read."""

    bad_rows: int = Field(default=20, ge=0)
    """Rows of a file that may fail to parse, whatever its size; they go to its quarantine."""
    bad_share: float = Field(default=0.05, ge=0, le=1)
    """The share of a file's rows that may, if that is more; beyond both the file is not read."""
    files: tuple[FileSettings, ...] = ()
    """How single files are written; the first whose path fits counts."""

    def options(self) -> IntakeOptions:
        """The same for the worker."""
        limit = BadRowLimit(count=self.bad_rows, share=self.bad_share)
        return IntakeOptions(limit=limit, files=tuple(f.options() for f in self.files))


class ResultSettings(Section):
    """`[results]`: how long stored results stay."""

    quota: Size = 20 * 10**9
    """Disk for all stored results; the oldest that are not pinned go first."""
    keep_days: float = Field(default=14.0, gt=0)
    """Results older than this are removed unless pinned."""


class OwnerSettings(Section):
    """`[owner]`: the background process of the workspace."""

    idle_seconds: float = Field(default=600.0, gt=0)
    """The owner ends after this long without a connection."""
    lease_seconds: float = Field(default=3.0, ge=0)
    """How long the database file stays open after the last call."""
    warm_workers: int = Field(default=2, ge=0, le=16)
    """Workers kept ready."""


class HttpSettings(Section):
    """`[http]`: `steward mcp --http`."""

    host: str = "127.0.0.1"
    """The address to listen on."""
    port: int = Field(default=8765, ge=0, le=65535)
    """The port to listen on; 0 for any free one."""
    allowed_hosts: tuple[str, ...] = ()
    """Further `Host` headers that are accepted, such as `data.example.org:8765`."""
    allowed_origins: tuple[str, ...] = ()
    """`Origin` headers that are accepted besides the server's own."""


class Settings(Section):
    """All settings of a workspace."""

    data: DataSettings = DataSettings()
    limits: LimitSettings = LimitSettings()
    intake: IntakeSettings = IntakeSettings()
    results: ResultSettings = ResultSettings()
    owner: OwnerSettings = OwnerSettings()
    http: HttpSettings = HttpSettings()
    policy: PolicySettings = PolicySettings()

    def data_roots(self, workspace: Workspace) -> tuple[Path, ...]:
        """The readable folders, absolute with links resolved; raises `ConfigError` for one that does not exist."""
        found = []
        for root in self.data.roots:
            path = (workspace.root / Path(root).expanduser()).resolve()
            if not path.is_dir():
                raise ConfigError(
                    f"data.roots names '{root}', and {path} is not a folder.",
                    hint=f"Create it, or change data.roots in {workspace.settings_path.name}.",
                )
            found.append(path)
        return tuple(found)

    def database_path(self, workspace: Workspace) -> Path:
        """The DuckDB file, absolute; it need not exist."""
        return (workspace.root / Path(self.data.database).expanduser()).resolve()


OTHER_VARIABLES = frozenset({"STEWARD_WORKSPACE", "STEWARD_HTTP_TOKEN", "STEWARD_NO_OWNER"})


def load_settings(
    workspace: Workspace,
    *,
    overrides: Mapping[str, Mapping[str, object]] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """The workspace's settings; raises `ConfigError` naming the file or variable, the fault and the nearest key."""
    merged: dict[str, dict[str, Any]] = {}
    sources: dict[tuple[str, str], str] = {}
    file_name = workspace.settings_path.name
    for section, key, value in _read_file(workspace.settings_path):
        merged.setdefault(section, {})[key] = value
        sources[section, key] = file_name
    for section, key, value, variable in _read_environment(os.environ if environment is None else environment):
        merged.setdefault(section, {})[key] = value
        sources[section, key] = variable
    for section, values in (overrides or {}).items():
        for key, value in values.items():
            merged.setdefault(section, {})[key] = value
            sources[section, key] = f"--{section}.{key}"
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        faults = [_describe(dict(fault), sources, file_name, merged) for fault in error.errors(include_url=False)]
        raise ConfigError(
            "\n".join(faults), hint="steward init --print shows every setting with its default."
        ) from error


def _read_file(path: Path) -> list[tuple[str, str, object]]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            f"{path.name} cannot be read: {error}.", hint="Mend the line named, or remove the file."
        ) from error
    rows: list[tuple[str, str, object]] = []
    for section, values in document.items():
        if section not in Settings.model_fields:
            raise ConfigError(near_name(f"{path.name}: unknown table [{section}]", section, Settings.model_fields))
        if not isinstance(values, dict):
            raise ConfigError(f"{path.name}: '{section}' is a table; write [{section}] and its keys below.")
        rows += [(section, key, value) for key, value in values.items()]
    return rows


def _read_environment(environment: Mapping[str, str]) -> list[tuple[str, str, object, str]]:
    known = {
        f"STEWARD_{section}_{key}".upper(): (section, key)
        for section, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        for key in field.annotation.model_fields
    }
    rows: list[tuple[str, str, object, str]] = []
    for variable, text in environment.items():
        if not variable.startswith("STEWARD_") or variable in OTHER_VARIABLES:
            continue
        if variable not in known:
            raise ConfigError(near_name(f"unknown variable {variable}", variable, [*known, *OTHER_VARIABLES]))
        section, key = known[variable]
        value: object = tuple(text.split(os.pathsep)) if (section, key) == ("data", "roots") else text
        rows.append((section, key, value, variable))
    return rows


def _describe(fault: Mapping[str, Any], sources: Mapping[tuple[str, str], str], file_name: str, data: object) -> str:
    location = [str(part) for part in fault["loc"]]
    source = sources.get((location[0], location[1] if len(location) > 1 else ""), file_name)
    return f"{source}: {describe_fault(fault, Settings, data)}"
