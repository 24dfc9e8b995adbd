"""`steward changes`, `steward approver` and `steward policy`."""

import asyncio
import getpass
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeVar

import click

from datasteward.errors import ConfigError, ToolError
from datasteward_cli.app import Scope
from datasteward_cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from datasteward.changes.model import ChangeStatus
    from datasteward.changes.service import ChangeService

T = TypeVar("T")
WATCH_SECONDS = 0.5
TYPED_SHARE = 0.1


def with_service(scope: Scope, work: "Callable[[ChangeService], Awaitable[T]]") -> T:
    """Run `work` on the workspace's change service, settled from earlier crashes."""
    from datasteward_cli.changes_host import open_changes

    async def run() -> T:
        async with open_changes(scope) as service:
            await service.recover()
            return await work(service)

    return asyncio.run(run())


@click.group()
def changes() -> None:
    """The inbox of proposed changes: look, decide, take back."""


@changes.command("list")
@click.option("--all", "show_all", is_flag=True, help="Closed ones too.")
@click.option("-n", "--last", type=click.IntRange(min=1), default=50, help="How many of the newest.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_changes(scope: Scope, show_all: bool, last: int, as_json: bool) -> None:
    """List changes that are not closed yet, newest first."""
    from dataclasses import asdict

    from datasteward.changes.render import render_list

    found = with_service(scope, lambda service: service.summaries(only_open=not show_all, limit=last))
    if as_json:
        for summary in found:
            click.echo(json.dumps({"change": summary.handle, **asdict(summary)}, ensure_ascii=False))
    else:
        click.echo(render_list(found))


@changes.command("propose")
@click.argument("sql", required=False)
@click.option("-f", "--file", "sql_file", type=click.File("r", encoding="utf-8"), help="Read the SQL from a file.")
@click.option("--purpose", default="", help="Why, for who decides.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def propose_sql(scope: Scope, sql: str | None, sql_file: "TextIO | None", purpose: str, as_json: bool) -> int:
    """Measure the effect of SQL that changes something and put it into the inbox; nothing is changed yet.

    Exit code 4 when it waits for a decision, 0 when the policy let it through, 3 when it is denied.
    """
    from datasteward_cli.calls import call_tool, name_commands

    text = sql_file.read() if sql_file else sys.stdin.read() if sql == "-" else sql
    if not text:
        raise click.UsageError("No SQL was given: steward changes propose 'DELETE FROM …', -f FILE, or -.")
    answer = call_tool(scope, "propose_change", {"sql": text, "purpose": purpose})
    click.echo(json.dumps(answer.structured, ensure_ascii=False) if as_json else name_commands(answer.text))
    if answer.structured["status"] == "waiting":
        click.echo(f"Decide with: steward changes approve {answer.structured['change']}", err=True)
    codes = {"applied": ExitCode.DONE, "denied": ExitCode.DENIED}
    return codes.get(str(answer.structured["status"]), ExitCode.WAITING_FOR_APPROVAL)


@changes.command("show")
@click.argument("change")
@click.option("--format", "form", type=click.Choice(["text", "json", "markdown"]), default="text")
@click.pass_obj
def show_change(scope: Scope, change: str, form: str) -> None:
    """Show one change with its effect; json and markdown give the whole decision trace."""
    from datasteward.changes.history import trace_json, trace_markdown
    from datasteward.changes.render import render_change

    async def read(service: "ChangeService") -> str:
        row = await service.show(change)
        if form == "text":
            return render_change(row)
        steps = await service.history(change)
        return trace_json(row, steps) if form == "json" else trace_markdown(row, steps)

    click.echo(with_service(scope, read))


@changes.command("approve")
@click.argument("change")
@click.option("--comment", default="", help="Why; kept in the journal.")
@click.option("--edit", type=click.File("r", encoding="utf-8"), help="Approve this file's SQL in its place.")
@click.pass_obj
def approve_change(scope: Scope, change: str, comment: str, edit: "TextIO | None") -> int:
    """Show a change and, after a yes typed at this terminal, apply it."""
    _require_terminal()
    sql = edit.read() if edit is not None else None

    async def decide(service: "ChangeService") -> "ChangeStatus":
        from datasteward.changes.render import render_change, render_report

        chosen = change
        if sql is not None:
            chosen = (await service.edit(change, sql, requested_by=f"cli:{user_name()}", comment=comment)).change
        row = await service.show(chosen)
        click.echo(render_change(row))
        if row.summary.status != "waiting":
            raise ToolError(f"{chosen} is {row.summary.status}; it no longer waits.", code="conflict")
        effects = row.proposal.preview.tables
        rows = sum(t.inserted + t.updated + t.deleted for t in effects)
        is_large = any(
            not t.is_estimated and t.deleted + t.updated > TYPED_SHARE * max(1, t.rows_before) for t in effects
        )
        drop_typed_ahead()
        if not _is_confirmed(chosen, rows if is_large or not row.proposal.preview.is_reversible else None):
            raise ToolError(f"{chosen} was left as it is.", code="cancelled")
        key = None
        if service.needs_signature():
            key = service.unlock_approver(getpass.getpass("Approver's passphrase: "))
        report = await service.approve(
            chosen, digest=row.summary.digest, by=user_name(), channel="terminal", comment=comment, key=key
        )
        click.echo(render_report(report, with_rows=False))
        return report.status

    status = with_service(scope, decide)
    return ExitCode.DONE if status == "applied" else ExitCode.WAITING_FOR_APPROVAL


def _require_terminal() -> None:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ToolError(
            "Approving needs a terminal, so that a person sees what is approved.",
            code="forbidden",
            hint="Run steward changes approve at a prompt, or decide in the app.",
        )


def drop_typed_ahead() -> None:
    """Forget keys pressed before the preview was on the screen, so that they answer nothing."""
    try:
        import termios
    except ImportError:
        import msvcrt

        while msvcrt.kbhit():  # type: ignore[attr-defined,unused-ignore]
            msvcrt.getwch()  # type: ignore[attr-defined,unused-ignore]
    else:
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


def _is_confirmed(change: str, typed_rows: int | None) -> bool:
    if typed_rows is None:
        return click.confirm(f"Apply {change}?", default=False)
    answer: str = click.prompt(
        f"This is large or final. Type how many rows change (come in, change and go, together) to apply {change}",
        type=str,
    )
    is_right = answer.strip().replace(",", "") == str(typed_rows)
    if not is_right:
        click.echo(f"'{answer.strip()}' is not that number.", err=True)
    return is_right


def user_name() -> str:
    """Who is at the terminal, as the system knows them."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "someone"


@changes.command("reject")
@click.argument("change")
@click.option("--comment", "-m", default="", help="Why; whoever proposed it is told.")
@click.pass_obj
def reject_change(scope: Scope, change: str, comment: str) -> None:
    """Reject a change."""
    report = with_service(
        scope, lambda service: service.reject(change, by=user_name(), channel="terminal", comment=comment)
    )
    click.echo(f"{report.change} rejected")


@changes.command("later")
@click.argument("change")
@click.pass_obj
def postpone_change(scope: Scope, change: str) -> None:
    """Leave a change waiting; its time starts anew."""
    report = with_service(scope, lambda service: service.postpone(change, by=user_name()))
    click.echo(f"{report.change} waits")


@changes.command("watch")
@click.option("--for", "seconds", type=float, default=0.0, help="Stop after this many seconds; 0 goes on.")
@click.pass_obj
def watch_changes(scope: Scope, seconds: float) -> None:
    """Print changes as they come and as their state changes, until interrupted."""
    import time

    from datasteward.changes.render import render_list

    async def watch(service: "ChangeService") -> None:
        known: dict[int, str] = {}
        end = time.monotonic() + seconds if seconds else float("inf")
        while True:
            for summary in reversed(await service.summaries(only_open=not known, limit=200)):
                if known.get(summary.number) != summary.status:
                    known[summary.number] = summary.status
                    click.echo(render_list([summary]))
            if time.monotonic() >= end:
                return
            await asyncio.sleep(WATCH_SECONDS)

    with_service(scope, watch)


@changes.command("undo")
@click.argument("change")
@click.option("--purpose", default="", help="Why.")
@click.pass_obj
def undo_change(scope: Scope, change: str, purpose: str) -> int:
    """Propose to take an applied change back; approve the proposal to do it."""
    from datasteward.changes.render import render_report
    from datasteward_cli.calls import name_commands

    report = with_service(
        scope, lambda service: service.propose_undo(change, requested_by=f"cli:{user_name()}", purpose=purpose)
    )
    click.echo(name_commands(render_report(report)))
    if report.status != "waiting":
        return ExitCode.DONE
    click.echo(f"Decide with: steward changes approve {report.change}", err=True)
    return ExitCode.WAITING_FOR_APPROVAL


@click.group()
def approver() -> None:
    """The approver's key: with it, nothing is approved by a program alone."""


@approver.command("init")
@click.pass_obj
def init_approver(scope: Scope) -> None:
    """Make the key under a passphrase; from then on every approval asks for it."""
    _require_terminal()
    passphrase = getpass.getpass("New passphrase: ")
    if passphrase != getpass.getpass("Once more: "):
        raise ConfigError("The two passphrases differ.")

    async def make(service: "ChangeService") -> str:
        return service.make_approver(passphrase)

    click.echo(f"made; public key {with_service(scope, make)}")


@click.group()
def policy() -> None:
    """What may be applied without asking, and why."""


@policy.command("explain")
@click.argument("change")
@click.pass_obj
def explain_policy(scope: Scope, change: str) -> None:
    """Say which rule decides on a change, and why the ones before did not."""
    click.echo(with_service(scope, lambda service: service.explain(change)).to_text())


@policy.command("test")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_obj
def run_policy_tests(scope: Scope, file: Path) -> int:
    """Judge the cases of a TOML file; exit code 10 when one gets another verdict than expected."""
    from datasteward.changes.policy import run_cases

    outcomes = run_cases(scope.settings.policy, file)
    for outcome in outcomes:
        verdict = outcome.found.verdict
        mark = "ok  " if outcome.passed else "FAIL"
        told = "" if outcome.passed else f"; expected {outcome.case.expect}\n{outcome.found.to_text()}"
        click.echo(f"{mark} {outcome.case.name}: {verdict}{told}")
    failed = sum(not o.passed for o in outcomes)
    click.echo(f"{len(outcomes) - failed} of {len(outcomes)} as expected")
    return ExitCode.TOOL_FAILED if failed else ExitCode.DONE


@policy.command("sign")
@click.pass_obj
def sign_policy(scope: Scope) -> None:
    """Sign the policy as it is, so that its allow rules count although there is an approver's key."""
    _require_terminal()
    passphrase = getpass.getpass("Approver's passphrase: ")

    async def sign(service: "ChangeService") -> str:
        return service.sign_policy(passphrase)

    click.echo(f"signed policy {with_service(scope, sign)[:16]}")
