"""A profile as one HTML page that needs nothing else: no script, no font, no network."""

from html import escape
from importlib.resources import files

from datasteward.profiling.figures import format_bytes, format_name, format_number, format_share, format_value
from datasteward.profiling.grouping import FindingGroup, group_findings
from datasteward.profiling.key_names import promises_key
from datasteward.profiling.model import ColumnProfile, Finding, Profile
from datasteward.profiling.page_charts import draw_bars, draw_filled, draw_histogram
from datasteward.profiling.storing import without_sensitive_values

_WORDS = {"high": "Must be mended", "medium": "Worth mending", "low": "Good to know"}


def render_page(profile: Profile, *, shows_values: bool = True) -> str:
    """The whole page as text; `shows_values` false masks the values of sensitive columns."""
    profile = profile if shows_values else without_sensitive_values(profile)
    name, style = _text(profile.name), files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    columns = "".join(_column(c, profile, shows_values) for c in profile.columns)
    notes = [*profile.told, *profile.notes, *(f"Left out: {x}" for x in profile.left_out)]
    listed = f'<ul class="notes">{"".join(f"<li>{_text(t)}</li>" for t in notes)}</ul>' if notes else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Profile of {name}</title><style>{style}</style></head><body><main>"
        f"<header><h1>{name}</h1><p>{_summary(profile)}</p></header>{_facts(profile)}{listed}"
        f"{_findings(profile)}<h2>Columns <small>{len(profile.columns)}</small></h2>{_contents(profile)}"
        f'<div class="grid">{columns}</div>{_structure(profile)}'
        f"<footer>Profiled {escape(profile.made_at[:16].replace('T', ' '))} UTC in {profile.seconds:.1f} s by Datasteward. "
        f"{'' if shows_values else 'Personal data is masked.'}</footer></main></body></html>\n"
    )


def _text(text: str) -> str:
    return escape(format_name(text))


def _summary(profile: Profile) -> str:
    """The page in one sentence."""
    grain = f", {_text(profile.grain)}" if profile.grain else ""
    counts = {s: sum(1 for f in profile.findings if f.severity == s) for s in ("high", "medium", "low")}
    found = [
        f"{counts[s]} {w}" for s, w in (("high", "grave"), ("medium", "worth mending"), ("low", "small")) if counts[s]
    ]
    said = f"{len(profile.findings)} findings: {', '.join(found)}." if found else "Nothing was found to be wrong."
    about = "" if profile.rows_are_exact else "about "
    return f"{about}{profile.rows:,} rows of {len(profile.columns)} columns{grain}. {said}".capitalize()


def _facts(profile: Profile) -> str:
    facts = [
        ("rows", f"{'' if profile.rows_are_exact else '~'}{profile.rows:,}"),
        ("columns", f"{len(profile.columns):,}"),
        ("filled cells", format_share(_filled(profile))),
        ("format", profile.format),
    ]
    if profile.size_bytes is not None:
        facts.append(("size", format_bytes(profile.size_bytes)))
    if profile.structure.duplicate_rows is not None:
        facts.append(("duplicate rows", f"{profile.structure.duplicate_rows:,}"))
    if profile.quarantine_rows:
        facts.append(("in quarantine", f"{profile.quarantine_rows:,}"))
    if sensitive := sum(1 for c in profile.columns if c.is_sensitive):
        facts.append(("personal columns", str(sensitive)))
    return '<dl class="facts">' + "".join(f"<div><dt>{k}</dt><dd>{_text(v)}</dd></div>" for k, v in facts) + "</dl>"


def _filled(profile: Profile) -> float:
    cells = profile.rows * len(profile.columns)
    return 1 - sum(c.nulls for c in profile.columns) / cells if cells else 0.0


def _contents(profile: Profile) -> str:
    """Links to the columns, where there are so many that one must look for them."""
    if not 12 < len(profile.columns) <= 400:
        return ""
    links = (f'<a href="#c{n}">{_text(c.name)}</a>' for n, c in enumerate(profile.columns))
    return f"<nav>{' '.join(links)}</nav>"


def _findings(profile: Profile) -> str:
    if not profile.findings:
        return '<h2>Findings</h2><p class="soft">Nothing was found to be wrong.</p>'
    groups = group_findings(profile.findings)
    parts = [f"<h2>Findings <small>{len(profile.findings)}</small></h2>"]
    for severity, words in _WORDS.items():
        chosen = [g for g in groups if g.first.severity == severity]
        if chosen:
            parts.append(f'<section class="{severity}"><h3>{words}</h3>{"".join(_group(g) for g in chosen)}</section>')
    return "".join(parts)


