"""What pipeline files say, and where they are wrong."""

from pathlib import Path

import pytest

from datasteward.errors import ToolError
from datasteward.pipelines.graph import make_graph, select_assets
from datasteward.pipelines.loading import Pipeline, PipelineFiles, load_pipeline, read_folder
from datasteward.pipelines.problems import PipelineFault
from datasteward.pipelines.statement import find_folder
from datasteward.pipelines.syntax import Parser


def load(**texts: str) -> Pipeline:
    return load_pipeline(PipelineFiles(folder="shop", texts={k.replace("__", "/"): v for k, v in texts.items()}))


def faults(texts: dict[str, str]) -> str:
    with pytest.raises(PipelineFault) as caught:
        load_pipeline(PipelineFiles(folder="shop", texts=texts))
    return caught.value.message


def test_a_plain_query_is_an_asset_named_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "marts").mkdir()
    (tmp_path / "marts" / "fct_orders.sql").write_text("SELECT 1 AS a")
    (tmp_path / "orders.sql").write_text("SELECT 2 AS b")
    (tmp_path / ".hidden.sql").write_text("nonsense")
    pipeline = load_pipeline(read_folder(tmp_path))
    assert [(a.name, a.options.materialize) for a in pipeline.assets] == [
        ("marts.fct_orders", "table"),
        ("orders", "table"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "/* @asset\nmaterialise: view\n*/ SELECT 1",
            "a.sql:2:1: unknown key 'materialise', did you mean 'materialize'?",
        ),
        ("/* @asset materialize: tabel */ SELECT 1", "a.sql:1:24: materialize: 'tabel' is not one of"),
        (
            "\n\n/* @asset\nchecks:\n  - unique: [a]\n    on_fial: warn\n@end */ SELECT 1",
            "a.sql:6:5: unknown key 'on_fial'",
        ),
        ("/* @asset\ntimeout: soon\n*/ SELECT 1", "a.sql:2:10: timeout: 'soon' is not a duration"),
        ("/* @asset\ntags: [a\n*/ SELECT 1", "not valid YAML"),
        ("/* @asset\nowner: a\nowner: b\n*/ SELECT 1", "a.sql:3:1: 'owner' is given twice"),
        ("/* @aset\nowner: a\n*/ SELECT 1", "a.sql:1:4: unknown header '@aset', write '@asset'"),
        ("/* @asset\nmaterialize: merge\n*/ SELECT 1", "merge needs 'unique'"),
        ("/* @asset\nchecks:\n  - unique: [a]\n    on_fail: quarantine\n*/ SELECT 1", "cannot quarantine rows"),
        ("/* @asset\nowner: &a x\ndescription: *a\n@end */ SELECT 1", "anchors and aliases"),
        ("SELECT {{ config(x=1) }}", "a.sql:1:8: '{{ config(x=1) }}' is not understood"),
        ("SELECT * FROM {{ ref('b') }}", "a.sql:1:15: no asset 'b'"),
    ],
)
def test_a_fault_is_told_with_file_line_column_and_the_nearest_name(text: str, expected: str) -> None:
    assert expected in faults({"a.sql": text})


def test_all_faults_are_told_at_once() -> None:
    told = faults({"a.sql": "/* @asset\nx: 1\n*/ SELECT 1", "pipeline.yaml": "paralel: 2\n", "b-c.sql": "SELECT 1"})
    assert "a.sql:2:1" in told
    assert "pipeline.yaml:1:1: unknown key 'paralel', did you mean 'parallel'?" in told
    assert "'b-c' is not a plain name" in told


def test_lines_of_the_query_stay_where_they_are_below_a_header_and_templates() -> None:
    text = "/* @asset\nowner: me\n*/\nSELECT *\nFROM {{ ref('stg') }} AS s\nJOIN {{ source('raw', 'x') }} USING (k)"
    asset = load(**{"a.sql": text, "staging__stg.sql": "SELECT 1 AS k"}).assets[0]
    assert asset.body.count("\n") == text.count("\n")
    assert asset.body.split("\n")[4].startswith('FROM "staging"."stg"')
    assert asset.body.index("AS s") == text.index("AS s")
    assert '"raw"."x"' in asset.body


def test_words_that_old_yaml_takes_for_booleans_stay_words() -> None:
    header = "/* @asset\nowner: no\ntags: [on, off]\nretry: {times: 1, on: [io]}\n*/ SELECT 1"
    options = load(**{"a.sql": header}).assets[0].options
    assert (options.owner, options.tags) == ("no", ("on", "off"))
    assert options.retry is not None and options.retry.on == ("io",)


def test_defaults_fill_what_a_header_leaves_out() -> None:
    pipeline = load(
        **{
            "pipeline.yaml": "name: n\nparallel: 3\ndefaults:\n  materialize: view\n  timeout: 2m\n",
            "a.sql": "SELECT 1",
            "b.sql": "/* @asset materialize: table */ SELECT 1",
        }
    )
    assert [(a.options.materialize, a.options.timeout) for a in pipeline.assets] == [("view", 120.0), ("table", 120.0)]


