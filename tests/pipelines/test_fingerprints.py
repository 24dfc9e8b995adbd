"""What counts as a change of an asset: rows, single columns, settings, or nothing."""

import functools
import re
from pathlib import Path

import pytest

from datasteward.lineage.schemas import Column
from datasteward.pipelines.binding import AssetBinder
from datasteward.pipelines.fingerprints import print_query
from datasteward.pipelines.loading import PipelineFiles, load_pipeline
from datasteward.pipelines.state_model import AssetPrint
from datasteward.pipelines.syntax import Parser


@functools.cache
def parser() -> Parser:
    return Parser()


COLUMNS = (Column(name="a", type="INTEGER"), Column(name="b", type="INTEGER"), Column(name="s", type="VARCHAR"))


def prints(sql: str) -> AssetPrint:
    asset = load_pipeline(PipelineFiles(folder="f", texts={"x.sql": sql})).assets[0]
    query = parser().parse(asset, asset.body)
    binder = AssetBinder(None)
    binder.add(("t",), "t", COLUMNS)
    binder.add(("u",), "u", COLUMNS)
    outputs = binder.bind(asset, asset.body, {}, has_places=True).outputs
    return print_query(asset, query, outputs, (), parser())


def difference(old: str, new: str) -> str:
    first, second = prints(old), prints(new)
    if first.rows != second.rows:
        return "rows"
    names = {*first.columns, *second.columns}
    changed = sorted(n for n in names if first.columns.get(n) != second.columns.get(n))
    return ",".join(changed) or ("settings" if first.settings != second.settings else "nothing")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("SELECT a, b FROM t", "select  A,\n b -- x\nfrom T", "nothing"),
        ("SELECT a, b FROM t", "SELECT b, a FROM t", "nothing"),
        ("SELECT a, b FROM t", "SELECT a, b + 1 AS b FROM t", "b"),
        ("SELECT a FROM t", "SELECT a, b FROM t", "b"),
        ("SELECT a, b FROM t", "SELECT a FROM t", "b"),
        ("SELECT a FROM t", "SELECT a FROM u", "rows"),
        ("SELECT a FROM t", "SELECT a FROM t WHERE b > 1", "rows"),
        ("SELECT a FROM t WHERE b > 1", "SELECT a FROM t WHERE b > 2", "rows"),
        ("SELECT t.a FROM t", "SELECT t.a FROM t LEFT JOIN u USING (b)", "rows"),
        ("SELECT DISTINCT a FROM t", "SELECT DISTINCT a, b FROM t", "rows"),
        ("SELECT a, count(*) AS n FROM t GROUP BY a", "SELECT a, count(*) AS n, max(b) AS m FROM t GROUP BY a", "m"),
        ("SELECT a, count(*) AS n FROM t GROUP BY ALL", "SELECT a, b, count(*) AS n FROM t GROUP BY ALL", "rows"),
        (
            "SELECT a % 2 AS k, count(*) AS n FROM t GROUP BY k",
            "SELECT a % 3 AS k, count(*) AS n FROM t GROUP BY k",
            "rows",
        ),
        (
            "SELECT a % 2 AS k, count(*) AS n FROM t GROUP BY 1",
            "SELECT a % 3 AS k, count(*) AS n FROM t GROUP BY 1",
            "rows",
        ),
        ("SELECT a, a + b AS c FROM t ORDER BY c LIMIT 3", "SELECT a, a - b AS c FROM t ORDER BY c LIMIT 3", "rows"),
        ("SELECT a + 1 AS x, x * 2 AS y, b FROM t", "SELECT a + 2 AS x, x * 2 AS y, b FROM t", "x,y"),
        ("SELECT 1 AS one FROM t", "SELECT 1 AS one, count(*) AS n FROM t", "rows"),
        ("SELECT a, unnest([1, 2]) AS n FROM t", "SELECT a, unnest([1, 2, 3]) AS n FROM t", "rows"),
        ("SELECT a, random() AS r FROM t", "SELECT a, random() + 1 AS r FROM t", "rows"),
        ("SELECT * FROM t", "SELECT * EXCLUDE (b) FROM t", "a,b,s"),
        ("SELECT * FROM t", "SELECT *, a + 1 AS c FROM t", "c"),
        ("SELECT a FROM t UNION ALL SELECT a FROM u", "SELECT a FROM t UNION ALL SELECT b FROM u", "rows"),
        ("WITH c AS (SELECT a FROM t) FROM c", "WITH c AS (SELECT a FROM t WHERE a > 0) FROM c", "rows"),
        ("SELECT a FROM t", "/* @asset materialize: view */ SELECT a FROM t", "settings"),
        ("SELECT a FROM t", "/* @asset\ndescription: x\ntags: [y]\n*/ SELECT a FROM t", "nothing"),
        ("SELECT a::BIGINT AS a FROM t", "SELECT a::DOUBLE AS a FROM t", "a"),
        ("SELECT 'X' AS s FROM t", "SELECT 'x' AS s FROM t", "s"),
    ],
)
def test_a_change_is_told_as_fine_as_is_safe(old: str, new: str, expected: str) -> None:
    assert difference(old, new) == expected


def test_the_example_in_the_guide_is_a_valid_asset() -> None:
    text = (Path(__file__).parents[2] / "docs" / "pipelines.md").read_text("utf-8")
    block = re.search(r"```sql\n(.*?)```", text, re.DOTALL)
    assert block is not None
    asset = load_pipeline(PipelineFiles(folder="f", texts={"x.sql": block[1]})).assets[0]
    assert asset.options.materialize == "incremental" and len(asset.options.checks) == 9
