"""A bare MCP client over a process's stdio: JSON-RPC lines, both protocol eras, no SDK."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

STEWARD = [sys.executable, "-m", "datasteward_cli.main"]
WAIT_SECONDS = 30.0
MODERN = "2026-07-28"


class WireClient:
    """Speaks to `steward mcp` in a folder; `era` is "legacy" (handshake) or "modern" (stateless)."""

    def __init__(self, folder: Path, *, era: str = "legacy", arguments: Sequence[str] = ("mcp",), name: str = "wire"):
        self.era = era
        self.name = name
        environment = {k: v for k, v in os.environ.items() if not k.startswith("STEWARD_")}
        self.process = subprocess.Popen(
            [*STEWARD, *arguments],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        self._next = 0
        self._lock = threading.Lock()
        self._replies: dict[int, queue.Queue[Any]] = {}
        self.notifications: list[Any] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        if self.era == "legacy":
            self.request(
                "initialize",
                {
                    "protocolVersion": "2025-11-25",
                    "capabilities": {},
                    "clientInfo": {"name": self.name, "version": "1"},
                },
            )
            self.notify("notifications/initialized")
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close stdin and wait for the process."""
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is self.process.stdout:
                try:
                    self.process.wait(WAIT_SECONDS)
                except subprocess.TimeoutExpired:
                    self.process.kill()
                self._reader.join(WAIT_SECONDS)
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    pass
        self.process.wait(WAIT_SECONDS)

    def send(self, method: str, params: dict[str, Any] | None = None) -> int:
        """Send a request and return its id."""
        with self._lock:
            self._next += 1
            number = self._next
            self._replies[number] = queue.Queue()
            self._write({"jsonrpc": "2.0", "id": number, "method": method, "params": self._envelope(params)})
        return number

    def wait(self, number: int, seconds: float = WAIT_SECONDS) -> Any:
        """The reply to a request: its result, or the error object."""
        reply = self._replies[number].get(timeout=seconds)
        return reply.get("result", reply.get("error"))

    def request(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """A request and its reply."""
        return self.wait(self.send(method, params))

    def notify(self, method: str, params: dict[str, Any] | None = None) -> None:
        """Send a notification."""
        with self._lock:
            message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
            if params or self.era == "modern":
                message["params"] = self._envelope(params)
            self._write(message)

    def call(self, tool: str, **arguments: Any) -> Any:
        """Call a tool; the whole result object."""
        return self.request("tools/call", {"name": tool, "arguments": arguments})

    def rows(self, sql: str, **arguments: Any) -> list[list[Any]]:
        """The rows of a query's first result; fails when the call did."""
        result = self.call("run_query", sql=sql, **arguments)
        assert not result.get("isError"), result
        rows: list[list[Any]] = result["structuredContent"]["results"][0]["data"]
        return rows

    def _envelope(self, params: dict[str, Any] | None) -> dict[str, Any]:
        body = dict(params or {})
        if self.era == "modern":
            body["_meta"] = {
                "io.modelcontextprotocol/protocolVersion": MODERN,
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": {"name": self.name, "version": "1"},
            }
        return body

    def _write(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            message = json.loads(line)
            box = self._replies.get(message.get("id"))
            if box is None:
                self.notifications.append(message)
            else:
                box.put(message)
