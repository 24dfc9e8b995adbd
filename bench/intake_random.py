"""Random tables written in random ways: how many are read cell for cell, with a doubt told, or silently wrong.

Run: python -m bench.intake_random [files, 1000] [first seed, 0] [--show]
"""

import sys
import tempfile
from collections import Counter
from pathlib import Path

import duckdb
from tests.support.random_files import judge, make_file


def main() -> None:
    numbers = [int(a) for a in sys.argv[1:] if a.isdigit()]
    count, first = [*numbers, *[1000, 0][len(numbers) :]]
    connection = duckdb.connect()
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        for seed in range(first, first + count):
            case = make_file(seed)
            verdict, seen = judge(connection, case, Path(name))
            counts[verdict] += 1
            if verdict == "SILENT" or ("--show" in sys.argv and verdict != "right"):
                print(f"{verdict:7} {case.name}: {seen[:300]}")
    print(f"{count} random files: {dict(counts)}")


if __name__ == "__main__":
    main()
