"""The owner process: `python -m datasteward_cli.owner_process WORKSPACE`, started by whoever needs it first."""

import asyncio
import json
import logging
import os
import socket
import sys
from pathlib import Path

from datasteward.errors import DatastewardError
from datasteward.file_lock import try_file_lock
from datasteward.owner.server import OwnerServer, bind_socket, publish_loopback
from datasteward.settings import Settings, load_settings
from datasteward.workspace import Workspace, find_workspace
from datasteward_cli.composition import open_local

EXIT_OK, EXIT_CONFIG, EXIT_TAKEN = 0, 2, 3


def main() -> int:
    """Serve until idle or stopped; a second owner of the same workspace ends at once with exit code 3."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s owner %(process)d %(name)s: %(message)s")
    try:
        workspace = find_workspace(Path(sys.argv[1]))
        workspace.make_state_folder()
        settings = load_settings(workspace)
        settings.data_roots(workspace)
        with try_file_lock(workspace.owner_lock_path) as has_lock:
            if not has_lock:
                print("another owner process serves this workspace", file=sys.stderr)
                return EXIT_TAKEN
            return _serve(workspace, settings)
    except DatastewardError as error:
        print(str(error).replace("\n", " "), file=sys.stderr)
        return EXIT_CONFIG


def _serve(workspace: Workspace, settings: Settings) -> int:
    listener = bind_socket(workspace.socket_path)
    workspace.owner_file.write_text(json.dumps({"process_id": os.getpid(), "socket": str(workspace.socket_path)}))
    try:
        asyncio.run(_run(workspace, settings, listener))
    finally:
        workspace.socket_path.unlink(missing_ok=True)
        workspace.owner_file.unlink(missing_ok=True)
    return EXIT_OK


async def _run(workspace: Workspace, settings: Settings, listener: socket.socket) -> None:
    _stop_on_signals()
    async with open_local(workspace, settings) as (caller, services):
        await asyncio.sleep(0)
        from datasteward.changes.client_decisions import ClientDecisions
        from datasteward_mcp.framing import serve_stream
        from datasteward_mcp.server import build_server

        server = build_server(
            caller, decisions=ClientDecisions(services.changes), prompts_folder=workspace.root / "prompts"
        )

        async def serve_mcp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, who: object) -> None:
            await serve_stream(server, reader, writer, who)

        owner = OwnerServer(services, caller, serve_mcp, idle_seconds=settings.owner.idle_seconds)
        publish_loopback(workspace.socket_path, listener, owner.token)
        await owner.serve(listener)


def _stop_on_signals() -> None:
    """SIGTERM ends the serving; children's ends are ours to see, whatever our parent ignored."""
    import signal

    task = asyncio.current_task()
    assert task is not None
    if sys.platform != "win32":
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(0)