def _group(group: FindingGroup) -> str:
    if len(group.findings) == 1:
        return _finding(group.first)
    return (
        f'<article><div class="said">{_text(group.first.message)} <b>{len(group.findings)} columns</b></div>'
        f'<div class="soft">{_text(group.columns)}</div></article>'
    )


def _finding(finding: Finding) -> str:
    where = f"<b>{_text(finding.column)}</b> " if finding.column else ""
    about = "" if finding.is_exact else "about "
    rows = "1 row" if finding.rows == 1 else f"{finding.rows:,} rows"
    example = f" <code>{_text(format_value(finding.example, 60))}</code>" if finding.example else ""
    share = f'<span class="share">{about}{rows}, {format_share(finding.share)}</span>'
    said = f"{where}{_text(finding.message)}{example}{share}"
    sql = "".join(
        f"<h4>{title}</h4><pre>{escape(text)}</pre>"
        for title, text in (("Show", finding.show_sql), ("Mend", finding.mend_sql))
        if text
    )
    if not sql:
        return f'<article><div class="said">{said}</div></article>'
    return f'<article><details><summary class="said">{said}</summary>{sql}</details></article>'


def _column(column: ColumnProfile, profile: Profile, shows_values: bool) -> str:
    hides = column.is_sensitive and not shows_values
    number = profile.columns.index(column)
    listed = "".join(f"<dt>{k}</dt><dd>{_text(v)}</dd>" for k, v in _column_facts(column, hides))
    drawn = "" if hides else draw_histogram(column) or draw_bars(column)
    wrong = sum(1 for f in profile.findings if f.column == column.name)
    badge = f'<span class="wrong">{wrong} finding{"s" if wrong > 1 else ""}</span>' if wrong else ""
    return (
        f'<div class="column" id="c{number}"><h3>{_text(column.name)}{badge}</h3><div class="tags">{_tags(column)}</div>'
        f"{draw_filled(column)}<dl>{listed}</dl>{drawn}</div>"
    )


def _tags(column: ColumnProfile) -> str:
    tags = [("", column.type if len(column.type) <= 40 else column.type[:39] + "…")]
    if column.better_type:
        tags.append(("really", f"really {column.better_type}"))
    if column.is_key:
        tags.append(("key", "key"))
    if column.meaning:
        tags.append(("pii" if column.is_sensitive else "", column.meaning.kind))
    return "".join(f'<span class="{kind}">{_text(word)}</span>' for kind, word in tags)


def _column_facts(column: ColumnProfile, hides: bool) -> list[tuple[str, str]]:
    about = "" if column.distinct_is_exact else "at least " if column.is_sampled else "about "
    facts = [] if column.family in {"nested", "binary"} else [("distinct", f"{about}{column.distinct:,}")]
    if not hides and column.min is not None:
        of_sample = " in the sample" if column.is_sampled else ""
        facts.append((f"range{of_sample}", f"{format_value(column.min, 36)} … {format_value(column.max or '', 36)}"))
    spread = column.distribution
    if not hides and spread and spread.mean is not None and not promises_key(column.name):
        facts.append(("mean, median", f"{format_number(spread.mean)}, {format_number(spread.quantiles[3])}"))
    if column.pattern:
        facts.append(("pattern", column.pattern))
    if column.max_length and column.max_length > 60:
        facts.append(("length", f"{column.min_length:,} to {column.max_length:,}"))
    if hides and column.masked_example:
        facts.append(("like", column.masked_example))
    return facts


def _structure(profile: Profile) -> str:
    s = profile.structure
    lines = [f"<b>{_text(k)}</b> is a key" for k in s.keys]
    lines += [f"<b>{_text(' and '.join(k))}</b> together are a key" for k in s.composite_keys]
    fixed: dict[tuple[str, bool], list[str]] = {}
    for d in s.dependencies:
        but = f" but for {d.violations:,} rows" if d.violations else ""
        fixed.setdefault((d.determinant, d.is_exact), []).append(f"<b>{_text(d.dependent)}</b>{but}")
    lines += [
        f"<b>{_text(a)}</b> fixes {', '.join(b)}{'' if is_exact else ' (seen in the sample)'}"
        for (a, is_exact), b in fixed.items()
    ]
    lines += [
        f"<b>{_text(k.column)}</b> refers to <b>{_text(k.other)}.{_text(k.other_column)}</b>: {format_share(k.share)} of its values are there"
        for k in s.foreign_keys
    ]
    return (
        '<h2>Structure</h2><ul class="structure">' + "".join(f"<li>{x}</li>" for x in lines) + "</ul>" if lines else ""
    )
