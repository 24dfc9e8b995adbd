"""SQL with colours, and the question whether what was typed is SQL."""

import re

from rich.style import Style
from rich.text import Text

from datasteward_tui.palette import Palette
from datasteward_tui.safe_text import show_block

_KEYWORDS = frozenset(
    """
    all alter analyze and anti any as asc asof attach between by case cast columns copy create cross cte delete desc
    describe distinct drop else end escape except exclude exists explain export false filter first following for from
    full group having if ilike import in inner insert intersect interval into is join lambda last lateral left like
    limit materialized merge natural not null nulls offset on only or order outer over partition pivot positional
    preceding primary qualify range recursive references replace returning right row rows sample select semi set show
    similar struct summarize table tablesample then to true truncate unbounded union unique unnest unpivot update using
    values view when where window with within
    """.split()  # noqa: SIM905 - a list of ninety strings is harder to read
)
_TOKEN = re.compile(
    r"(?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))"
    r"|(?P<string>'(?:[^']|'')*(?:'|\Z)|\$\$.*?(?:\$\$|\Z))"
    r'|(?P<quoted>"(?:[^"]|"")*(?:"|\Z))'
    r"|(?P<number>\b\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?\b)"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)(?P<call>\s*\()?",
    re.DOTALL,
)
_PLAIN_START = re.compile(r"\s*(?:--[^\n]*\n|/\*.*?\*/|\(|\s)*([A-Za-z]+)", re.DOTALL)
_SURE = frozenset(
    "select insert update delete summarize pivot unpivot create alter drop copy attach truncate pragma merge".split()  # noqa: SIM905
)
_EVIDENCE = {
    "from": re.compile(
        r"""from\s+(?:[\w.]+|'[^']+'|"[^"]+")\s*(?:;|\Z|\(|,|where\b|select\b|limit\b|order\b|group\b|join\b|using\b|qualify\b)""",
        re.IGNORECASE,
    ),
    "with": re.compile(r"with\s+(?:recursive\s+)?[\w\"]+\s*(?:\([^)]*\)\s*)?as\s+(?:not\s+)?(?:materialized\s*)?\(", re.IGNORECASE),
    "values": re.compile(r"values\s*\(", re.IGNORECASE),
    "describe": re.compile(r"describe\s+(?:[\w.]+|'[^']+'|\"[^\"]+\"|select\b.*|from\b.*)\s*;?\s*\Z", re.IGNORECASE | re.DOTALL),
    "show": re.compile(r"show\s+(?:all\s+)?(?:tables|databases|schemas)\s*;?\s*\Z", re.IGNORECASE),
    "explain": re.compile(r"explain\s+(?:analyze\s+)?(?:select|from|with|pivot)\b", re.IGNORECASE),
    "update": re.compile(r"update\s+[\w.\"]+\s+(?:as\s+\w+\s+)?set\b", re.IGNORECASE),
    "delete": re.compile(r"delete\s+from\b", re.IGNORECASE),
    "create": re.compile(r"create\s+(?:or\s+replace\s+)?(?:temp\w*\s+)?(?:table|view|schema|macro|function|type|sequence|index)\b", re.IGNORECASE),
    "drop": re.compile(r"drop\s+(?:table|view|schema|macro|function|type|sequence|index)\b", re.IGNORECASE),
    "alter": re.compile(r"alter\s+(?:table|view|sequence)\b", re.IGNORECASE),
    "insert": re.compile(r"insert\s+(?:or\s+\w+\s+)?into\b", re.IGNORECASE),
    "copy": re.compile(r"copy\s+(?:\(|[\w.\"]+\s+(?:to|from)\b)", re.IGNORECASE),
    "merge": re.compile(r"merge\s+into\b", re.IGNORECASE),
    "truncate": re.compile(r"truncate\s+(?:table\s+)?[\w.\"]+\s*;?\s*\Z", re.IGNORECASE),
    "attach": re.compile(r"attach\s+(?:database\s+)?'", re.IGNORECASE),
    "summarize": re.compile(r"summarize\s+(?:[\w.]+|'[^']+'|\"[^\"]+\"|select\b.*|from\b.*)\s*;?\s*\Z", re.IGNORECASE | re.DOTALL),
    "select": re.compile(r"select\s+(?:\*|distinct\b|[\w.\"']+\s*(?:,|\Z|;|\(|from\b|as\b|[-+*/|:]|\w+\s*,)|[-('\"\d\[{@])", re.IGNORECASE),
}  # fmt: skip


def looks_like_sql(text: str) -> bool:
    """Whether `text` reads as a statement and not as a sentence that happens to begin with such a word."""
    start = _PLAIN_START.match(text)
    if start is None:
        return False
    word = start[1].lower()
    rest = text[start.start(1) :]
    if text.rstrip().endswith(";") and word in _SURE | _EVIDENCE.keys():
        return True
    evidence = _EVIDENCE.get(word)
    if evidence is not None:
        return evidence.match(rest) is not None
    return word in _SURE


def begins_like_sql(text: str) -> bool:
    """Whether the first word is one that statements begin with."""
    start = _PLAIN_START.match(text)
    return start is not None and start[1].lower() in _SURE | _EVIDENCE.keys()


def colour_sql(sql: str, palette: Palette) -> Text:
    """`sql`, harmless and with colours; its words are unchanged."""
    shown = show_block(sql)
    text = Text(shown, style=palette.code, end="", no_wrap=False)
    for match in _TOKEN.finditer(shown):
        style = _style_of(match, palette)
        if style is not None:
            text.stylize(style, match.start(), match.end("word") if match["word"] else match.end())
    return text


def _style_of(match: re.Match[str], palette: Palette) -> Style | None:
    if match["comment"]:
        return palette.muted
    if match["string"]:
        return palette.string
    if match["number"]:
        return palette.number
    if match["word"]:
        if match["word"].lower() in _KEYWORDS:
            return palette.keyword
        return palette.function if match["call"] else None
    return None
