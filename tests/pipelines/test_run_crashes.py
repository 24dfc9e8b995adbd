"""A run that is killed at any step leaves whole tables only, and goes on where it stopped."""

from pathlib import Path

import pytest

from tests.support.pipeline_workspace import PipelineWorkspace

CLEAN = """/* @asset
checks:
  - expect: amount >= 0
    on_fail: quarantine
@end */ SELECT id, day, amount FROM raw.orders"""
DAILY = """/* @asset
materialize: incremental
time: day
start: 2026-01-01
@end */ SELECT day, sum(amount) AS total FROM staging.orders GROUP BY day"""
TWELVE = {
    "data/orders.csv": "id,day,amount\n" + "".join(f"{i},2026-01-0{i % 5 + 1},{i * 7 % 23 - 2}\n" for i in range(200)),
    "raw/orders.sql": "SELECT * FROM read_csv('data/orders.csv')",
    "staging/orders.sql": CLEAN,
    "marts/daily.sql": DAILY,
    "marts/ids.sql": "SELECT id FROM staging.orders",
    "marts/big.sql": "/* @asset materialize: view */ SELECT * FROM staging.orders WHERE amount > 10",
    "marts/keyed.sql": "/* @asset\nmaterialize: merge\nunique: id\n@end */ SELECT id, amount FROM staging.orders",
    **{f"fan/f{i}.sql": f"SELECT id + {i} AS id FROM marts.ids" for i in range(5)},
    "total.sql": " UNION ALL ".join(f"SELECT * FROM fan.f{i}" for i in range(5)),
}
KEYS = ["raw.orders", "staging.orders", "marts.daily", "marts.ids", "marts.big", "marts.keyed", "fan.f0", "main.total"]
POINTS = [
    "step.before",
    "step.begun",
    "step.built",
    "step.checked",
    "step.before_commit",
    "step.after_commit",
]


def contents(place: PipelineWorkspace) -> dict[str, list[tuple[object, ...]]]:
    names = place.rows(
        "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE schema_name <> '_steward'"
        " UNION SELECT schema_name || '.' || view_name FROM duckdb_views() WHERE NOT internal"
    )
    skipped = "* EXCLUDE (_run, _at)"
    return {
        n: place.rows(f"SELECT {skipped if n.startswith('quarantine') else '*'} FROM {n} ORDER BY ALL")
        for (n,) in names
    }


def published(place: PipelineWorkspace) -> dict[str, int]:
    rows = place.rows("SELECT asset, count(*) FROM _steward.steps WHERE status = 'published' GROUP BY 1")
    return {str(a): int(n) for a, n in rows}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[object, ...]]]:
    place = PipelineWorkspace(tmp_path_factory.mktemp("whole"))
    place.write(TWELVE)
    assert place.run().status == "done"
    return contents(place)


def crash_through(
    folder: Path, points: list[str], undisturbed: dict[str, list[tuple[object, ...]]]
) -> PipelineWorkspace:
    place = PipelineWorkspace(folder)
    place.write(TWELVE)
    plan = place.plan()
    images = place.workspace.undo_folder / "c1-run.duckdb"
    for point in points:
        place.run_apart(point, plan, change="c1", images=images)
        if place.database.exists():
            seen = contents(place)
            assert all(undisturbed[name] == rows for name, rows in seen.items()), point
            assert ("quarantine.staging__orders" in seen) == ("staging.orders" in seen)
    outcome = place.run_apart("", plan, change="c1", images=images)
    assert outcome is not None and outcome.status == "done"
    assert contents(place) == undisturbed
    assert set(published(place).values()) == {1}
    assert len(published(place)) == 12
    return place


def test_a_run_killed_again_and_again_ends_as_an_undisturbed_one(
    tmp_path: Path, undisturbed: dict[str, list[tuple[object, ...]]]
) -> None:
    points = [
        "run.opened",
        "run.kept",
        *(f"{p}:{k}" for p, k in zip(POINTS, KEYS, strict=False)),
        "run.before_record",
        "run.finished",
    ]
    crash_through(tmp_path, points, undisturbed)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("key", KEYS)
def test_a_run_killed_at_every_step_of_an_asset(
    tmp_path: Path, key: str, undisturbed: dict[str, list[tuple[object, ...]]]
) -> None:
    crash_through(tmp_path, [f"{point}:{key}" for point in POINTS], undisturbed)
