"""`steward sessions` and `steward replay`: what agents did in this workspace, to read, search, copy and run again."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import click

from datasteward.errors import ConfigError
from datasteward_agent.session_store import SessionStore
from datasteward_cli.app import Scope
from datasteward_cli.exit_codes import ExitCode

T = TypeVar("T")


@click.group()
def sessions() -> None:
    """List, show, search, export and fork the agent's sessions."""


@sessions.command("list")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_sessions(scope: Scope, limit: int, as_json: bool) -> None:
    """The latest sessions first."""
    for summary in _with_store(scope, lambda store: store.summaries(limit)):
        if as_json:
            click.echo(json.dumps(asdict(summary)))
        else:
            waiting = f"  waits for {', '.join(summary.waiting)}" if summary.waiting else ""
            click.echo(f"{summary.session_id}  {summary.updated[:16]}  {summary.outcome:<10} {summary.title}{waiting}")


@sessions.command()
@click.argument("session")
@click.option("--json", "as_json", is_flag=True, help="Its events, one JSON object a line.")
@click.pass_obj
def show(scope: Scope, session: str, as_json: bool) -> None:
    """What was said and done in a session; SESSION may be the end of its name."""
    from datasteward_agent.session_export import export_markdown

    session_id, events = _with_store(scope, lambda store: (store.find(session), store.read(store.find(session))))
    if as_json:
        for event in events:
            click.echo(event.model_dump_json())
    else:
        click.echo(export_markdown(session_id, events), nl=False)


@sessions.command()
@click.argument("words", nargs=-1, required=True)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def search(scope: Scope, words: tuple[str, ...], limit: int, as_json: bool) -> int:
    """Find words in prompts, answers, SQL and errors; ends with 1 when nothing is found."""
    hits = _with_store(scope, lambda store: store.search(" ".join(words), limit))
    for hit in hits:
        if as_json:
            click.echo(json.dumps(asdict(hit)))
        else:
            click.echo(f"{hit.session_id}  {hit.kind:<7} {' '.join(hit.snippet.split())}")
    return ExitCode.DONE if hits else ExitCode.INTERNAL


@sessions.command()
@click.argument("session")
@click.option("--format", "form", type=click.Choice(["md", "sql", "jsonl"]), default="md", show_default=True)
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="A file instead of stdout.")
@click.pass_obj
def export(scope: Scope, session: str, form: str, output: Path | None) -> None:
    """A session as Markdown, as SQL or as its events."""
    from datasteward_agent.session_export import export_markdown, export_sql

    session_id, events = _with_store(scope, lambda store: (store.find(session), store.read(store.find(session))))
    if form == "md":
        text = export_markdown(session_id, events)
    elif form == "sql":
        text = export_sql(session_id, events)
    else:
        text = "".join(e.model_dump_json() + "\n" for e in events)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{output} cannot be written: {error.strerror}.") from error


@sessions.command()
@click.argument("session")
@click.option("--upto", type=click.IntRange(1), help="The number of the last event to copy.")
@click.pass_obj
def fork(scope: Scope, session: str, upto: int | None) -> None:
    """Copy a session, whole or its beginning, and print the copy's name."""

    def copy(store: SessionStore) -> str:
        made = store.fork(store.find(session), upto)
        store.index(made)
        made.close()
        return made.session_id

    click.echo(_with_store(scope, copy))


@click.command()
@click.argument("session")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a call.")
@click.pass_obj
def replay(scope: Scope, session: str, as_json: bool) -> int:
    """Run a session's queries again and tell which results changed; ends with 10 when some did."""
    return asyncio.run(_replay(scope, session, as_json))


async def _replay(scope: Scope, session: str, as_json: bool) -> ExitCode:
    from datasteward_agent.replay import replay_session
    from datasteward_cli.run_session import open_backing, open_store

    counts: dict[str, int] = {}
    async with open_store(scope.workspace) as store, open_backing(scope) as backing:
        events = await asyncio.to_thread(lambda: store.read(store.find(session)))
        async for found in replay_session(events, backing.toolset):
            counts[found.finding] = counts.get(found.finding, 0) + 1
            if as_json:
                click.echo(json.dumps(asdict(found)))
            else:
                asked = " ".join(str(found.arguments.get("sql") or found.arguments).split())
                click.echo(f"{found.finding:<9} {found.name} {asked[:110]}")
                if found.difference:
                    click.echo(f"          {found.difference}")
    told = ", ".join(f"{n} {finding.replace('_', ' ')}" for finding, n in sorted(counts.items())) or "nothing to replay"
    click.echo(told, err=True)
    return ExitCode.TOOL_FAILED if counts.get("changed") or counts.get("fails_now") else ExitCode.DONE


def _with_store(scope: Scope, work: Callable[[SessionStore], T]) -> T:
    from datasteward_cli.run_session import open_store

    async def inside() -> T:
        async with open_store(scope.workspace) as store:
            return await asyncio.to_thread(work, store)

    return asyncio.run(inside())
