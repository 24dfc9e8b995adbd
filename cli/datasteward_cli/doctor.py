"""`steward doctor`: what is found, what is missing, and how to mend it."""

import asyncio
import importlib.util
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import click

from datasteward.changes.counts import count_of
from datasteward.errors import ConfigError, DatastewardError
from datasteward_cli.app import Scope
from datasteward_cli.exit_codes import ExitCode
from datasteward_cli.findings import Finding, Level
from datasteward_cli.model_check import ModelChoice, check_model

MIN_FREE_BYTES = 10**9
_OPTIONAL = {
    "anthropic": "chat and agent runs need it: pip install 'datasteward[agent]'",
    "textual": "the terminal app needs it: pip install 'datasteward[tui]'",
}
_EXTENSIONS_WITHOUT = {
    "excel": "Excel files are read by a library instead",
    "sqlite_scanner": "SQLite files are read by Python instead",
    "httpfs": "web addresses are closed to queries anyway",
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--model", help="Ask this model one cheap thing, to see whether it answers and calls tools.")
@click.option("--base-url", help="Ask the server there, such as http://127.0.0.1:11434.")
@click.pass_obj
def doctor(scope: Scope, as_json: bool, model: str | None, base_url: str | None) -> int:
    """Look at this machine and workspace; exit code 1 when something needs mending.

    A model is asked only when --model, --base-url or ANTHROPIC_BASE_URL names one.
    """
    findings = list(_examine(scope, ModelChoice(name=model, base_url=base_url)))
    if as_json:
        import json
        from dataclasses import asdict

        click.echo(json.dumps([asdict(f) for f in findings], ensure_ascii=False))
    else:
        for finding in findings:
            click.echo(_render(finding))
    return ExitCode.INTERNAL if any(f.level == "problem" for f in findings) else ExitCode.DONE


def _render(finding: Finding) -> str:
    mark = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}[finding.level]
    line = f"{mark} {finding.subject}: {finding.text}"
    return f"{line}\n        → {finding.mend}" if finding.mend else line


def _examine(scope: Scope, choice: ModelChoice) -> Iterator[Finding]:
    yield Finding(
        level="ok",
        subject="versions",
        text=f"datasteward {version('datasteward')}, Python {platform.python_version()}, {platform.system()}",
    )

    def model(_: Scope) -> Iterator[Finding]:
        return check_model(choice)

    checks: tuple[Callable[[Scope], Iterator[Finding]], ...] = (
        _workspace,
        _engine,
        _database,
        _policy,
        _owner,
        _sandbox,
        model,
        _terminal,
        _optional,
    )
    for check in checks:
        try:
            yield from check(scope)
        except ConfigError as error:
            yield Finding(level="problem", subject=check.__name__.strip("_"), text=error.message, mend=error.hint)


def _workspace(scope: Scope) -> Iterator[Finding]:
    workspace, settings = scope.workspace, scope.settings
    made = "steward.toml" if workspace.settings_path.is_file() else "no steward.toml, defaults hold"
    yield Finding(level="ok", subject="workspace", text=f"{workspace.root} ({made})")
    from datasteward.engine.files import DataFiles

    files = DataFiles(settings.data_roots(workspace), workspace.root, denied=(workspace.state_folder,))
    found = files.listing()
    if found:
        yield Finding(level="ok", subject="data", text=f"{len(found)} data files{' or more' if files.is_cut else ''}")
    else:
        yield Finding(level="note", subject="data", text="no data files found", mend="Set data.roots in steward.toml.")
    free = shutil.disk_usage(workspace.root).free
    level: Level = "ok" if free > MIN_FREE_BYTES else "problem"
    mend = None if level == "ok" else "Free some space: results and spilling need it."
    yield Finding(level=level, subject="disk", text=f"{free / 1e9:,.1f} GB free", mend=mend)


def _engine(scope: Scope) -> Iterator[Finding]:
    import duckdb

    connection = duckdb.connect(":memory:")
    rows = connection.execute("SELECT extension_name FROM duckdb_extensions() WHERE loaded OR installed").fetchall()
    connection.close()
    have = {row[0] for row in rows}
    yield Finding(level="ok", subject="engine", text=f"DuckDB {duckdb.__version__} with {', '.join(sorted(have))}")
    missing = [f"{name} ({why})" for name, why in _EXTENSIONS_WITHOUT.items() if name not in have]
    if missing:
        yield Finding(level="note", subject="extensions", text=f"not installed: {'; '.join(missing)}")


