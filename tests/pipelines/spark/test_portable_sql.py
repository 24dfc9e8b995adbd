"""What is let through to Spark means the same there, and what would differ is refused with the reason."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from datasteward.errors import ToolError
from datasteward.lineage.schemas import Column
from datasteward.pipelines.spark.transpiling import to_spark
from tests.support.spark_cases import SparkCases

COLUMNS = {
    "t": (
        Column(name="i", type="INTEGER"),
        Column(name="b", type="BIGINT"),
        Column(name="d", type="DECIMAL(10,2)"),
        Column(name="f", type="DOUBLE"),
        Column(name="s", type="VARCHAR"),
        Column(name="dt", type="DATE"),
        Column(name="ts", type="TIMESTAMP"),
        Column(name="tz", type="TIMESTAMP WITH TIME ZONE"),
    )
}
SAME = """
i + 1 | i - d | d * d | -i | i % 4 | i // 4 | i / 3 | d / 4 | f / 2
d + 0.5 | abs(d) | abs(i) | ceil(d) | floor(d) | floor(f) | round(d, 1) | round(d) | round(i, 0) | power(i, 2)
CAST(i AS BIGINT) | CAST(d AS DOUBLE) | CAST(i AS DECIMAL(12,3)) | CAST(d AS DECIMAL(10,1)) | CAST(round(d) AS INTEGER)
CAST(floor(d) AS INTEGER) | CAST(i AS VARCHAR) | CAST(d AS VARCHAR) | CAST(dt AS VARCHAR) | CAST(ts AS VARCHAR)
CAST(bo AS VARCHAR) | CAST(ts AS DATE) | CAST(dt AS TIMESTAMP) | CAST('2024-01-31' AS DATE) | CAST('12' AS INTEGER)
CAST('1.005' AS DECIMAL(10,2)) | CAST(bo AS INTEGER)
upper(s) | lower(s) | length(s) | trim(s) | ltrim(s) | replace(s, 'n', 'mm') | substring(s, 2, 2) | substring(s, 2)
left(s, 2) | right(s, 2) | lpad(s, 5, '*') | rpad(s, 5, '*') | s || '-' || i | concat(s, '-', upper(s)) | concat(s, NULL, 'x')
strpos(s, 'n') | position('n' IN s) | starts_with(s, 'A') | s LIKE 'A%' | s LIKE '%n_' | s ILIKE 'a%' | s NOT LIKE '%\u00d6%'
s = 'Ann' | s < 'b' | s IN ('Ann', 'bob') | i IN (1, 2, NULL) | i NOT IN (1, 2) | i BETWEEN 2 AND 5 | s IS NULL
d IS DISTINCT FROM 1.25 | d IS NOT DISTINCT FROM NULL | NOT bo | bo AND i > 3 | bo OR i > 3
CASE WHEN i > 3 THEN 'a' WHEN i > 1 THEN 'b' END | CASE i WHEN 1 THEN d ELSE 0 END | if(i > 2, 1, 0) | coalesce(d, 0)
nullif(i, 6) | ifnull(s, '?') | greatest(i, 3) | least(d, 1.0) | greatest(s, 'b', NULL)
year(dt) | month(ts) | day(dt) | quarter(dt) | hour(ts) | minute(ts) | extract(year FROM ts) | extract('month' FROM dt)
date_trunc('month', dt) | date_trunc('week', dt) | date_trunc('hour', ts) | date_trunc('quarter', ts) | date_trunc('year', ts)
dt + INTERVAL 1 DAY | dt + INTERVAL 1 MONTH | ts - INTERVAL 3 HOUR | dt - INTERVAL 1 YEAR | ts + INTERVAL 2 WEEK
date_diff('day', dt, DATE '2024-03-01') | date_diff('day', ts, TIMESTAMP '2024-03-01 12:00:00') | dt > DATE '2000-01-01'
ts >= TIMESTAMP '2024-02-29 00:00:00' | dt = '2000-01-01' | 'it''s \\ "x"' | 1e3 | 0.1 + 0.2 | true | NULL::INTEGER
row_number() OVER (PARTITION BY bo ORDER BY i, b) | rank() OVER (ORDER BY i) | dense_rank() OVER (ORDER BY i DESC)
sum(i) OVER (ORDER BY b ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) | lag(s, 1) OVER (ORDER BY i, b)
lead(d) OVER (PARTITION BY bo ORDER BY i, b) | first_value(s) OVER (ORDER BY s) | last_value(i) OVER (ORDER BY i)
avg(d) OVER (PARTITION BY bo) | count(*) OVER () | max(dt) OVER (ORDER BY i RANGE UNBOUNDED PRECEDING) | ntile(2) OVER (ORDER BY b)
exp(i) | ends_with(s, 'n') | percent_rank() OVER (ORDER BY i) | cume_dist() OVER (ORDER BY i) | nth_value(i, 2) OVER (ORDER BY b)
"""
QUERIES = (
    "SELECT sum(b) AS x, sum(i) AS y, sum(d) AS z, avg(d) AS a, avg(i) AS ai FROM t WHERE i <> 5 OR i IS NULL",
    "SELECT sum(b) AS beyond_a_bigint FROM t",
    "SELECT count(*) AS n, count(d) AS nd, count(DISTINCT i) AS di, min(s) AS s0, max(dt) AS d1, min(f) AS f0 FROM t",
    "SELECT bo, count(*) FILTER (WHERE i > 2) AS n, stddev(i) AS sd, var_pop(i) AS v, bool_and(i > 0) AS b FROM t GROUP BY bo",
    "SELECT stddev_pop(i) AS sp, stddev_samp(d) AS ss, variance(i) AS v, bool_or(bo) AS b FROM t WHERE i < 5",
    "SELECT upper(s) AS s, count(*) AS n FROM t GROUP BY ALL",
    "SELECT i, d FROM t ORDER BY d DESC NULLS FIRST, i LIMIT 3",
    "SELECT i, d FROM t ORDER BY d LIMIT 3",
    "SELECT s FROM t ORDER BY s DESC, i LIMIT 2 OFFSET 1",
    "WITH c AS (SELECT i, max(d) AS m FROM t GROUP BY i) SELECT t.s, c.m FROM t JOIN c USING (i) WHERE c.m > 0",
    "SELECT a.i, b.s FROM t a LEFT JOIN t b ON a.i = b.i + 1 AND b.bo",
    "SELECT a.i FROM t a FULL JOIN t b ON a.i = b.b",
    "SELECT i FROM t WHERE EXISTS (SELECT 1 FROM t x WHERE x.i = t.b)",
    "SELECT i FROM t WHERE d > (SELECT avg(d) FROM t)",
    "SELECT i FROM t a SEMI JOIN t b ON a.i = b.b",
    "SELECT i FROM t UNION SELECT b FROM t",
    "SELECT i FROM t EXCEPT SELECT 6",
    "SELECT i FROM t INTERSECT SELECT 6",
    "SELECT DISTINCT bo FROM t",
    "SELECT * FROM t",
    "SELECT * EXCLUDE (f, ts), i * 2 AS twice FROM t",
    "FROM t SELECT i WHERE i > 2",
    "SELECT lower(s), i + 1 FROM t",
    "SELECT bo, count(*) FROM t GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 2",
    "SELECT i + 1 FROM t UNION ALL SELECT 0 ORDER BY 1 LIMIT 3",
    'SELECT i AS "Odd Name", max(d) AS D FROM t GROUP BY 1 ORDER BY D, "Odd Name" LIMIT 3',
    "SELECT avg(DISTINCT i) AS a, sum(DISTINCT i) AS s, count(DISTINCT bo) AS c FROM t",
    "SELECT v.a, t.i FROM t JOIN (VALUES (1, 'x'), (2, 'y')) v(a, b) ON v.a = t.i",
    "SELECT i, sum(d) AS total FROM t GROUP BY 1 HAVING sum(d) > 1",
    "SELECT i FROM t WHERE i > 1000",
)
REFUSED = (
    ("regexp_replace(s, 'a', 'b')", "first match"),
    ("regexp_matches(s, 'a')", "regular expressions"),
    ("date_diff('month', dt, dt)", "boundaries"),
    ("date_diff('year', ts, ts)", "boundaries"),
    ("dayname(dt)", "three letters"),
    ("monthname(dt)", "three letters"),
    ("format('{}', i)", "not known"),
    ("TRY_CAST(s AS INTEGER)", "not known"),
    ("f::INTEGER", "rounds"),
    ("d::BIGINT", "rounds"),
    ("(i / 2)::INTEGER", "rounds"),
    ("avg(i)::INTEGER", "rounds"),
    ("f::VARCHAR", "differently"),
    ("s || f", "VARCHAR"),
    ("concat(s, i)", "VARCHAR"),
    ("f::DECIMAL(10,2)", "rounded differently"),
    ("round(f, 2)", "DECIMAL"),
    ("ts::TIME", "type"),
    ("tz::DATE", "zoned"),
    ("date_trunc('day', tz)", "zoned"),
    ("extract(dow FROM dt)", "counted differently"),
    ("extract(second FROM ts)", "counted differently"),
    ("dt - dt", "date_diff"),
    ("dt + 1", "INTERVAL"),
    ("substring(s, -2)", "constant start"),
    ("substring(s, i, 1)", "constant start"),
    ("left(s, -1)", "constant number"),
    ("s LIKE 'a\\%'", "backslash"),
    ("s LIKE s", "constant patterns"),
    ("s SIMILAR TO 'a.*'", ""),
    ("ln(f)", "NULL"),
    ("sqrt(f)", "NaN"),
    ("[1, 2][1]", "not known"),
    ("list_sum([i])", "not known"),
    ("string_agg(s, ',')", "not known"),
    ("median(d)", "not known"),
    ("quantile_cont(d, 0.5)", "not known"),
    ("arg_max(s, i)", "not known"),
    ("strftime(dt, '%Y')", "not known"),
    ("epoch_ms(ts)", "not known"),
    ("hash(s)", "not known"),
    ("random()", "differ"),
    ("current_date", "moment of now"),
    ("now()", "not known"),
    ("COLUMNS('i')", "not known"),
    ("s->>'a'", "not known"),
    ("INTERVAL '1 day 2 hours'", ""),
)
REFUSED_QUERIES = (
    ("SELECT i FROM t QUALIFY row_number() OVER (ORDER BY i) = 1", "QUALIFY"),
    ("SELECT DISTINCT ON (i) i FROM t", "row_number"),
    ("SELECT i FROM t UNION BY NAME SELECT b FROM t", "BY NAME"),
    ("SELECT i FROM t INTERSECT ALL SELECT b FROM t", "other rows"),
    ("SELECT t.i FROM t ASOF JOIN t b ON t.i >= b.i", "joins"),
    ("SELECT t.i FROM t POSITIONAL JOIN t b", "joins"),
    ("SELECT i FROM t USING SAMPLE 10%", "samples"),
    ("WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT n FROM r", "recursive"),
    ("SELECT unnest([1, 2]) AS x", "not known"),
    ("SELECT sum(i) OVER (ORDER BY i GROUPS 1 PRECEDING) AS x FROM t", "GROUPS"),
    ("SELECT i FROM elsewhere", "not a table"),
)


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory, spark_address: str) -> Iterator[SparkCases]:
    opened = SparkCases.open(Path(tmp_path_factory.mktemp("cases")), spark_address)
    yield opened
    opened.close()


@pytest.mark.parametrize("line", SAME.strip().splitlines())
def test_expressions_let_through_give_the_same_values(cases: SparkCases, line: str) -> None:
    expressions = [e.strip() for e in line.split(" | ")]
    selected = ", ".join(f"{e} AS c{n}" for n, e in enumerate(expressions))
    different = cases.differences(f"SELECT i AS i_, {selected} FROM t WHERE b IS NULL OR b < 100")
    told = [e for e, count in zip(expressions, different.by_column[1:], strict=True) if count]
    assert not different.only_left and not different.only_right, (told, different)


@pytest.mark.parametrize("sql", QUERIES)
def test_queries_let_through_give_the_same_rows(cases: SparkCases, sql: str) -> None:
    different = cases.differences(sql)
    assert (different.only_left, different.only_right) == ((), ())


@pytest.mark.parametrize(("expression", "reason"), REFUSED)
def test_an_expression_that_differs_silently_is_refused_with_the_reason(expression: str, reason: str) -> None:
    with pytest.raises(ToolError) as refused:
        to_spark(f"SELECT {expression} AS x FROM t", COLUMNS, ["x"])
    assert reason in refused.value.message
    assert refused.value.code == "invalid_arguments"


@pytest.mark.parametrize(("sql", "reason"), REFUSED_QUERIES)
def test_a_query_that_differs_is_refused_with_the_reason(sql: str, reason: str) -> None:
    with pytest.raises(ToolError) as refused:
        to_spark(sql, COLUMNS, ["x"])
    assert reason in refused.value.message


def test_columns_in_another_order_than_duckdbs_are_refused() -> None:
    with pytest.raises(ToolError, match="its columns are b, i in DuckDB"):
        to_spark("SELECT i, b FROM t", COLUMNS, ["b", "i"])


def test_only_columns_that_a_query_uses_are_needed_of_its_inputs() -> None:
    found = to_spark("SELECT i AS n FROM t WHERE d > 1 ORDER BY n LIMIT 1", COLUMNS, ["n"])
    assert found.names & {c.name for c in COLUMNS["t"]} == {"i", "d"}
