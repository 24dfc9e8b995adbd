"""Tables written in random ways are read cell for cell, or the reader tells what it doubts."""

from pathlib import Path

import duckdb
import pytest
from tests.support.random_files import judge, make_file

SMALL = [seed for seed in range(125) if seed % 25 != 24]
LARGE = [24, 49]


def test_no_file_is_silently_read_as_something_else(tmp_path: Path) -> None:
    connection = duckdb.connect()
    verdicts = {seed: judge(connection, make_file(seed), tmp_path) for seed in SMALL}
    assert not {seed: seen for seed, (verdict, seen) in verdicts.items() if verdict == "SILENT"}
    assert sum(verdict == "right" for verdict, _ in verdicts.values()) >= 0.9 * len(verdicts)


@pytest.mark.slow
@pytest.mark.parametrize("seed", LARGE)
def test_nor_is_a_large_one_that_differs_far_down(seed: int, tmp_path: Path) -> None:
    assert judge(duckdb.connect(), make_file(seed), tmp_path)[0] == "right"
