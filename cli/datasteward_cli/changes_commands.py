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
    from datasteward.changes.model import Preview
    from datasteward.changes.policy import PolicySettings
    from datasteward.changes.service import ChangeReport, ChangeService
    from datasteward.changes.store import ChangeRow

T = TypeVar("T")
WATCH_SECONDS = 0.5
WATCHED = 1000
_OUTCOMES = {"applied": ExitCode.DONE, "denied": ExitCode.DENIED}


def with_service(scope: Scope, work: "Callable[[ChangeService], Awaitable[T]]") -> T:
    """Run `work` on the workspace's change service, settled from earlier crashes."""
    from datasteward_cli.changes_host import open_changes

    async def run() -> T:
        async with open_changes(scope) as service:
            await service.recover()
            return await work(service)

    try:
        return asyncio.run(run())
    except ToolError as error:
        from datasteward_cli.calls import name_commands_in

        raise name_commands_in(error) from error


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

    if sql is not None and sql_file is not None:
        raise click.UsageError("The SQL was given twice, as an argument and with -f; give one of them.")
    text = sql_file.read() if sql_file else sys.stdin.read() if sql == "-" else sql
    if not text:
        raise click.UsageError("No SQL was given: steward changes propose 'DELETE FROM …', -f FILE, or -.")
    answer = call_tool(scope, "propose_change", {"sql": text, "purpose": purpose})
    click.echo(json.dumps(answer.structured, ensure_ascii=False) if as_json else name_commands(answer.text))
    if answer.structured["status"] == "waiting":
        click.echo(f"Decide with: steward changes approve {answer.structured['change']}", err=True)
    return _OUTCOMES.get(str(answer.structured["status"]), ExitCode.WAITING_FOR_APPROVAL)


@changes.command("show")
@click.argument("change")
@click.option("--format", "form", type=click.Choice(["text", "json", "markdown"]), default="text")
@click.pass_obj
def show_change(scope: Scope, change: str, form: str) -> None:
    """Show one change with its effect; json and markdown give the whole decision trace.

    Its entries of the journal, one a line: steward log --change c8.
    """
    from datasteward.changes.trace import trace_json, trace_markdown

    async def read(service: "ChangeService") -> str:
        row = await service.show(change)
        if form == "text":
            return await _show(service, row)
        steps = await service.history(change)
        return trace_json(row, steps) if form == "json" else trace_markdown(row, steps, root=service.workspace_root)

    click.echo(with_service(scope, read))


async def _show(service: "ChangeService", row: "ChangeRow") -> str:
    from datasteward.changes.render import render_change

    is_allowed = row.summary.status == "waiting" and row.verdict.startswith("allow:")
    note = await service.explain_unsigned() if is_allowed else None
    return render_change(row, root=service.workspace_root, policy_note=note)


@changes.command("approve")
@click.argument("change")
@click.option("--comment", default="", help="Why; kept in the journal.")
@click.option("--edit", type=click.File("r", encoding="utf-8"), help="Approve this file's SQL in its place.")
@click.pass_obj
def approve_change(scope: Scope, change: str, comment: str, edit: "TextIO | None") -> int:
    """Show a change and, after a yes typed at this terminal, apply it.

    Exit code 0 when it is applied, 3 when the policy denies the edited one, 4 when it was not approved and still waits.
    """
    _require_terminal(
        "Approving needs a terminal, so that a person sees what is approved.",
        hint="Run steward changes approve at a prompt, or decide in the app.",
    )
    sql = edit.read() if edit is not None else None

    async def decide(service: "ChangeService") -> ExitCode:
        if sql is None:
            return await _decide(service, change, comment)
        edited = await service.edit(change, sql, requested_by=f"cli:{user_name()}", comment=comment)
        if edited.status == "waiting":
            return await _decide(service, edited.change, comment)
        return _tell_outcome(service, edited)

    return with_service(scope, decide)


async def _decide(service: "ChangeService", change: str, comment: str) -> ExitCode:
    from datasteward.changes.reports import wrong_state

    row = await service.show(change)
    handle = row.summary.handle
    click.echo(await _show(service, row))
    if row.summary.status == "approved":
        by = f" by {row.approval.by}" if row.approval is not None else ""
        click.echo(f"{handle} is approved already{by}; applying it.", err=True)
        return _tell_outcome(service, await service.apply(handle))
    if row.summary.status != "waiting":
        raise wrong_state(row)
    drop_typed_ahead()
    if not is_confirmed(handle, row.proposal.preview):
        click.echo(f"{handle} was not approved; it still waits.", err=True)
        return ExitCode.WAITING_FOR_APPROVAL
    key = None
    if service.needs_signature():
        key = service.unlock_approver(getpass.getpass("Approver's passphrase: "))
    report = await service.approve(
        handle, digest=row.summary.digest, by=user_name(), channel="terminal", comment=comment, key=key
    )
    return _tell_outcome(service, report)