def test_a_python_asset_declares_its_columns_and_takes_inputs_by_parameter() -> None:
    text = '"""@asset\ncolumns: {a: BIGINT}\n"""\ndef asset(stg, marts__dim):\n    return stg\n'
    asset = load(**{"p.py": text}).assets[0]
    assert asset.parameters == ("stg", "marts__dim")
    assert "needs 'columns: {name: TYPE}'" in faults({"p.py": "def asset(stg): return stg"})


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("WITH orders AS (SELECT * FROM orders) SELECT * FROM orders", ["orders"]),
        ("WITH a AS (SELECT 1), b AS (SELECT * FROM a) FROM b JOIN s.c USING (x)", ["s.c"]),
        ("WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) FROM r", []),
        ("SELECT (SELECT max(x) FROM t2) FROM t1 WHERE EXISTS (SELECT 1 FROM t3)", ["t1", "t2", "t3"]),
        ("SELECT * FROM t PIVOT (sum(y) FOR x IN (1, 2))", ["t"]),
        ("SELECT * FROM t1, LATERAL (SELECT * FROM t2 WHERE t2.a = t1.a)", ["t1", "t2"]),
        ("(SELECT * FROM x UNION ALL BY NAME SELECT * FROM y) ORDER BY ALL", ["x", "y"]),
    ],
)
def test_dependencies_come_from_the_query(sql: str, tables: list[str]) -> None:
    asset = load(**{"a.sql": sql}).assets[0]
    assert sorted({t.label for t in Parser().parse(asset, sql).tables}) == tables


def test_a_name_is_found_where_it_stands_also_after_other_alphabets() -> None:
    sql = "SELECT 'größe' AS \"ü\" FROM s.tab JOIN read_csv('d/*.csv', header = true) f USING (k)"
    query = Parser().parse(load(**{"a.sql": sql}).assets[0], sql)
    assert sql[query.tables[0].start : query.tables[0].end] == "s.tab"
    assert query.scans[0].paths == ("d/*.csv",)
    assert sql[query.scans[0].start :].startswith("read_csv(")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELEC 1", "a.sql:1:1: syntax error"),
        ("SELECT 1;\nSELECT 2", "holds 2 statements"),
        ("DELETE FROM t", "is not a SELECT"),
        ("", "holds 0 statements"),
    ],
)
def test_what_is_not_one_query_is_refused(sql: str, expected: str) -> None:
    with pytest.raises(PipelineFault, match=expected):
        Parser().parse(load(**{"a.sql": sql}).assets[0], sql)


def graph_of(edges: dict[str, list[str]]) -> tuple[list[str], object]:
    assets = load(**{f"{name}.sql": "/* @asset tags: [t] */ SELECT 1" for name in edges}).assets
    graph = make_graph(assets, {f"main.{k}": [f"main.{v}" for v in vs] for k, vs in edges.items()})
    return [a.name for a in graph.assets], graph


def test_an_asset_comes_after_what_it_reads_and_a_cycle_is_named() -> None:
    names, _ = graph_of({"a": ["b"], "b": ["c"], "c": [], "d": ["a", "c"]})
    assert names == ["c", "b", "a", "d"]
    with pytest.raises(PipelineFault, match="is part of a cycle: a reads b reads a"):
        graph_of({"a": ["b"], "b": ["a"], "c": []})


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        ([], "abcd"),
        (["b"], "b"),
        (["+b"], "bc"),
        (["b+"], "abd"),
        (["+b+"], "abcd"),
        (["tag:t", "-c"], "abd"),
        (["?"], "abcd"),
        (["-+b"], "ad"),
    ],
)
def test_assets_are_selected_by_name_tag_and_neighbourhood(selectors: list[str], expected: str) -> None:
    _, graph = graph_of({"a": ["b"], "b": ["c"], "c": [], "d": ["a", "c"]})
    assert "".join(sorted(k.removeprefix("main.") for k in select_assets(graph, selectors))) == expected


def test_a_selector_that_matches_nothing_is_refused() -> None:
    _, graph = graph_of({"orders": []})
    with pytest.raises(ToolError, match=r"'ordrs' selects nothing, did you mean 'orders'\?"):
        select_assets(graph, ["ordrs"])


def test_a_name_means_the_pipeline_though_another_folder_has_it_too(tmp_path: Path) -> None:
    for folder in ("shop", "pipelines/shop", "pipelines/other"):
        (tmp_path / folder).mkdir(parents=True)
    assert find_folder(tmp_path, "shop") == "pipelines/shop"
    assert find_folder(tmp_path, "pipelines/other") == "pipelines/other"
