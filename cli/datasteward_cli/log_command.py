"""`steward log`: the journal for people and scripts."""

import json
import time
from datetime import UTC, datetime

import click

from datasteward.changes.quoting import make_line
from datasteward.changes.reports import parse_handle
from datasteward.errors import ToolError
from datasteward.journal import Entry, Journal
from datasteward_cli.app import Scope
from datasteward_cli.exit_codes import ExitCode

FOLLOW_SECONDS = 0.3


@click.command()
@click.option("-n", "--last", type=click.IntRange(min=1), default=50, help="How many of the newest entries.")
@click.option("--all", "show_all", is_flag=True, help="Every entry.")
@click.option("--follow", is_flag=True, help="Go on printing new entries until interrupted.")
@click.option("--event", help="Only this event.")
@click.option("--tool", help="Only calls of this tool.")
@click.option("--client", help="Only clients whose name holds this.")
@click.option("--outcome", help="Only this outcome, such as ok, forbidden, cancelled.")
@click.option("--since", help="Only entries from this moment on (ISO 8601, UTC).")
@click.option(
    "--change",
    help="The whole story of one proposal, such as c8; steward changes show c8 --format markdown makes a page of it.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--verify", is_flag=True, help="Check the hash chain instead; exit code 1 when it is broken.")
@click.pass_obj
def log(
    scope: Scope,
    last: int,
    show_all: bool,
    follow: bool,
    event: str | None,
    tool: str | None,
    client: str | None,
    outcome: str | None,
    since: str | None,
    change: str | None,
    as_json: bool,
    verify: bool,
) -> int:
    """Read the journal: who asked what, what ran, what was decided. It holds no data values."""
    journal = Journal(scope.workspace.journal_folder)
    since_moment = _moment(since)
    if verify:
        return _verify(journal)
    proposal = f"c{parse_handle(change)}" if change is not None else None
    wanted = {"tool": tool, "outcome": outcome, "proposal": proposal}

    def matches(entry: Entry) -> bool:
        return (
            (event is None or entry.event == event)
            and all(value is None or entry.fields.get(key) == value for key, value in wanted.items())
            and (client is None or client.casefold() in str(entry.fields.get("client", "")).casefold())
            and (since_moment is None or datetime.fromisoformat(entry.at) >= since_moment)
        )

    entries = list(journal.read())
    known = {e.event for e in entries}
    if event is not None and known and event not in known:
        raise click.UsageError(f"No entry has the event '{event}'; events here: {', '.join(sorted(known))}.")
    if proposal is not None and not follow and not any(e.fields.get("proposal") == proposal for e in entries):
        raise ToolError(
            f"The journal tells nothing of a change {proposal}.",
            code="not_found",
            hint="steward changes list --all shows the changes.",
        )
    found = [e for e in entries if matches(e)]
    for entry in found if show_all or change else found[-last:]:
        click.echo(_render(entry, as_json))
    seen = sum(1 for _ in journal.read()) if follow else 0
    while follow:
        time.sleep(FOLLOW_SECONDS)
        entries = list(journal.read())
        for entry in entries[seen:]:
            if matches(entry):
                click.echo(_render(entry, as_json))
        seen = len(entries)
    return ExitCode.DONE


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.UsageError(
            f"--since takes a moment such as 2026-11-21 or 2026-11-21T14:00, not '{text}'."
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _verify(journal: Journal) -> int:
    report = journal.verify()
    if report.is_intact:
        click.echo(f"intact: {report.entries} entries, head {report.head}")
        return ExitCode.DONE
    click.echo(f"broken at entry {report.broken_at}: {report.reason}")
    return ExitCode.INTERNAL


def _render(entry: Entry, as_json: bool) -> str:
    if as_json:
        record = {"n": entry.number, "at": entry.at, "event": entry.event, **entry.fields, "hash": entry.hash}
        return json.dumps(record, ensure_ascii=False)
    fields = " ".join(f"{k}={_short(v)}" for k, v in entry.fields.items() if v not in (None, ""))
    return f"{entry.number:>6} {entry.at} {entry.event} {fields}"


def _short(value: object) -> str:
    text = make_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return text if len(text) <= 60 else f"{text[:57]}…"
