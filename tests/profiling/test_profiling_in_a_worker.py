"""The worker's profile operation: datasets by their names, files with what intake knows, nothing outside."""

from pathlib import Path
from typing import Any

import pytest
from tests.support.polluted import polluted_files

from datasteward.engine.jobs import WorkerSettings
from datasteward.engine.session import Session
from datasteward.errors import ToolError
from datasteward.profiling.model import Profile
from datasteward.profiling.operation import run_profile
from datasteward.profiling.storing import from_json


@pytest.fixture
def session(tmp_path: Path) -> Session:
    state = tmp_path / ".steward"
    for name in ("results", "cache", "tmp"):
        (state / name).mkdir(parents=True)
    bad = next(c for c in polluted_files() if c.name == "row_30_missing_delimiter")
    (tmp_path / "sales.csv").write_bytes(bad.data)
    (tmp_path / "goods.csv").write_text("product,label\n" + "".join(f"P-{1000 + n},x{n}\n" for n in range(60)))
    return Session(
        WorkerSettings(
            workspace_root=tmp_path, roots=(tmp_path,), database=tmp_path / "w.duckdb", state_folder=state,
            results_folder=state / "results", cache_folder=state / "cache", temp_folder=state / "tmp",
            memory_bytes=1 << 29, temp_bytes=1 << 29, threads=2, sql_bytes=100_000,
        )
    )  # fmt: skip


def run(session: Session, **arguments: Any) -> Profile:
    import json

    return from_json(json.dumps(run_profile(session, arguments, lambda *_: None)["profile"]))


def test_a_file_is_profiled_by_name_with_its_quarantine_and_its_joins(session: Session, tmp_path: Path) -> None:
    made = run(
        session, dataset='"sales"', path=str(tmp_path / "sales.csv"), others=['"goods"', '"sales"', "nothing_there"]
    )
    assert made.rows == 59 and made.quarantine_rows == 1
    assert any(f.code == "quarantined_rows" for f in made.findings)
    assert [(k.column, k.other_column) for k in made.structure.foreign_keys] == [("product", "product")]
    assert session.prepare(f"SELECT * FROM {made.quarantine_sql}")


def test_a_query_is_profiled_like_a_table(session: Session) -> None:
    made = run(session, dataset="SELECT quantity, kind FROM sales WHERE quantity > 3")
    assert [c.name for c in made.columns] == ["quantity", "kind"] and made.rows > 10


@pytest.mark.parametrize(
    "dataset", ["nothing_there", "sales; DROP TABLE sales", "'/etc/passwd'", "", "(DELETE FROM sales)"]
)
def test_what_a_query_may_not_read_a_profile_may_not_either(dataset: str, session: Session) -> None:
    with pytest.raises(ToolError):
        run(session, dataset=dataset)


def test_a_path_outside_the_readable_folders_is_refused(session: Session) -> None:
    with pytest.raises(ToolError, match="outside"):
        run(session, dataset='"sales"', path="/etc/hostname")


def test_a_cancelled_profile_stops(session: Session) -> None:
    session.is_cancelled = True
    with pytest.raises(ToolError):
        run(session, dataset='"sales"')


def test_a_file_that_breaks_far_down_is_still_profiled_with_its_bad_row_told(session: Session, tmp_path: Path) -> None:
    lines = ("only one" if n == 90_000 else f"{n},{n}.5,w{n % 9}" for n in range(100_000))
    (tmp_path / "deep.csv").write_text("id,value,word\n" + "\n".join(lines) + "\n")
    made = run(session, dataset='"deep"', path=str(tmp_path / "deep.csv"))
    assert made.rows == 99_999 and made.quarantine_rows == 1
