"""Patterns and awkward names reach the profile and the query of the command line as they are typed."""

import json
from pathlib import Path

from tests.support.workspaces import owned_workspace, steward


def test_patterns_and_awkward_names_are_profiled_and_queried_as_typed(tmp_path: Path) -> None:
    with owned_workspace(tmp_path) as folder:
        (folder / "data" / "more.csv").write_text("id;region;extra\n7;e;x\n8;w;y\n9;q;z\n")
        (folder / "data" / "order.csv").write_text("id,v\n1,a\n2,b\n")
        for pattern in ("data/[sm]*.csv", "'data/[sm]*.csv'"):
            done = steward(folder, "profile", pattern, "--json")
            assert done.returncode == 0, done.stderr
            made = json.loads(done.stdout)
            assert made["rows"] == 6 and [c["name"] for c in made["columns"]] == ["id", "region", "extra", "amount"]
        assert "2 rows" in steward(folder, "profile", "order").stdout
        missed = steward(folder, "query", "SELECT * FROM order").stderr
        assert 'the file data/order.csv is called "order"' in missed
        assert '"extra" is missing in 1 of 2 files' in steward(folder, "query", "FROM 'data/[sm]*.csv'").stdout