def _database(scope: Scope) -> Iterator[Finding]:
    import duckdb

    path = scope.settings.database_path(scope.workspace)
    if not path.exists():
        yield Finding(
            level="ok", subject="database", text=f"{path.name} does not exist yet; the first approved write makes it"
        )
        return
    try:
        duckdb.connect(str(path), read_only=True).close()
    except duckdb.IOException as error:
        held = "lock" in str(error).lower()
        mend = "Close it in the program named, or wait." if held else "Restore the file from a copy."
        yield Finding(
            level="note" if held else "problem", subject="database", text=str(error).splitlines()[0], mend=mend
        )
        return
    except duckdb.Error as error:
        yield Finding(
            level="problem", subject="database", text=str(error).splitlines()[0], mend="Restore it from a copy."
        )
        return
    yield Finding(level="ok", subject="database", text=f"{path.name}, {path.stat().st_size:,} bytes, can be opened")


def _policy(scope: Scope) -> Iterator[Finding]:
    from datasteward.changes.store import ChangeStore
    from datasteward.state import StateDatabase

    workspace, policy = scope.workspace, scope.settings.policy
    allowing = sum(rule.verdict == "allow" for rule in policy.rules)
    shown = f"{count_of(len(policy.rules), 'rule')}, {allowing} of them allow"
    if not allowing or not workspace.state_path.is_file():
        yield Finding(level="ok", subject="policy", text=shown)
        return
    state = StateDatabase(workspace.state_path)
    try:
        counts = ChangeStore(state).may_allow_by_policy(workspace.state_folder, policy)
    finally:
        state.close()
    if counts:
        yield Finding(level="ok", subject="policy", text=shown)
    else:
        yield Finding(
            level="note",
            subject="policy",
            text=f"{shown}, which do not count, since the policy is not signed and there is an approver's key",
            mend="steward policy sign, with the approver's passphrase.",
        )


def _owner(scope: Scope) -> Iterator[Finding]:
    from datasteward.owner.client import open_owner

    async def ask() -> Any:
        async with open_owner(scope.workspace, front_end="cli", name="doctor", is_model=False, start=False) as client:
            return await client.request("status")

    try:
        status = asyncio.run(ask())
    except DatastewardError:
        yield Finding(level="ok", subject="owner", text="not running; it is started when needed")
        return
    if status["version"] != version("datasteward"):
        yield Finding(
            level="problem",
            subject="owner",
            text=f"process {status['process_id']} runs version {status['version']}",
            mend="steward owner stop; the next call starts the installed version.",
        )
        return
    yield Finding(
        level="ok", subject="owner", text=f"process {status['process_id']}, {len(status['connections'])} connections"
    )


def _sandbox(scope: Scope) -> Iterator[Finding]:
    from datasteward.engine.landlock import landlock_version

    known = landlock_version()
    if known:
        yield Finding(
            level="ok", subject="sandbox", text=f"gate, locked settings, worker process, and Landlock version {known}"
        )
    else:
        yield Finding(
            level="note",
            subject="sandbox",
            text="gate, locked settings and worker process; this system has no Landlock, the fourth layer",
        )


def _terminal(scope: Scope) -> Iterator[Finding]:
    size = shutil.get_terminal_size()
    encoding = (sys.stdout.encoding or "").lower()
    if encoding not in {"utf-8", "utf8"}:
        yield Finding(
            level="note",
            subject="terminal",
            text=f"output encoding {encoding or 'unknown'}",
            mend="export PYTHONUTF8=1",
        )
    else:
        yield Finding(level="ok", subject="terminal", text=f"{size.columns} x {size.lines}, UTF-8")


def _optional(scope: Scope) -> Iterator[Finding]:
    for name, why in _OPTIONAL.items():
        if importlib.util.find_spec(name) is None:
            yield Finding(level="note", subject=name, text="not installed", mend=why)
