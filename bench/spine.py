"""The spine next to mcp-server-motherduck 1.1.0, side by side in one run; prints plain tables.

The peer gets an environment of its own in a temporary folder (or `--peer PYTHON` names one that has it). All figures
are of whole processes seen from outside, over raw JSON-RPC on stdio.

    python bench/spine.py [--runs 10] [--calls 500] [--callers 10] [--overlap 10000] [--rows 20000000] [--skip-peer]
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support.wire_client import WireClient

PEER = "mcp-server-motherduck==1.1.0"


class Server(WireClient):
    """A `WireClient` for any stdio server."""

    def __init__(self, folder: Path, command: Sequence[str], tool: str, *, era: str = "legacy") -> None:
        self._command = list(command)
        self.tool = tool
        environment = {k: v for k, v in os.environ.items() if not k.startswith("STEWARD_")}
        self.era, self.name = era, "bench"
        self.process = subprocess.Popen(
            self._command,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        self._next = 0
        self._lock = threading.Lock()
        self._replies = {}
        self.notifications = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def ask(self, sql: str) -> dict:
        """One query's result object."""
        return self.call(self.tool, sql=sql)


def ours(folder: Path) -> Server:
    return Server(folder, [sys.executable, "-m", "datasteward_cli.main", "mcp"], "run_query")


def peer(folder: Path, python: str) -> Server:
    binary = str(Path(python).parent / "mcp-server-motherduck")
    return Server(folder, [binary, "--db-path", ":memory:", "--read-write"], "execute_query")


def stop_owner(folder: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "datasteward_cli.main", "owner", "stop"], cwd=folder, capture_output=True, check=False
    )


@contextlib.contextmanager
def workspace() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as made:
        folder = Path(made).resolve()
        try:
            yield folder
        finally:
            stop_owner(folder)


def first_result(make: Callable[[], Server]) -> float:
    started = time.perf_counter()
    with make() as server:
        server.ask("SELECT 1 AS a")
        return time.perf_counter() - started


def latencies(server: Server, calls: int) -> list[float]:
    times = []
    for number in range(calls):
        started = time.perf_counter()
        server.ask(f"SELECT {number} AS n")
        times.append(time.perf_counter() - started)
    return sorted(times)


