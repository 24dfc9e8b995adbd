"""A process that speaks with Spark servers for a run, so that nothing of Spark's client is loaded into the run itself.

It is used for one query after another, as loading the client takes longer than most small queries. Whatever has to be
stopped is stopped by ending it.
"""

import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable

from datasteward.errors import Cancelled, ToolError
from datasteward.pipelines.spark.news import NEWS, Done, Failed, News, SparkJob, TasksDone

MODULE = "datasteward.pipelines.spark.process"
POLL_SECONDS = 0.1
STOP_SECONDS = 3.0
"""How long an interrupted query may take to end before the process is killed."""
WORDS_CHARACTERS = 600
Progress = Callable[[int, int], None]


class SparkClient:
    """One process; use from one thread at a time, and close it."""

    def __init__(self) -> None:
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            env={k: os.environ[k] for k in ("SYSTEMROOT", "PYTHONPATH") if k in os.environ},
            start_new_session=True,
            text=True,
            encoding="utf-8",
        )
        self._heard: queue.Queue[News | None] = queue.Queue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self.is_open = True

    def run(
        self, job: SparkJob, *, deadline: float, is_stopped: Callable[[], bool], progress: Progress
    ) -> Done | Failed:
        """How the job ended; `deadline` is of `time.monotonic`.

        Raises `ToolError` (timeout) past the deadline and `Cancelled` when `is_stopped()` turns true; the query is
        interrupted and the client closed then.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(job.model_dump_json() + "\n")
            self._process.stdin.flush()
            outcome = self._follow(deadline, is_stopped, progress)
        except BrokenPipeError:
            outcome = None
        except BaseException:
            self.close()
            raise
        if outcome is None:
            return Failed(kind="failed", message=f"its client ended by itself: {self._last_words()}")
        return outcome

    def close(self) -> None:
        """Have a query that still runs interrupted, and see the process gone."""
        if not self.is_open:
            return
        self.is_open = False
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self._process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join(timeout=STOP_SECONDS)
        self._process.stdout.close()
        self._words.close()

    def _follow(self, deadline: float, is_stopped: Callable[[], bool], progress: Progress) -> Done | Failed | None:
        while True:
            if is_stopped():
                raise Cancelled()
            if time.monotonic() > deadline:
                raise ToolError("The query took longer on Spark than it may and was stopped.", code="timeout")
            try:
                news = self._heard.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
            match news:
                case TasksDone():
                    progress(news.done, news.total)
                case _:
                    return news

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._heard.put(NEWS.validate_json(line))
        self._heard.put(None)

    def _last_words(self) -> str:
        """What the process wrote before it ended."""
        self._words.seek(0)
        words = self._words.read().decode("utf-8", "replace").strip()[-WORDS_CHARACTERS:]
        self.close()
        return words


def take_client(spare: list[SparkClient]) -> SparkClient:
    """A client that is open: one of those put aside, or a new one."""
    while spare:
        client = spare.pop()
        if client.is_open:
            return client
    return SparkClient()


def close_clients(spare: list[SparkClient]) -> None:
    """Close all that were put aside."""
    while spare:
        spare.pop().close()
