"""How many polluted files are read cell for cell, read with a doubt told, or silently wrong, next to DuckDB's own sniffing.

Run: python -m bench.intake_quality [--show]
"""

import sys
import tempfile
from pathlib import Path

import duckdb
from tests.support.polluted import PollutedFile, polluted_files, same_cell

from datasteward.errors import ToolError
from datasteward.intake.inspect import inspect_file
from datasteward.intake.plan import read_plan


def judge(connection: duckdb.DuckDBPyConnection, case: PollutedFile, folder: Path) -> tuple[str, str]:
    """The verdict (right, told, silent, refused) and what was seen."""
    path = folder / f"{abs(hash(case.name))}.csv"
    path.write_bytes(case.data)
    try:
        plan = read_plan(connection, inspect_file(path), folder / "cache")
        relation = connection.sql(f"SELECT COLUMNS(*)::VARCHAR FROM {plan.table_sql}")
        names, rows = relation.columns, relation.fetchall()
    except ToolError as error:
        return "refused", error.message
    bad_rows = plan.quarantine.rows if plan.quarantine else 0
    wanted = (
        [r for i, r in enumerate(case.rows) if i not in case.unsure]
        if bad_rows and len(rows) < len(case.rows)
        else case.rows
    )
    header_ok = not case.header or list(names) == case.header
    if (
        header_ok
        and len(rows) == len(wanted)
        and all(len(a) == len(b) and all(map(same_cell, a, b)) for a, b in zip(rows, wanted, strict=True))
    ):
        return ("right" if wanted is case.rows else "set aside"), ""
    seen = f"{len(rows)} rows x {len(names)}, header {header_ok}; told {plan.told}"
    return ("told" if plan.told else "SILENT"), seen


def judge_duckdb(connection: duckdb.DuckDBPyConnection, case: PollutedFile, folder: Path) -> bool:
    """Whether plain sniffing reads the file cell for cell."""
    path = folder / f"{abs(hash(case.name))}.csv"
    try:
        relation = connection.sql(f"SELECT COLUMNS(*)::VARCHAR FROM read_csv('{path}')")
        rows = relation.fetchall()
    except duckdb.Error:
        return False
    return (
        (not case.header or list(relation.columns) == case.header)
        and len(rows) == len(case.rows)
        and all(len(a) == len(b) and all(map(same_cell, a, b)) for a, b in zip(rows, case.rows, strict=True))
    )


def main() -> None:
    connection = duckdb.connect()
    counts: dict[str, int] = {}
    plain = 0
    cases = polluted_files()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for case in cases:
            verdict, seen = judge(connection, case, folder)
            plain += judge_duckdb(connection, case, folder)
            counts[verdict] = counts.get(verdict, 0) + 1
            if "--show" in sys.argv and verdict != "right":
                print(f"{verdict:9} {case.name}: {seen[:400]}")
    print(f"{len(cases)} polluted files: {counts}; DuckDB's own sniffing right: {plain}")


if __name__ == "__main__":
    main()