def throughput(server: Server, calls: int, callers: int) -> tuple[float, int]:
    """Calls a second with so many callers on one connection, and how many answers were wrong."""
    wrong = 0
    numbers = iter(range(calls))
    lock = threading.Lock()

    def work() -> None:
        nonlocal wrong
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            answer = json.dumps(server.ask(f"SELECT {number + 1000000} AS n"))
            if str(number + 1000000) not in answer:
                with lock:
                    wrong += 1

    started = time.perf_counter()
    threads = [threading.Thread(target=work) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return calls / (time.perf_counter() - started), wrong


def overlap(folder: Path, count: int) -> tuple[int, int, float]:
    """`count` calls from two clients at once, each with its own answer: mixed, empty, seconds."""
    mixed = empty = 0
    lock = threading.Lock()

    def client(base: int, era: str) -> None:
        nonlocal mixed, empty
        with Server(folder, [sys.executable, "-m", "datasteward_cli.main", "mcp"], "run_query", era=era) as server:
            for start in range(0, count // 2, 64):
                batch = range(start, min(start + 64, count // 2))
                sent = {
                    n: server.send("tools/call", {"name": "run_query", "arguments": {"sql": f"SELECT {base + n} AS n"}})
                    for n in batch
                }
                for n, request in sent.items():
                    results = server.wait(request, 120).get("structuredContent", {}).get("results", [{}])
                    data = results[0].get("data")
                    with lock:
                        empty += not data
                        mixed += bool(data) and data != [[base + n]]

    started = time.perf_counter()
    threads = [
        threading.Thread(target=client, args=(1_000_000, "legacy")),
        threading.Thread(target=client, args=(2_000_000, "modern")),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return mixed, empty, time.perf_counter() - started


def peak_memory(root: int, stop: threading.Event) -> list[float]:
    """The highest resident sum in MB of a process and its children, sampled every 20 ms."""
    highest = [0.0]

    def watch() -> None:
        while not stop.wait(0.02):
            total = 0
            for entry in Path("/proc").iterdir():
                if not entry.name.isdigit():
                    continue
                with contextlib.suppress(OSError, ValueError, IndexError):
                    stat = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                    if int(entry.name) == root or int(stat[1]) == root:
                        total += int((entry / "statm").read_text().split()[1]) * 4096
            highest[0] = max(highest[0], total / 2**20)

    threading.Thread(target=watch, daemon=True).start()
    return highest


def big_result(folder: Path, rows: int) -> None:
    sql = f"SELECT i, i * 2 AS j, hash(i) AS h FROM range({rows}) t(i) ORDER BY h"
    (folder / "steward.toml").write_text(
        "[limits]\nmemory = '120MB'\ntimeout_seconds = 300\n[owner]\nwarm_workers = 1\n"
    )
    with ours(folder) as server:
        server.ask("SELECT 1")
        owner = json.loads((folder / ".steward" / "owner.json").read_text())["process_id"]
        stop = threading.Event()
        highest = peak_memory(owner, stop)
        started = time.perf_counter()
        answer = server.wait(server.send("tools/call", {"name": "run_query", "arguments": {"sql": sql}}), 300)
        first_view = time.perf_counter() - started
        body = answer["structuredContent"]["results"][0]
        count = server.wait(
            server.send(
                "tools/call", {"name": "run_query", "arguments": {"sql": f"SELECT count(*) FROM {body['handle']}"}}
            ),
            300,
        )
        stored = time.perf_counter() - started
        stop.set()
    print(f"\n{rows:,} rows with ORDER BY: view of {len(json.dumps(answer)):,} characters after {first_view:.1f} s,")
    print(f"all {count['structuredContent']['results'][0]['data'][0][0]:,} rows stored after {stored:.1f} s,")
    print(f"peak memory of owner and workers {highest[0]:.0f} MB")


def install_peer() -> str | None:
    folder = Path(tempfile.mkdtemp(prefix="steward-peer-"))
    try:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True)
        python = str(folder / "bin" / "python")
        subprocess.run([python, "-m", "pip", "install", "-q", PEER], check=True, capture_output=True)
        subprocess.run([python, "-m", "compileall", "-q", str(folder / "lib")], check=False, capture_output=True)
    except subprocess.CalledProcessError as error:
        print(f"the peer did not install, its columns are left out: {error.stderr.decode()[-300:]}")
        return None
    return python


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--callers", type=int, default=10)
    parser.add_argument("--overlap", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--peer", help="a Python that has the peer installed")
    parser.add_argument("--skip-peer", action="store_true")
    chosen = parser.parse_args()
    python = None if chosen.skip_peer else chosen.peer or install_peer()
    with workspace() as folder:
        warm, cold, theirs = [], [], []
        for _ in range(chosen.runs):
            stop_owner(folder)
            cold.append(first_result(lambda: ours(folder)))
            warm.append(first_result(lambda: ours(folder)))
            if python:
                theirs.append(first_result(lambda: peer(folder, python)))
        rows = [("start to first result, warm owner, ms", median(warm) * 1e3, median(theirs) * 1e3 if theirs else None)]
        rows.append(("start to first result, cold, ms", median(cold) * 1e3, median(theirs) * 1e3 if theirs else None))
        with ours(folder) as us, contextlib.ExitStack() as stack:
            them = stack.enter_context(peer(folder, python)) if python else None
            for server in (us, them):
                if server:
                    latencies(server, 20)
            a = latencies(us, chosen.calls)
            b = latencies(them, chosen.calls) if them else None
            rows.append(("small query p50, ms", a[len(a) // 2] * 1e3, b[len(b) // 2] * 1e3 if b else None))
            rows.append(
                ("small query p99, ms", a[int(len(a) * 0.99)] * 1e3, b[int(len(b) * 0.99)] * 1e3 if b else None)
            )
            rate, wrong = throughput(us, chosen.calls * 2, chosen.callers)
            other = throughput(them, chosen.calls * 2, chosen.callers) if them else (None, None)
            rows.append((f"calls a second, {chosen.callers} callers", rate, other[0]))
            rows.append((f"wrong answers of {chosen.calls * 2}", wrong, other[1]))
            wide = "SELECT " + ", ".join(f"i * {n} AS column_{n}" for n in range(10)) + " FROM range(1000) t(i)"
            sent = [s.ask(wide) if s else None for s in (us, them)]
            sizes = [None if r is None else len(r["content"][0]["text"]) for r in sent]
            rows.append(("characters of text for 1000 x 10", sizes[0], sizes[1]))
            tools = [None if s is None else len(json.dumps(s.request("tools/list")["tools"])) for s in (us, them)]
            rows.append(("characters of tool definitions", tools[0], tools[1]))
        print(f"\n{'':46}{'datasteward':>12}{'peer':>12}{'ratio':>8}")
        for label, mine, his in rows:
            ratio = f"{mine / his:8.2f}" if his else ""
            print(f"{label:46}{mine:12,.1f}{his if his is None else format(his, '12,.1f')!s:>12}{ratio}")
        mixed, empty, seconds = overlap(folder, chosen.overlap)
        print(f"\n{chosen.overlap:,} overlapping calls of two clients: {mixed} mixed, {empty} empty, {seconds:.1f} s")
    with workspace() as folder:
        big_result(folder, chosen.rows)


if __name__ == "__main__":
    main()
