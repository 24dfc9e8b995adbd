"""The writer process: one job on standard input, its outcome on standard output, and then it ends.

Ending after each job is what lets other programs open the database, and what makes sequences start where the committed
state left them: values that a preview used are forgotten with the process. It may be started ahead of its job; until
that comes it opens nothing, and it ends when its starter goes.
"""

import os
import select
import sys


def main() -> None:
    """Run the job and write its outcome; whatever else is printed goes to standard error."""
    wire = os.dup(1)
    os.dup2(2, 1)
    from datasteward.changes.confinement import allow_confinement
    from datasteward.changes.execute import run
    from datasteward.changes.jobs import JOB
    from datasteward.changes.session import make_ready

    if not select.select([sys.stdin], [], [], 0)[0]:
        make_ready()
    job = sys.stdin.read()
    if not job:
        return
    allow_confinement()
    os.chdir(JOB.validate_json(job).place.workspace_root)
    outcome = run(job).encode()
    with os.fdopen(wire, "wb") as stream:
        stream.write(outcome)
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
