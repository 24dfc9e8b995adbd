"""The process that speaks with Spark: jobs on standard input, one a line, and news of each on standard output.

Standard input that ends means stop: what the server computes is interrupted, again and again until it has ended, because
an interrupt that comes between two queries stops neither.
"""

import os
import queue
import sys
import threading

from datasteward.pipelines.spark.news import Done, Failed, News, SparkJob, TasksDone

INTERRUPT_SECONDS = 0.2


def main() -> None:
    """Carry out one job after another; every outcome is told as news, one JSON object a line."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, 9)  # end with the run's process
    lines: queue.Queue[str | None] = queue.Queue()
    has_ended = threading.Event()

    def read_lines() -> None:
        for line in sys.stdin:
            lines.put(line)
        has_ended.set()
        lines.put(None)

    threading.Thread(target=read_lines, daemon=True).start()
    while (line := lines.get()) is not None:
        _tell(_carry_out(SparkJob.model_validate_json(line), has_ended))


def _carry_out(job: SparkJob, has_ended: threading.Event) -> Done | Failed:
    try:
        from datasteward.pipelines.spark.session import SparkFault, SparkSession
    except ImportError as error:
        return Failed(kind="missing", message=str(error))
    is_over = threading.Event()
    try:
        session = SparkSession(job.address)

        def interrupt_when_told() -> None:
            has_ended.wait()
            while not is_over.wait(INTERRUPT_SECONDS):
                try:
                    session.interrupt()
                except SparkFault:
                    pass

        threading.Thread(target=interrupt_when_told, daemon=True).start()
        session.configure(job.settings)
        for name, path in job.inputs.items():
            session.name_files(name, [path])
        session.write_rows(job.sql, job.output, lambda done, total: _tell(TasksDone(done=done, total=total)))
        is_over.set()
        session.close()
    except SparkFault as fault:
        return Failed(kind=fault.kind, message=str(fault))
    finally:
        is_over.set()
    return Done()


def _tell(news: News) -> None:
    sys.stdout.write(news.model_dump_json() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
    os._exit(0)  # threads of the client may still wait
