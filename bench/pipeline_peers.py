"""The same trivial assets run by dbt-duckdb, SQLMesh and yato, each with the Python of an environment of its own.

`PEERS/dbt`, `PEERS/sqlmesh` and `PEERS/yato` are virtual environments, made for example by
`uv venv PEERS/dbt && uv pip install --python PEERS/dbt/bin/python dbt-core dbt-duckdb`
(and `sqlmesh 'duckdb<2'`, `yato-lib 'duckdb<2'`).
"""

import os
import resource
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

DBT_PROJECT = """name: bench
version: "1.0"
profile: bench
models: {bench: {+materialized: table}}
flags: {send_anonymous_usage_stats: false}
"""
DBT_PROFILE = "bench: {target: dev, outputs: {dev: {type: duckdb, path: bench.duckdb, threads: 2}}}\n"
SQLMESH_CONFIG = """gateways: {local: {connection: {type: duckdb, database: bench.duckdb}}}
default_gateway: local
model_defaults: {dialect: duckdb, start: 2026-01-01}
disable_anonymized_analytics: true
"""
YATO = "from yato import Yato; Yato(database_path='bench.duckdb', sql_folder='sql', schema='main').run()"
Assets = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One other tool: how its project is written, and the command that runs it in an environment's `bin` folder."""

    name: str
    write: Callable[[Path, Assets], None]
    command: Callable[[Path], list[str]]
    again: bool = True
    """Whether a second run says what it costs when nothing has changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerResult:
    """CPU seconds of the first run and of the same again; None where the tool builds everything anew each time."""

    first_seconds: float
    again_seconds: float | None


def write_dbt(folder: Path, assets: Assets) -> None:
    """A dbt project in which each name of an asset became a `ref`."""
    (folder / "models").mkdir()
    (folder / "dbt_project.yml").write_text(DBT_PROJECT)
    (folder / "profiles.yml").write_text(DBT_PROFILE)
    for name, sql in assets:
        (folder / "models" / f"{name}.sql").write_text(_with_sources(sql, "{{{{ ref('{}') }}}}"))


def write_sqlmesh(folder: Path, assets: Assets) -> None:
    """A SQLMesh project of FULL models."""
    (folder / "models").mkdir()
    (folder / "config.yaml").write_text(SQLMESH_CONFIG)
    for name, sql in assets:
        text = f"MODEL (name shop.{name}, kind FULL);\n{_with_sources(sql, 'shop.{}')}"
        (folder / "models" / f"{name}.sql").write_text(text)


def write_yato(folder: Path, assets: Assets) -> None:
    """A folder of SQL files, one table each."""
    (folder / "sql").mkdir()
    for name, sql in assets:
        (folder / "sql" / f"{name}.sql").write_text(sql)


def _with_sources(sql: str, form: str) -> str:
    head, _, tail = sql.partition(" FROM ")
    name, _, rest = tail.partition(" ")
    return sql if name.startswith("range(") else f"{head} FROM {form.format(name)} {rest}"


PEERS = (
    Peer(
        name="dbt",
        write=write_dbt,
        command=lambda bin_: [str(bin_ / "dbt"), "-q", "run", "--profiles-dir", ".", "--no-use-colors"],
        again=False,
    ),
    Peer(
        name="sqlmesh",
        write=write_sqlmesh,
        command=lambda bin_: [str(bin_ / "sqlmesh"), "plan", "--auto-apply", "--no-prompts"],
    ),
    Peer(name="yato", write=write_yato, command=lambda bin_: [str(bin_ / "python"), "-c", YATO], again=False),
)


def run_peer(peer: Peer, environment: Path, folder: Path, assets: Assets) -> PeerResult | str:
    """What the peer took, or why it was not run."""
    if not (environment / "bin" / "python").exists():
        return f"there is no environment {environment}"
    peer.write(folder, assets)
    command = peer.command(environment / "bin")
    times = []
    for _ in range(2 if peer.again else 1):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        quiet = {"DO_NOT_TRACK": "1", "SQLMESH__DISABLE_ANONYMIZED_ANALYTICS": "true", "HOME": str(folder)}
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, env={**os.environ, **quiet}, check=False
        )
        if done.returncode:
            return f"it failed: {(done.stderr or done.stdout)[-300:]}"
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return PeerResult(first_seconds=times[0], again_seconds=times[1] if peer.again else None)
