"""A profile as one HTML page that needs nothing else: no script, no font, no network."""

from html import escape

from datasteward.profiling.figures import format_bytes, format_share, format_value
from datasteward.profiling.model import ColumnProfile, Finding, Profile

_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#667085;--line:#e3e6ea;--back:#fff;--card:#f7f8fa;--accent:#3b6fd4;--high:#c4321c;--medium:#b07208;--low:#667085}
@media (prefers-color-scheme:dark){:root{--ink:#e7e9ec;--soft:#98a2b3;--line:#30363d;--back:#14171b;--card:#1c2126;--accent:#7aa2f0;--high:#ff7b66;--medium:#e6ac3c;--low:#98a2b3}}
*{box-sizing:border-box}body{margin:0;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1100px;margin:0 auto;padding:32px 20px 80px}h1{font-size:26px;margin:0 0 4px}h2{font-size:17px;margin:36px 0 10px}
.soft{color:var(--soft)}.facts{display:flex;flex-wrap:wrap;gap:10px;margin:18px 0}.fact{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:8px 14px}
.fact b{display:block;font-size:18px}.finding{border-left:4px solid var(--low);background:var(--card);border-radius:0 8px 8px 0;padding:8px 14px;margin:8px 0}
.high{border-color:var(--high)}.medium{border-color:var(--medium)}code,pre{font:12.5px/1.5 ui-monospace,monospace}pre{overflow:auto;margin:6px 0;padding:8px;background:var(--back);border:1px solid var(--line);border-radius:6px;white-space:pre-wrap}
details summary{cursor:pointer;color:var(--accent)}.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(320px,1fr));gap:12px}
.column{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px 14px;min-width:0}.column h3{margin:0;font-size:15px;overflow-wrap:anywhere}
.tag{display:inline-block;font-size:12px;border:1px solid var(--line);border-radius:99px;padding:0 8px;margin-right:4px}.pii{border-color:var(--high);color:var(--high)}.key{border-color:var(--accent);color:var(--accent)}
.row{display:grid;grid-template-columns:minmax(0,1fr) 110px 52px;gap:8px;align-items:center;font-size:13px}.row span:first-child{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.track{height:8px;background:var(--line);border-radius:4px}.track i{display:block;height:8px;background:var(--accent);border-radius:4px}svg{width:100%;height:48px;display:block;margin:6px 0 2px}rect{fill:var(--accent)}
.num{text-align:right;font-variant-numeric:tabular-nums}dl{display:grid;grid-template-columns:auto 1fr;gap:0 10px;margin:6px 0;font-size:13px}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
"""


def render_page(profile: Profile, *, shows_values: bool = True) -> str:
    """The whole page as text; `shows_values` false masks the values of sensitive columns."""
    name = escape(profile.name)
    findings = "".join(_finding(f) for f in profile.findings) or '<p class="soft">Nothing found to be wrong.</p>'
    columns = "".join(_column(c, shows_values) for c in profile.columns)
    notes = "".join(
        f"<li>{escape(t)}</li>" for t in (*profile.told, *profile.notes, *(f"Left out: {x}" for x in profile.left_out))
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Profile of {name}</title><style>{_STYLE}</style></head><body><main><h1>{name}</h1>"
        f'<div class="soft">Profile made {escape(profile.made_at)} in {profile.seconds:.1f} s</div>{_facts(profile)}'
        f"{f'<ul>{notes}</ul>' if notes else ''}<h2>Findings ({len(profile.findings)}), worst first</h2>{findings}"
        f'<h2>Columns</h2><div class="grid">{columns}</div>{_structure(profile)}</main></body></html>\n'
    )


def _facts(profile: Profile) -> str:
    sensitive = sum(1 for c in profile.columns if c.is_sensitive)
    facts = [
        ("rows", f"{'' if profile.rows_are_exact else 'about '}{profile.rows:,}"),
        ("columns", str(len(profile.columns))),
        ("format", profile.format),
    ]
    if profile.size_bytes is not None:
        facts.append(("size", format_bytes(profile.size_bytes)))
    if profile.grain:
        facts.append(("grain", profile.grain))
    if profile.structure.duplicate_rows is not None:
        facts.append(("duplicate rows", f"{profile.structure.duplicate_rows:,}"))
    if sensitive:
        facts.append(("columns with personal data", str(sensitive)))
    return (
        '<div class="facts">'
        + "".join(f'<div class="fact"><b>{escape(v)}</b>{escape(k)}</div>' for k, v in facts)
        + "</div>"
    )


def _finding(finding: Finding) -> str:
    where = f"<b>{escape(finding.column)}</b> " if finding.column else ""
    about = "" if finding.is_exact else "about "
    example = f' <span class="soft">e.g. {escape(format_value(finding.example, 80))}</span>' if finding.example else ""
    parts = [(f"<div>Show</div><pre>{escape(finding.show_sql)}</pre>") if finding.show_sql else ""]
    parts.append(f"<div>Mend</div><pre>{escape(finding.mend_sql)}</pre>" if finding.mend_sql else "")
    sql = "".join(parts)
    more = f"<details><summary>SQL</summary>{sql}</details>" if sql else ""
    return (
        f'<div class="finding {finding.severity}">{where}{escape(finding.message)} '
        f'<span class="soft">({about}{finding.rows:,} rows, {format_share(finding.share)})</span>{example}{more}</div>'
    )


def _column(column: ColumnProfile, shows_values: bool) -> str:
    hides = column.is_sensitive and not shows_values
    tags = [f'<span class="tag">{escape(column.type[:60])}</span>']
    if column.is_key:
        tags.append('<span class="tag key">key</span>')
    if column.meaning:
        tags.append(f'<span class="tag{" pii" if column.is_sensitive else ""}">{escape(column.meaning.kind)}</span>')
    if column.better_type:
        tags.append(f'<span class="tag">really {escape(column.better_type)}</span>')
    about = "" if column.distinct_is_exact else "about "
    facts = [
        ("nulls", f"{'about ' if column.is_sampled else ''}{column.nulls:,} ({format_share(column.null_share)})"),
        ("distinct", f"{about}{column.distinct:,}"),
    ]
    if not hides and column.min is not None:
        facts.append(
            (
                "range in the sample" if column.is_sampled else "range",
                f"{format_value(column.min, 40)} … {format_value(column.max or '', 40)}",
            )
        )
    if not hides and column.distribution and column.distribution.mean is not None:
        facts.append(("mean", f"{column.distribution.mean:.6g}"))
    if column.pattern:
        facts.append(("pattern", column.pattern))
    if hides and column.masked_example:
        facts.append(("like", column.masked_example))
    listed = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts)
    drawn = "" if hides else _histogram(column) or _top(column)
    return f'<div class="column"><h3>{escape(column.name)}</h3>{"".join(tags)}<dl>{listed}</dl>{drawn}</div>'


def _histogram(column: ColumnProfile) -> str:
    if not column.distribution or not column.distribution.counts or (column.distinct <= 12 and column.top):
        return ""
    counts = column.distribution.counts
    most, width = max(counts) or 1, 100 / len(counts)
    bars = "".join(
        f'<rect x="{i * width + 0.3:.2f}" y="{44 * (1 - n / most):.2f}" width="{width - 0.6:.2f}" height="{max(44 * n / most, 0.5 if n else 0):.2f}"/>'
        for i, n in enumerate(counts)
    )
    return f'<svg viewBox="0 0 100 44" preserveAspectRatio="none" role="img" aria-label="histogram of {escape(column.name)}">{bars}</svg>'


def _top(column: ColumnProfile) -> str:
    return "".join(
        f'<div class="row"><span title="{escape(t.value)}">{escape(format_value(t.value, 60))}</span>'
        f'<span class="track"><i style="width:{t.share * 100:.1f}%"></i></span><span class="num">{format_share(t.share)}</span></div>'
        for t in column.top[:8]
    )


def _structure(profile: Profile) -> str:
    s = profile.structure
    lines = [f"Key: <b>{escape(k)}</b>" for k in s.keys]
    lines += [f"Key: <b>{escape(' + '.join(k))}</b>" for k in s.composite_keys]
    lines += [
        f"{escape(d.determinant)} fixes {escape(d.dependent)}"
        + (f" but for {d.violations:,} rows" if d.violations else "")
        for d in s.dependencies
    ]
    lines += [
        f"{escape(k.column)} refers to {escape(k.other)}.{escape(k.other_column)} ({format_share(k.share)})"
        for k in s.foreign_keys
    ]
    return "<h2>Structure</h2><ul>" + "".join(f"<li>{x}</li>" for x in lines) + "</ul>" if lines else ""
