"""Missing, unreadable and broken things: one clear message each, and the next call is served."""

import os
import resource
import subprocess
from pathlib import Path

import pytest
from tests.support.wire_client import STEWARD, WireClient
from tests.support.workspaces import make_workspace, steward


def error_of(result: dict) -> str:
    assert result["isError"], result
    text: str = result["content"][0]["text"]
    assert "Traceback" not in text
    return text


def test_broken_files_are_named_and_the_others_still_answer(folder: Path) -> None:
    (folder / "data" / "broken.parquet").write_bytes(b"PAR1 this is not parquet PAR1")
    (folder / "data" / "empty.csv").write_bytes(b"")
    (folder / "data" / "broken.json").write_text('{"a": [1, 2')
    (folder / "data" / "broken.xlsx").write_bytes(b"PK\x03\x04 not a workbook")
    (folder / "data" / "page.parquet").write_text("<html><body>404</body></html>")
    (folder / "data" / "broken.sqlite").write_bytes(b"SQLite format 3\x00" + b"x" * 100)
    with WireClient(folder) as client:
        for name in ("page.parquet", "broken.parquet", "empty.csv", "broken.json", "broken.xlsx", "broken.sqlite"):
            text = error_of(client.call("run_query", sql=f"FROM 'data/{name}'"))
            assert name.split(".")[0] in text or "arquet" in text, text
        listed = client.call("search_catalog", detail="columns", budget=8000)["structuredContent"]["datasets"]
        assert sum("error" in d for d in listed) >= 4
        assert client.rows("SELECT count(*) FROM sales") == [[3]]


def test_a_file_that_vanishes_or_changes_between_calls_is_noticed(folder: Path) -> None:
    path = folder / "data" / "sales.csv"
    with WireClient(folder) as client:
        assert client.rows("SELECT count(*) FROM sales") == [[3]]
        path.write_text("id,region,amount,extra\n1,west,1.5,x\n")
        assert client.rows("SELECT region, extra FROM 'data/sales.csv'") == [["west", "x"]]
        path.unlink()
        assert "sales" in error_of(client.call("run_query", sql="FROM 'data/sales.csv'"))


def test_a_damaged_database_is_told_and_files_can_be_listed(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "shop", with_database=False)
    (folder / "warehouse.duckdb").write_bytes(b"not a database" * 100)
    run = steward(folder, "--no-owner", "query", "SELECT 1")
    assert run.returncode != 0
    assert "warehouse" in run.stderr
    assert "Traceback" not in run.stderr
    assert "PROBLEM" in steward(folder, "doctor").stdout


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX limits")
def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "shop")
    assert steward(folder, "--no-owner", "query", "SELECT 1 AS a").returncode == 0

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    sql = "SELECT i, hash(i) AS h FROM range(3000000) t(i)"
    run = subprocess.run(
        [*STEWARD, "--no-owner", "query", sql],
        cwd=folder,
        capture_output=True,
        text=True,
        preexec_fn=limit,
        timeout=100,
        check=False,
    )
    assert run.returncode != 0
    assert "Traceback" not in run.stderr
    assert "pace" in run.stderr or "large" in run.stderr or "stored" in run.stderr, run.stderr
    after = steward(folder, "--no-owner", "query", "FROM r1", "--format", "csv")
    assert after.stdout == "a\n1\n"
    assert steward(folder, "log", "--verify").returncode == 0
    assert not list((folder / ".steward" / "results").glob("draft-*"))


def test_two_thousand_columns_and_odd_names_fit_the_budget(folder: Path) -> None:
    wide = ", ".join(f'{n} AS "c {n}"' for n in range(2000))
    with WireClient(folder) as client:
        result = client.call("run_query", sql=f"SELECT {wide}")
        body = result["structuredContent"]["results"][0]
        assert len(result["content"][0]["text"]) <= 2100
        assert "of 2,000 columns shown" in body["cut"]
        odd = client.call("run_query", sql='SELECT 1 AS x, 2 AS "a|b", 3 AS "a|b", 4 AS "ünï ""q"""')
        names = [c["name"] for c in odd["structuredContent"]["results"][0]["columns"]]
        assert names == ["x", "a|b", "a|b_2", 'ünï "q"']
        handle = odd["structuredContent"]["results"][0]["handle"]
        assert client.rows(f'SELECT "a|b_2" FROM {handle}') == [[3]]


def test_every_type_survives_being_stored_and_read_again(folder: Path) -> None:
    sql = """SELECT 170141183460469231731687303715884105727::HUGEINT AS h, 1.50::DECIMAL(38,2) AS d,
        '2020-01-01 10:00:00+02'::TIMESTAMPTZ AS tz, INTERVAL '1 month 2 days' AS i, 'a'::ENUM('a','b') AS e,
        '101'::BIT AS b, '\\xAA'::BLOB AS bl, [1::HUGEINT] AS l, {'x': 1::UHUGEINT, 'y': 'q'} AS s, MAP {'k': 1} AS m,
        'nan'::DOUBLE AS n, '99999-01-01'::DATE AS dt, '10:00:00+02'::TIMETZ AS tt, uuid '00000000-0000-0000-0000-000000000001' AS u,
        [1, 2]::INTEGER[2] AS a, 5::BIGNUM AS bn, NULL AS nothing, TIMESTAMP_S '2020-01-01 00:00:00' AS ts"""
    with WireClient(folder) as client:
        first = client.call("run_query", sql=sql, budget=6000)["structuredContent"]["results"][0]
        again = client.call("run_query", sql=f"FROM {first['handle']}", budget=6000)["structuredContent"]["results"][0]
        assert again["data"] == first["data"]
        types = {c["name"]: c["type"] for c in again["columns"]}
        assert types == {c["name"]: c["type"] for c in first["columns"]} | {"nothing": "INTEGER"}
