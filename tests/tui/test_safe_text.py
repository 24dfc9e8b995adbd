"""What data and models may not do to a terminal."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from datasteward_tui.blocks import NoticeBlock, PersonBlock
from datasteward_tui.call_block import CallBlock
from datasteward_tui.markdown_lines import render_markdown
from datasteward_tui.palette import plain_palette
from datasteward_tui.reply_block import ReplyBlock
from datasteward_tui.safe_text import fit_cells, show_line, show_lines

HOSTILE = (
    "\x1b]8;;http://evil.example\x07click\x1b]8;;\x07",
    "\x1b[2J\x1b[1;1Hgone",
    "\x9b31mred",
    "\x1b]52;c;ZXZpbA==\x07",
    "pay \u202e001 EUR\u202c",
    "a\u200bb\u2060c\ufeffd",
    "[@click=app.quit]press[/]",
    "[bold red]x[/bold red]",
    "\ud800lone",
    "Z" + "\u0301" * 200,
    "\U000e0041\U000e0042hidden",
    "\u3164\u115f",
    "&#27;]0;title&#7; &#x202E;",
    "[x](javascript:alert(1)) ![i](file:///etc/passwd) <b onclick=x>",
)


def is_harmless(text: str) -> bool:
    """Nothing that a terminal would obey or hide."""
    return all(unicodedata.category(c)[0] != "C" for c in text)


@given(st.text(alphabet=st.characters(), max_size=200))
@settings(max_examples=150, deadline=None)
def test_any_text_becomes_one_harmless_line(text: str) -> None:
    shown = show_line(text)
    assert is_harmless(shown)
    assert "\n" not in shown
    shown.encode("utf-8")


@given(st.text(max_size=120), st.integers(min_value=1, max_value=60))
@settings(max_examples=100, deadline=None)
def test_fitted_text_never_exceeds_its_cells(text: str, width: int) -> None:
    assert cell_len(fit_cells(show_line(text), width)) <= width


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_text_in_every_block(text: str) -> None:
    call = CallBlock("run_query", sql=f"select '{text}'", is_unfolded=True)
    table = {
        "results": [{"handle": "r1", "columns": [{"name": text, "type": text}], "data": [[text], [[text]]], "rows": 2}]
    }
    call.finish(text, table, seconds=0.1, is_error=False)
    failed = CallBlock(text, sql=text)
    failed.finish(text, {"message": text, "hint": text}, seconds=0.1, is_error=True)
    for block in (PersonBlock(text), NoticeBlock(text, hint=text), ReplyBlock(text), call, failed):
        for strip in block.draw(60, plain_palette()):
            assert is_harmless(strip.text), type(block).__name__
            for segment in strip:
                assert not (segment.style and segment.style.link)
                assert not (segment.style and "@click" in (segment.style.meta or {}))


def test_hidden_characters_are_named() -> None:
    assert show_line("a\u202eb\u200bc\x1bd\te\nf") == "a‹U+202E›b‹U+200B›c␛d⇥e↵f"


def test_long_text_is_cut_and_says_so() -> None:
    assert show_line("x" * 1_000_000, 10) == "x" * 10 + "… (+999,990 characters)"
    assert show_lines("x" * 1_000_000, 10)[-1] == "… (+999,990 characters)"


def test_links_of_a_reply_are_shown_with_their_address_and_do_nothing() -> None:
    text = "\n".join(s.text for s in render_markdown("see [docs](https://a.example/x)", 80, plain_palette()))
    assert text == "see docs (https://a.example/x)"
