"""The process that speaks with Spark for one asset: its job on the first line of standard input, news on standard output.

Standard input that ends means stop: what the server computes is interrupted, again and again until the query is told to
have ended, because an interrupt that comes between two queries stops neither.
"""

import os
import sys
import threading

from datasteward.pipelines.spark.news import Done, Failed, SparkJob, TasksDone

INTERRUPT_SECONDS = 0.2


def main() -> None:
    """Carry the job out; every outcome is told as news, one JSON object a line."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, 9)  # end with the run's process
    job = SparkJob.model_validate_json(sys.stdin.readline())
    try:
        from datasteward.pipelines.spark.session import SparkFault, SparkSession
    except ImportError as error:
        _tell(Failed(kind="missing", message=str(error)))
        return
    try:
        session = SparkSession(job.address)
        is_over = threading.Event()

        def interrupt_when_told() -> None:
            sys.stdin.read()
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
        _tell(Done())
    except SparkFault as fault:
        _tell(Failed(kind=fault.kind, message=str(fault)))


def _tell(news: TasksDone | Done | Failed) -> None:
    sys.stdout.write(news.model_dump_json() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # a thread may still wait for standard input
