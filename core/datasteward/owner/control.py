"""The control protocol of the owner's socket: JSON lines, requests by number, progress and cancel.

A request is `{"id": 1, "method": "call_tool", "params": {...}}`; `{"cancel": 1}` takes it back. Replies are
`{"id": 1, "progress": {...}}` any number of times, then `{"id": 1, "result": {...}}` or `{"id": 1, "error": {...}}`.
Methods: `list_tools`, `call_tool` (name, arguments), `status`, `stop`.
"""

import asyncio
import functools
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from datasteward.callers import Caller, Progress

if TYPE_CHECKING:
    from datasteward.owner.server import OwnerServer

logger = logging.getLogger(__name__)


async def serve_control(
    owner: "OwnerServer", reader: asyncio.StreamReader, writer: asyncio.StreamWriter, caller: Caller
) -> None:
    """Answer requests side by side until the connection closes; what is running then is cancelled."""
    running: dict[int, asyncio.Task[None]] = {}
    try:
        while line := await reader.readline():
            try:
                message = json.loads(line)
            except ValueError:
                break
            if "cancel" in message:
                task = running.get(message["cancel"])
                if task is not None:
                    task.cancel()
                continue
            number = int(message["id"])
            task = asyncio.get_running_loop().create_task(_answer(owner, message, writer, caller))
            running[number] = task
            task.add_done_callback(functools.partial(_forget, running, number))
    finally:
        waiting = list(running.values())
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


def _forget(running: dict[int, asyncio.Task[None]], number: int, _: asyncio.Task[None]) -> None:
    running.pop(number, None)


async def _answer(
    owner: "OwnerServer", message: Mapping[str, Any], writer: asyncio.StreamWriter, caller: Caller
) -> None:
    number = message["id"]
    try:
        result = await _carry_out(owner, message, writer, caller)
    except asyncio.CancelledError:
        await _send(writer, {"id": number, "error": {"code": "cancelled", "message": "Cancelled."}})
        return
    except Exception as error:
        logger.exception("control request failed")
        await _send(writer, {"id": number, "error": {"code": "internal", "message": type(error).__name__}})
        return
    await _send(writer, {"id": number, "result": result})


async def _carry_out(
    owner: "OwnerServer", message: Mapping[str, Any], writer: asyncio.StreamWriter, caller: Caller
) -> Any:
    method, params = message.get("method"), message.get("params") or {}

    async def report(progress: Progress) -> None:
        await _send(writer, {"id": message["id"], "progress": asdict(progress)})

    if method == "call_tool":
        who = replace(caller, name=str(params.get("client") or caller.name))
        answer = await owner.caller.call(str(params["name"]), params.get("arguments"), who, report)
        return asdict(answer)
    if method == "list_tools":
        return [asdict(d) for d in owner.caller.definitions()]
    if method == "status":
        return owner.status()
    if method == "stop":
        asyncio.get_running_loop().call_later(0.05, owner.stop)
        return {"stopping": True}
    raise ValueError(f"unknown method {method!r}")


async def _send(writer: asyncio.StreamWriter, message: Mapping[str, Any]) -> None:
    if not writer.is_closing():
        writer.write(json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n")
        try:
            await writer.drain()
        except ConnectionError:
            pass
