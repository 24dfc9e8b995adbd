"""The kinds of statements that a change can be made of, by which policy rules and plans name them."""

import difflib
import fnmatch

OBJECTS = ("table", "view", "macro", "sequence", "type", "schema", "index")
CHANGE_KINDS = (
    "insert",
    "update",
    "delete",
    "merge",
    "truncate",
    "copy_from",
    "copy_to",
    "create_table_as",
    *(f"create_{name}" for name in OBJECTS),
    "alter_table",
    "alter_view",
    "alter_sequence",
    *(f"drop_{name}" for name in OBJECTS),
    "comment",
    "undo",
    "write_contract",
    "pipeline_run",
    "pipeline_run_python",
    "pipeline_run_spark",
)
"""Every kind that the gate lets through as a change, an undo, a contract, and the runs of pipelines."""


def can_meet(glob: str) -> bool:
    """Whether a glob of kinds fits any kind."""
    return any(fnmatch.fnmatchcase(kind, glob.lower()) for kind in CHANGE_KINDS)


def explain_unknown(text: str) -> str:
    """That no change is of this kind, with the nearest one."""
    near = difflib.get_close_matches(text.lower(), CHANGE_KINDS, n=1, cutoff=0.5)
    ends = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(CHANGE_KINDS)}"
    return f"no change is of the kind '{text}', {ends}"
