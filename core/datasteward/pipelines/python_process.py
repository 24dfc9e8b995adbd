"""A Python asset run in a process of its own: inputs and rows cross as Parquet files, nothing else is handed over.

The process has an empty environment, bounded memory, time and file size, and a private folder. That stops accidents
and runaway code. It is not a wall against hostile code: such code can read what the user can read and can open network
connections where the system allows it, so Python assets are for code one would run oneself.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from datasteward.errors import Cancelled, ToolError

MEMORY_FLOOR_BYTES = 2 * 2**30
OUTPUT_CHARACTERS = 2000
POLL_SECONDS = 0.1

_CHILD = """
import sys, importlib.util, json
folder, memory, largest = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, 9)  # die with the run's process
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
except ImportError:
    pass
import pyarrow as pa
import pyarrow.parquet as pq
spec = importlib.util.spec_from_file_location("asset_module", folder + "/asset.py")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
with open(folder + "/inputs.json", encoding="utf-8") as stream:
    names = json.load(stream)
rows = module.asset(*[pq.read_table(folder + "/" + name + ".parquet") for name in names])
if not isinstance(rows, (pa.Table, pa.RecordBatchReader)):
    rows = rows.to_arrow_table() if hasattr(rows, "to_arrow_table") else pa.Table.from_pylist(list(rows))
if isinstance(rows, pa.RecordBatchReader):
    rows = rows.read_all()
pq.write_table(rows, folder + "/rows.parquet")
"""


def run_python_asset(
    folder: Path,
    source: str,
    inputs: Mapping[str, Path],
    *,
    memory_bytes: int,
    file_bytes: int,
    timeout_seconds: float,
    is_stopped: Callable[[], bool],
) -> Path:
    """The Parquet file with the rows that the asset's function returned.

    `inputs` gives the Parquet file of each parameter, inside `folder`. Raises `ToolError` with the end of the traceback
    when the function fails, `timeout` past its time, `Cancelled` when `is_stopped()` turns true.
    """
    (folder / "asset.py").write_text(source, encoding="utf-8")
    (folder / "inputs.json").write_text(json.dumps(list(inputs)), encoding="utf-8")
    memory = max(memory_bytes * 2, MEMORY_FLOOR_BYTES) + 2 * 2**30
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-I", "-X", "utf8", "-c", _CHILD, str(folder), str(memory), str(file_bytes)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={k: os.environ[k] for k in ("SYSTEMROOT", "TEMP", "TMP") if k in os.environ} if os.name == "nt" else {},
            start_new_session=True,
        )
        code = _wait(process, timeout_seconds, is_stopped)
    if code != 0:
        told = (folder / "output.txt").read_text(encoding="utf-8", errors="replace").strip()
        raise ToolError(
            f"The Python asset failed: {told[-OUTPUT_CHARACTERS:] or f'it ended with code {code}'}",
            code="runtime",
            hint="Nothing of it was published.",
        )
    return folder / "rows.parquet"


def _wait(process: "subprocess.Popen[bytes]", timeout_seconds: float, is_stopped: Callable[[], bool]) -> int:
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            return process.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            late = time.monotonic() > deadline
            if late or is_stopped():
                process.kill()
                process.wait()
                if late:
                    raise ToolError(
                        f"The Python asset took longer than {timeout_seconds:.0f} s and was stopped.", code="timeout"
                    ) from None
                raise Cancelled() from None
