"""Profiles as callers get them: through `steward profile` and through the protocol."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests.support.wire_client import WireClient
from tests.support.workspaces import owned_workspace, steward


def profiled(folder: Path, dataset: str, *arguments: str) -> Any:
    done = steward(folder, "profile", dataset, "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def ask(client: WireClient, name: str, **arguments: Any) -> Any:
    return client.request("tools/call", {"name": name, "arguments": arguments})


def test_a_table_comes_before_a_file_of_its_name_and_the_file_is_reached_by_its_path(tmp_path: Path) -> None:
    with owned_workspace(tmp_path) as folder:
        (folder / "data" / "orders.csv").write_text("id,shop\n1,north\n2,south\n")
        assert profiled(folder, "orders")["rows"] == 1000
        for spelling in ("data/orders.csv", str(folder / "data" / "orders.csv")):
            assert [c["name"] for c in profiled(folder, spelling)["columns"]] == ["id", "shop"]
        assert profiled(folder, "sales")["format"] == "delimited"


def test_a_file_that_breaks_far_down_can_be_queried_and_the_answer_says_how_it_was_read(tmp_path: Path) -> None:
    with owned_workspace(tmp_path) as folder:
        lines = ("only one" if n == 90_000 else f"{n},{'x' if n == 95_000 else n},w{n % 9}" for n in range(100_000))
        (folder / "data" / "deep.csv").write_text("id,value,word\n" + "\n".join(lines) + "\n")
        with WireClient(folder) as client:
            counted = ask(client, "run_query", sql="SELECT count(*) AS n, any_value(typeof(value)) AS t FROM deep")
            aside = ask(client, "run_query", sql="FROM deep.quarantine")
        text = counted["content"][0]["text"]
        assert "99999" in text and "VARCHAR" in text and "all lines were read" in text
        assert "only one" in aside["content"][0]["text"]
