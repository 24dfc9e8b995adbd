"""Markdown, SQL, tables and the stack of blocks."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from datasteward_tui.block_stack import BlockStack
from datasteward_tui.fuzzy import Choice, rank
from datasteward_tui.markdown_lines import FigureMarks, render_markdown
from datasteward_tui.palette import plain_palette
from datasteward_tui.partial_json import read_partial_text
from datasteward_tui.reply_block import ReplyBlock
from datasteward_tui.sql_text import colour_sql, looks_like_sql
from datasteward_tui.tables import TableColumn, lay_out

REPLY = """# Findings

Revenue is **12.5** [r3], which is *half* of `plan`.

- one
- two
  - inner item that is long enough to be wrapped over more than one line of text
1. first
2. second

> quoted words

```sql
SELECT region, sum(amount) -- total
FROM sales
```

| region | total |
|:-------|------:|
| north  | 40.50 |
| south  |  2.25 |

---
The end.
"""


def drawn(source: str, width: int = 60) -> str:
    return "\n".join(s.text.rstrip() for s in render_markdown(source, width, plain_palette()))


def test_markdown_is_laid_out_with_lists_code_quotes_and_tables() -> None:
    text = drawn(REPLY)
    assert "▏ SELECT region, sum(amount) -- total" in text
    assert "region  total\n─────────────\nnorth   40.50\nsouth    2.25" in text
    assert " • one\n • two\n    ◦ inner item" in text
    assert "1. first\n2. second" in text
    assert "│ quoted words" in text


@given(st.text(alphabet="ab *_`#>-|[]()1.\n", max_size=120), st.integers(min_value=12, max_value=60))
@settings(max_examples=120, deadline=None)
def test_no_line_of_markdown_is_wider_than_asked(source: str, width: int) -> None:
    assert all(cell_len(line) <= width for line in drawn(source, width).split("\n"))


def test_a_handle_opens_its_result_and_nothing_else_does() -> None:
    strips = render_markdown("From [r17] and r3, not abr3 nor r0.", 60, plain_palette())
    metas = [s.style.meta.get("open") for strip in strips for s in strip if s.style and s.style.meta]
    assert metas == ["r17", "r3"]


def test_figures_carry_their_verdicts_in_place() -> None:
    marks = FigureMarks((("12.5", "backed"), ("40", "derived"), ("7", "not_found")))
    strips = render_markdown("It is 12.5, or **40**, or 7.", 60, plain_palette(), marks)
    assert strips[0].text == "It is 12.5✓, or 40≈, or 7✗."


@given(st.lists(st.integers(min_value=1, max_value=9), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_a_reply_looks_the_same_however_it_arrived(cuts: list[int]) -> None:
    streamed, position = ReplyBlock(), 0
    for size in cuts * 40:
        streamed.feed(REPLY[position : position + size])
        position += size
        if position < 200:
            streamed.draw(60, plain_palette())
    streamed.feed(REPLY[position:])
    whole = ReplyBlock()
    whole.settle(REPLY)
    assert [s.text for s in streamed.draw(60, plain_palette())] == [s.text for s in whole.draw(60, plain_palette())]
    assert streamed.source() == REPLY


@pytest.mark.parametrize(
    ("text", "is_sql"),
    [
        ("select 1", True),
        ("select range id, 2 two from range(3)", True),
        ("SELECT * FROM t", True),
        ("from 'data/a.csv'", True),
        ("from orders limit 3", True),
        ("with a as (select 1) from a", True),
        ("summarize orders", True),
        ("describe orders", True),
        ("delete from orders", True),
        ("select the best customers please", False),
        ("from which regions do we lose money", False),
        ("show me the orders", False),
        ("describe what is in data", False),
        ("update me on sales", False),
        ("create a chart of sales", False),
        ("what sells best?", False),
        ("with what should I begin", False),
        ("select name from people", True),
        ("", False),
    ],
)
def test_sql_is_told_from_a_sentence(text: str, is_sql: bool) -> None:
    assert looks_like_sql(text) is is_sql


@given(st.text(alphabet="select'\"-/*$ 1a\n", max_size=80))
@settings(max_examples=100, deadline=None)
def test_colours_never_change_the_words(sql: str) -> None:
    assert colour_sql(sql, plain_palette()).plain == sql


def test_wide_tables_leave_out_columns_and_count_them() -> None:
    columns = [TableColumn(name=f"column{i}", type="BIGINT") for i in range(20)]
    laid_out = lay_out(columns, [list(range(20))], 50, plain_palette())
    assert laid_out.columns_left == 15
    assert all(line.cell_len <= 50 for line in laid_out.lines)


@given(st.text(max_size=30), st.integers(min_value=0, max_value=80))
@settings(max_examples=100, deadline=None)
def test_sql_can_be_read_while_it_is_written(sql: str, cut: int) -> None:
    import json

    whole = json.dumps({"limit": 3, "sql": sql, "dry_run": False})
    seen = read_partial_text(whole[:cut], "sql")
    assert seen is None or sql.startswith(seen) or any("\ud800" <= c <= "\udfff" for c in seen)
    assert read_partial_text(whole, "sql") == sql


def test_places_in_a_stack_are_right_after_any_changes() -> None:
    chance = random.Random(7)
    stack, heights = BlockStack(), []
    for _ in range(400):
        if not heights or chance.random() < 0.5:
            heights.append(chance.randint(1, 9))
            stack.append(heights[-1], is_exact=False)
        else:
            block = chance.randrange(len(heights))
            height = chance.randint(1, 9)
            assert stack.set_height(block, height) == height - heights[block]
            heights[block] = height
        line = chance.randrange(sum(heights))
        place = stack.find(line)
        assert place is not None
        assert sum(heights[: place.block]) + place.line == line
        assert stack.total == sum(heights)
    assert stack.find(sum(heights)) is None


def test_names_are_ranked_by_how_well_the_letters_fit() -> None:
    names = [Choice(value=v) for v in ("reorders", "orders", "order_items", "colours", "o_r_d")]
    assert [c.value for c in rank("ord", names)] == ["orders", "order_items", "reorders", "o_r_d"]
