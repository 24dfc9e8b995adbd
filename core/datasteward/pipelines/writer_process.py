"""The process of one pipeline run or preview: the job on standard input, its outcome on standard output."""

import json
import os
import sys

from datasteward.engine.jobs import WorkerSettings


def main() -> None:
    """Carry the job out and write its outcome; whatever else is printed goes to standard error."""
    wire = os.dup(1)
    os.dup2(2, 1)
    job_json, settings_json = json.loads(sys.stdin.read())
    settings = WorkerSettings.from_json(settings_json)
    os.chdir(settings.workspace_root)
    outcome = carry_out(job_json, settings).encode()
    with os.fdopen(wire, "wb") as stream:
        stream.write(outcome)


def carry_out(job_json: str, settings: WorkerSettings) -> str:
    """The outcome of a preview or apply job of a pipeline run, as `datasteward.changes.execute.run` gives others."""
    import duckdb

    from datasteward.changes.jobs import JOB, OUTCOME, ApplyJob, Failed, PreviewJob
    from datasteward.engine.duckdb_errors import explain_duckdb_error
    from datasteward.errors import ToolError
    from datasteward.pipelines.carrying_out import apply_run, measure_run

    job = JOB.validate_json(job_json)
    try:
        match job:
            case PreviewJob():
                return OUTCOME.dump_json(measure_run(job, settings)).decode()
            case ApplyJob():
                return OUTCOME.dump_json(apply_run(job, settings)).decode()
            case _:
                raise ToolError("This process carries out pipeline runs.", code="internal")
    except duckdb.Error as error:
        told = explain_duckdb_error(error, "")
    except ToolError as error:
        told = error
    failed = Failed(code=told.code, message=told.message, hint=told.hint, position=told.position)
    return OUTCOME.dump_json(failed).decode()


if __name__ == "__main__":
    main()
