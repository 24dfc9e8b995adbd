"""`steward demo`: the agent on example data without a key. Its words are scripted; tools, data and checks are real."""

import asyncio
import tempfile
from pathlib import Path

import click

from datasteward_cli.app import Scope

SCRIPT = Path(__file__).with_name("agent_demo.yaml")
PROMPTS = (
    "Which products earn most, and what is the share of the best one?",
    "Keep the ranking as a table.",
)


@click.command("demo")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to put the example data; a temporary folder unless told.",
)
def demo(folder: Path | None) -> None:
    """Watch the agent answer a question, correct a wrong figure, and propose a change; no key is needed."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        asyncio.run(_show(folder.resolve()))
        click.echo(f"\nThe workspace stays in {folder}. Go on there: steward changes list; steward sessions list")
        return
    with tempfile.TemporaryDirectory(prefix="datasteward-demo-") as made:
        asyncio.run(_show(Path(made).resolve()))
    click.echo("\nKeep the workspace with --folder NAME, then decide on the change with steward changes approve.")


async def _show(folder: Path) -> None:
    from datasteward_agent.models.scripted import open_script
    from datasteward_cli.example_data import write_example_data
    from datasteward_cli.run_output import RunWriter
    from datasteward_cli.run_session import drive, open_backing, open_store
    from datasteward_cli.run_settings import RunFlags, build_options

    await asyncio.to_thread(write_example_data, folder / "data")
    scope = Scope(folder, no_owner=True)
    options = build_options(RunFlags())
    async with open_store(scope.workspace) as store, open_backing(scope) as backing:
        session = store.create()
        try:
            for number, prompt in enumerate(PROMPTS):
                model = open_script(SCRIPT)
                if number == 0:
                    click.echo(f"{model.notice}\n")
                click.echo(f"> {prompt}")
                await drive(model, session, options, backing, prompt, (), RunWriter("text"))
                click.echo("")
            await asyncio.to_thread(store.index, session)
        finally:
            session.close()
