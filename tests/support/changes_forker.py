"""Runs steps on a workspace in forked children, so that hundreds of kills cost little; one JSON line in, one out.

The parent never opens a database, so that every child starts clean.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

import anyio.to_thread  # noqa: F401  loaded once, before the forks
import cryptography.hazmat.primitives.serialization  # noqa: F401
import duckdb  # noqa: F401
import pyarrow as pa  # noqa: F401

from datasteward.errors import DatastewardError
from tests.support.changes_workspace import ChangesWorkspace


async def step(order: dict[str, str]) -> str:
    """Carry out one step and give the status it ended in."""
    service = ChangesWorkspace(Path(order["root"])).service()
    match order["do"]:
        case "propose":
            return (await service.propose(order["sql"], requested_by="test")).change
        case "approve":
            row = await service.show(order["change"])
            digest = order.get("digest") or row.summary.digest
            report = await service.approve(order["change"], digest=digest, by="ada", channel="terminal")
            return report.status
        case "reject":
            return (await service.reject(order["change"], by="ada", channel="terminal")).status
        case "apply":
            return (await service.apply(order["change"])).status
        case "propose_undo":
            return (await service.propose_undo(order["change"], requested_by="test")).change
        case "status":
            return (await service.status(order["change"], wait_seconds=float(order["wait"]))).status
        case "recover":
            return ",".join(await service.recover())
        case _:
            raise ValueError(order["do"])


def run_child(order: dict[str, str], out: int) -> None:
    """Do the step in this forked process and write its answer."""
    os.environ["DATASTEWARD_CRASH_AT"] = order.get("crash_at", "")
    try:
        answer = {"said": asyncio.run(step(order))}
    except DatastewardError as error:
        answer = {"error": str(error), "code": getattr(error, "code", type(error).__name__)}
    os.write(out, json.dumps(answer).encode())


def main() -> None:
    """Serve steps until the input ends. An order is one step or a list of steps that run at the same time."""
    for line in sys.stdin:
        orders = json.loads(line)
        children = []
        for order in orders:
            reading, writing = os.pipe()
            process = os.fork()
            if process == 0:
                os.close(reading)
                code = 1
                try:
                    run_child(order, writing)
                    code = 0
                finally:
                    sys.stderr.flush()
                    os._exit(code)
            os.close(writing)
            children.append((process, reading))
        answers = []
        for process, reading in children:
            with os.fdopen(reading, "rb") as stream:
                text = stream.read()
            _, status = os.waitpid(process, 0)
            answers.append({**(json.loads(text) if text else {}), "exit": os.waitstatus_to_exitcode(status)})
        print(json.dumps(answers), flush=True)


if __name__ == "__main__":
    main()