def _tell_outcome(service: "ChangeService", report: "ChangeReport") -> ExitCode:
    from datasteward.changes.render import render_report

    click.echo(render_report(report, with_rows=False, reader="person", root=service.workspace_root))
    return _OUTCOMES.get(report.status, ExitCode.WAITING_FOR_APPROVAL)


def _require_terminal(reason: str, *, hint: str) -> None:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ToolError(reason, code="forbidden", hint=hint)


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


def is_confirmed(change: str, preview: "Preview") -> bool:
    """Whether the person says yes; what is large or final takes a word that stands in the preview above."""
    from datasteward.changes.confirming import answer_to_type

    expected = answer_to_type(change, preview)
    if expected is None:
        return click.confirm(f"Apply {change}?", default=False)
    answer: str = click.prompt(expected.question, type=str)
    if expected.accepts(answer):
        return True
    click.echo(f"'{answer.strip()}' is not what was asked for.", err=True)
    return False


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
    """Reject a change, or take back the approval of one that was not applied."""
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
@click.option(
    "--for", "seconds", type=click.FloatRange(min=0), default=0.0, help="Stop after this many seconds; 0 goes on."
)
@click.pass_obj
def watch_changes(scope: Scope, seconds: float) -> None:
    """Print the changes that are open, then each one that comes or changes its state, until interrupted."""
    import time

    from datasteward.changes.render import render_list
    from datasteward.changes.service import OPEN

    async def watch(service: "ChangeService") -> None:
        known: dict[int, str] = {}
        end = time.monotonic() + seconds if seconds else float("inf")
        is_first = True
        while True:
            for summary in reversed(await service.summaries(limit=WATCHED)):
                is_news = known.get(summary.number) != summary.status
                known[summary.number] = summary.status
                if is_news and (summary.status in OPEN or not is_first):
                    click.echo(render_list([summary]))
            is_first = False
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

    report = with_service(
        scope, lambda service: service.propose_undo(change, requested_by=f"cli:{user_name()}", purpose=purpose)
    )
    click.echo(render_report(report, reader="person", root=scope.workspace.root))
    if report.status == "waiting":
        click.echo(f"Decide with: steward changes approve {report.change}", err=True)
    return _OUTCOMES.get(report.status, ExitCode.WAITING_FOR_APPROVAL)


@click.group()
def approver() -> None:
    """The approver's key: with it, nothing is approved by a program alone."""


@approver.command("init")
@click.pass_obj
def init_approver(scope: Scope) -> None:
    """Make the key under a passphrase; from then on every approval asks for it."""
    _require_terminal(
        "Making the approver's key needs a terminal, so that a person chooses its passphrase.",
        hint="Run steward approver init at a prompt.",
    )
    from datasteward.changes.approver import refuse_second_key, refuse_short

    refuse_second_key(scope.workspace.state_folder)
    passphrase = getpass.getpass("New passphrase: ")
    refuse_short(passphrase)
    if passphrase != getpass.getpass("Once more: "):
        raise ConfigError("The two passphrases differ.")

    async def make(service: "ChangeService") -> str:
        click.echo(f"made; public key {service.make_approver(passphrase)}")
        return await service.explain_unsigned() or ""

    if unsigned := with_service(scope, make):
        click.echo(unsigned)


@click.group()
def policy() -> None:
    """What may be applied without asking, and why."""


@policy.command("explain")
@click.argument("change")
@click.pass_obj
def explain_policy(scope: Scope, change: str) -> None:
    """Say which rule decides on a change, and why the ones before did not."""

    async def explain(service: "ChangeService") -> str:
        verdict = await service.explain(change)
        unsigned = await service.explain_unsigned() if verdict.verdict == "allow" else None
        return f"ask: {unsigned}\nsigned, it would say\n{verdict.to_text()}" if unsigned else verdict.to_text()

    click.echo(with_service(scope, explain))


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
    """Show the policy and sign it as it is, so that its allow rules count although there is an approver's key."""
    from datasteward_cli.policy_lines import policy_lines

    _require_terminal(
        "Signing the policy needs a terminal, so that a person sees what is signed.",
        hint="Run steward policy sign at a prompt.",
    )

    async def show(service: "ChangeService") -> "PolicySettings":
        if not service.needs_signature():
            raise ConfigError(
                "There is no approver's key yet, so nothing needs a signature: allow rules count as they are.",
                hint="steward approver init makes the key.",
            )
        click.echo("\n".join(policy_lines(service.policy)))
        is_signed = service.may_allow(service.policy)
        click.echo("It is signed already." if is_signed else "It is not signed as it is now.")
        return service.policy

    shown = with_service(scope, show)
    drop_typed_ahead()
    passphrase = getpass.getpass("Approver's passphrase: ")

    async def sign(service: "ChangeService") -> str:
        if service.policy != shown:
            raise ToolError(
                "The policy has changed since it was shown; it was not signed.",
                code="conflict",
                hint="Run steward policy sign again.",
            )
        return service.sign_policy(passphrase)

    click.echo(f"signed policy {with_service(scope, sign)[:16]}")
