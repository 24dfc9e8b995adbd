"""A profile as text: compact for a model, with no value of a sensitive column, or with bars for a person's terminal."""

from collections.abc import Sequence
from dataclasses import replace
from textwrap import wrap

from datasteward.errors import ToolError
from datasteward.profiling.figures import (
    format_bytes,
    format_count,
    format_name,
    format_number,
    format_share,
    format_value,
)
from datasteward.profiling.grouping import FindingGroup, group_findings
from datasteward.profiling.model import ColumnProfile, Finding, Profile
from datasteward.profiling.storing import without_sensitive_values

BUDGET_CHARACTERS = 7_000
_GROUP_LENGTH = 160
_UNCOUNTED = frozenset({"nested", "binary"})
_TINTS = {"high": "\x1b[31m", "medium": "\x1b[33m", "low": "\x1b[2m"}
_BLOCKS = " ▁▂▃▄▅▆▇█"
_SEVERITY_MARK = {"high": "!!", "medium": "!", "low": "·"}


def render_for_model(profile: Profile, *, budget_characters: int = BUDGET_CHARACTERS) -> str:
    """The profile in at most `budget_characters`: header, findings worst first, one line a column, structure.

    Values of sensitive columns never appear, only their masked shape. What does not fit is counted and named.
    """
    profile = without_sensitive_values(profile)
    head = _header(profile)
    structure = _structure(profile)
    room = budget_characters - len("\n".join(head + structure)) - 300
    columns = _fit([column_line(c) for c in profile.columns], [c.name for c in profile.columns], room * 62 // 100)
    left = room - sum(len(x) + 1 for x in columns)
    findings = _fit_findings(profile.findings, left)
    parts = [
        *head,
        *(
            [f"FINDINGS ({len(profile.findings)}), worst first; show='sql' gives the SQL of each", *findings]
            if findings
            else ["FINDINGS none"]
        ),
    ]
    parts += ["COLUMNS name | type | nulls | distinct | values", *columns, *structure]
    return "\n".join(parts)


def _header(profile: Profile) -> list[str]:
    size = f" · {format_bytes(profile.size_bytes)}" if profile.size_bytes is not None else ""
    sampled = (
        ""
        if profile.sampled_rows >= profile.rows
        else f" · figures with ~ are from {profile.sampled_rows:,} sampled rows"
    )
    lines = [
        f"{profile.name}: {'' if profile.rows_are_exact else '~'}{profile.rows:,} rows x {len(profile.columns)} columns · {profile.format}{size}{sampled}"
    ]
    if profile.grain:
        lines.append(f"GRAIN {profile.grain}")
    lines.extend(f"NOTE {t}" for t in profile.told[:8])
    lines.extend(f"LEFT OUT {t}" for t in profile.left_out[:5])
    return lines


def _fit(lines: Sequence[str], names: Sequence[str], room: int) -> list[str]:
    """As many lines as fit; the rest by name, as far as that fits, and counted."""
    if sum(len(x) + 1 for x in lines) <= room:
        return list(lines)
    short = [x if len(x) <= 110 else x[:107] + "…" for x in lines]
    kept: list[str] = []
    used = 0
    for line in short:
        if used + len(line) + 1 > room * 8 // 10:
            break
        kept.append(line)
        used += len(line) + 1
    rest = list(names[len(kept) :])
    if rest:
        listed = ", ".join(rest)
        space = max(40, room - used - 40)
        cut = listed if len(listed) <= space else listed[:space] + "…"
        kept.append(f"and {len(rest)} more: {cut}")
    return kept


def _fit_findings(findings: Sequence[Finding], room: int) -> list[str]:
    kept: list[str] = []
    used = told = 0
    for group in group_findings(findings):
        line = group_line(group)
        if used + len(line) + 1 > room - 30:
            kept.append(f"and {len(findings) - told} more findings")
            break
        kept.append(line)
        used += len(line) + 1
        told += len(group.findings)
    return kept


def group_line(group: FindingGroup) -> str:
    """A finding, or several alike, in one line."""
    if len(group.findings) == 1:
        return finding_line(group.first)
    listed = group.columns if len(group.columns) <= _GROUP_LENGTH else group.columns[:_GROUP_LENGTH] + "…"
    return f"{_SEVERITY_MARK[group.first.severity]} {group.first.message} ({len(group.findings)} columns): {listed}"


def finding_line(finding: Finding) -> str:
    """A finding in one line: mark, column, what, how many rows, an example and the SQL expression that mends it."""
    where = f"{format_name(finding.column)} " if finding.column else ""
    about = "" if finding.is_exact else "~"
    rows = "1 row" if finding.rows == 1 else f"{finding.rows:,} rows"
    example = f" e.g. {format_value(finding.example, 40)}" if finding.example else ""
    is_short = finding.mend_sql and len(finding.mend_sql) <= 110 and "SELECT" not in finding.mend_sql
    mend = f" → {finding.mend_sql}" if is_short else ""
    return (
        f"{_SEVERITY_MARK[finding.severity]} {where}{finding.message} "
        f"({about}{rows}, {format_share(finding.share)}){example}{mend}"
    )


def column_line(column: ColumnProfile) -> str:
    """A column in one line, without values when it is sensitive."""
    kind = column.type if len(column.type) <= 40 else column.type[:37] + "…"
    if column.better_type:
        kind += f"→{column.better_type}"
    if column.meaning:
        kind += f" <{column.meaning.kind}{', PII' if column.is_sensitive else ''}>"
    nulls = f"{'~' if column.is_sampled else ''}{format_share(column.null_share)} null" if column.nulls else "0 null"
    mark = " KEY" if column.is_key else ""
    about = "" if column.distinct_is_exact else "≥" if column.is_sampled else "~"
    distinct = "" if column.family in _UNCOUNTED else f"{about}{format_count(column.distinct)} distinct{mark}"
    return " | ".join(x for x in (format_name(column.name), kind, nulls, distinct, _values(column)) if x)


def _values(column: ColumnProfile) -> str:
    if column.is_sensitive:
        return f"masked, like {column.masked_example}" if column.masked_example else "masked"
    is_listed = column.distinct <= 30 or (column.top and column.top[0].share >= 0.2)
    if column.top and is_listed and not column.is_key and column.family in {"text", "boolean", "integer"}:
        shown = column.top[:4] if column.distinct > 4 else column.top
        return ", ".join(
            f"{format_value(t.value, 24)} {'' if t.is_exact else '~'}{format_share(t.share)}" for t in shown
        )
    return _range(column)


def _range(column: ColumnProfile) -> str:
    parts = []
    if column.family in _UNCOUNTED and column.max_length is not None:
        unit = "elements" if column.type.endswith("]") else "bytes" if column.family == "binary" else "characters"
        least = f"{column.min_length:,} to " if column.min_length != column.max_length else ""
        parts.append(f"{least}{column.max_length:,} {unit}")
    if column.min is not None:
        parts.append(
            f"{'~' if column.is_sampled else ''}{format_value(column.min, 26)} … {format_value(column.max or '', 26)}"
        )
    if (
        column.distribution
        and column.family in {"integer", "decimal"}
        and len(column.distribution.quantiles) == 7
        and not column.is_key
    ):
        q = column.distribution.quantiles
        parts.append(f"p25/50/75 {format_number(q[2])}/{format_number(q[3])}/{format_number(q[4])}")
    if column.pattern:
        parts.append(f"like {column.pattern}")
    elif column.family == "text" and column.max_length and column.max_length > 60:
        parts.append(f"length {column.min_length}–{column.max_length}")
    return ", ".join(parts)


def _structure(profile: Profile) -> list[str]:
    s = profile.structure
    lines = []
    if s.keys:
        lines.append(f"KEYS {', '.join(s.keys[:6])}")
    if s.composite_keys:
        lines.append("KEYS " + "; ".join(" + ".join(k) for k in s.composite_keys))
    exact = [d for d in s.dependencies if not d.violations]
    if exact:
        mark = "" if all(d.is_exact for d in exact) else " (in the sample)"
        fixed: dict[str, list[str]] = {}
        for item in exact[:12]:
            fixed.setdefault(item.determinant, []).append(item.dependent)
        lines.append(f"FIXED BY{mark} " + "; ".join(f"{a} → {', '.join(b)}" for a, b in fixed.items()))
    if s.foreign_keys:
        lines.append(
            "JOINS "
            + ", ".join(f"{k.column}→{k.other}.{k.other_column} {format_share(k.share)}" for k in s.foreign_keys[:8])
        )
    return lines


def render_for_terminal(profile: Profile, *, width: int = 100, shows_values: bool = True, colour: bool = False) -> str:
    """The profile for a person: findings, and a bar or histogram for each column.

    `shows_values` false masks sensitive columns; `colour` adds ANSI colours and must be off when NO_COLOR is set.
    """
    profile = profile if shows_values else without_sensitive_values(profile)
    bold, end = ("\x1b[1m", "\x1b[0m") if colour else ("", "")
    head = _header(profile)
    lines = [
        f"{bold}{head[0]}{end}",
        *(x for line in head[1:] for x in wrap(line, width, subsequent_indent="    ")),
        "",
    ]
    for group in group_findings(profile.findings):
        tint = _TINTS[group.first.severity] if colour else ""
        lines += [f"{tint}{x}{end}" for x in wrap(group_line(group), width, subsequent_indent="    ")]
    lines += (
        ["", "--sql prints the SQL that shows and mends each."] if profile.findings else ["Nothing found to be wrong."]
    )
    name_width = min(28, max((len(c.name) for c in profile.columns), default=4))
    lines += ["", f"{'COLUMN':{name_width}} {'TYPE':12} FILLED DISTINCT SHAPE        VALUES"]
    lines += [_terminal_line(c, name_width, shows_values)[: max(width, 60)] for c in profile.columns]
    return "\n".join(
        [*lines, "", *(x for line in _structure(profile) for x in wrap(line, width, subsequent_indent="    "))]
    )


def _terminal_line(column: ColumnProfile, name_width: int, shows_values: bool) -> str:
    name = format_value(column.name, name_width)
    filled = bar(1 - column.null_share, 6)
    drawn = sparkline(column.distribution.counts) if column.distribution and column.distribution.counts else " " * 12
    if column.top and not drawn.strip() and (shows_values or not column.is_sensitive):
        drawn = bar(column.top[0].share, 12)
    values = _values(column) if not (column.is_sensitive and shows_values) else _range(column)
    kind = f"{column.type[:12]:12}"
    about = "" if column.distinct_is_exact else "≥" if column.is_sampled else "~"
    mark = "KEY" if column.is_key else "" if column.family in _UNCOUNTED else f"{about}{format_count(column.distinct)}"
    meaning = f"<{column.meaning.kind}> " if column.meaning else ""
    return f"{name:{name_width}} {kind} {filled} {mark:>8} {drawn:12} {meaning}{values}".rstrip()


def bar(share: float, width: int) -> str:
    """A horizontal bar `width` characters wide."""
    full = round(max(0.0, min(1.0, share)) * width)
    return "█" * full + "░" * (width - full)


def sparkline(counts: Sequence[int]) -> str:
    """A histogram in one line of block characters; any count above zero is visible."""
    most = max(counts, default=0)
    return "".join(_BLOCKS[0 if n == 0 else max(1, round(n / most * 8))] for n in counts) if most else ""


def render_sql(profile: Profile) -> str:
    """Each finding with the SQL that shows it and the SQL that mends it, worst first."""
    blocks = []
    for finding in profile.findings[:40]:
        lines = [finding_line(replace(finding, mend_sql=""))]
        lines += [f"  show: {finding.show_sql}"] if finding.show_sql else []
        lines += [f"  mend: {finding.mend_sql}"] if finding.mend_sql else []
        blocks.append("\n".join(lines))
    return "\n".join(blocks) or "Nothing was found to be wrong."


def render_column(profile: Profile, name: str, *, shows_values: bool) -> str:
    """Everything about one column; raises `ToolError` for an unknown name. Values of a sensitive column need `shows_values`."""
    column = next((c for c in profile.columns if c.name.casefold() == name.casefold()), None)
    if column is None:
        known = ", ".join(c.name for c in profile.columns[:40])
        raise ToolError(f"{profile.name} has no column '{name}'.", code="not_found", hint=f"Columns: {known}.")
    lines = [column_line(column)]
    if shows_values or not column.is_sensitive:
        lines += [
            f"  {format_value(t.value, 80)}: {'' if t.is_exact else '~'}{t.rows:,} ({format_share(t.share)})"
            for t in column.top
        ]
        if column.distribution and column.distribution.quantiles:
            quantiles = zip(("p1", "p5", "p25", "p50", "p75", "p95", "p99"), column.distribution.quantiles, strict=True)
            lines.append("  " + ", ".join(f"{n} {format_number(q)}" for n, q in quantiles))
            lines.append(
                f"  mean {column.distribution.mean}, deviation {column.distribution.deviation}, skew {column.distribution.skew}"
            )
    lines += [finding_line(f) for f in profile.findings if f.column == column.name]
    return "\n".join(lines)
