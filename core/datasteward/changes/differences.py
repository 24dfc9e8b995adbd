"""How the effect of a change that has moved differs from the one that was shown before, in words."""

from collections.abc import Iterator

from datasteward.changes.counts import count_of, span_of
from datasteward.changes.model import Preview, TableEffect


def compare_previews(earlier: Preview, now: Preview) -> tuple[str, ...]:
    """A line for each table, object, file and check whose effect is another one; one that says so when none is."""
    lines = [
        *_compare_tables(earlier, now),
        *_compare_named("object", _objects(earlier), _objects(now)),
        *_compare_named("file", _files(earlier), _files(now)),
        *_compare_named("check", _checks(earlier), _checks(now)),
    ]
    if earlier.is_reversible != now.is_reversible:
        lines.append("it can be taken back now" if now.is_reversible else "it can no longer be taken back")
    return tuple(lines) or ("the counts are the same as before, but the rows or values are not",)


def _compare_tables(earlier: Preview, now: Preview) -> Iterator[str]:
    before = {t.table.label: t for t in earlier.tables}
    after = {t.table.label: t for t in now.tables}
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        if new is None:
            yield f"{name}: is no longer touched"
        elif old is None:
            yield f"{name}: was not touched before"
        else:
            pairs = zip(_counts(old).items(), _counts(new).values(), strict=True)
            changed = [f"{what} {was:,} before, {is_:,} now" for (what, was), is_ in pairs if was != is_]
            if changed:
                yield f"{name}: {'; '.join(changed)}"
            yield from _compare_named("column", _columns(old), _columns(new))


def _counts(effect: TableEffect) -> dict[str, int]:
    return {
        "rows in the table": effect.rows_before,
        "rows that come in": effect.inserted,
        "rows that change": effect.updated,
        "rows that go": effect.deleted,
    }


def _columns(effect: TableEffect) -> dict[str, str]:
    return {
        f"{effect.table.label}.{c.column}": f"{count_of(c.changed_rows, 'row')}"
        f" from {span_of(c.least_before, c.greatest_before)} to {span_of(c.least_after, c.greatest_after)}"
        for c in effect.columns
    }


def _compare_named(noun: str, before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    for name in dict.fromkeys([*before, *after]):
        if before.get(name) != after.get(name):
            yield f"{noun} {name}: {before.get(name, 'not concerned')} before, {after.get(name, 'not concerned')} now"


def _objects(preview: Preview) -> dict[str, str]:
    return {f"{c.kind} {c.name}": ", ".join([c.action, *c.details]) for c in preview.schema_changes}


def _files(preview: Preview) -> dict[str, str]:
    return {f.path: f"{f.action} with {f.size_after:,} bytes" for f in preview.files}


def _checks(preview: Preview) -> dict[str, str]:
    return {c.name: c.detail for c in preview.checks}
