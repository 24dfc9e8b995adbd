"""Profiles as JSON documents, with and without the values of sensitive columns."""

from dataclasses import replace

from pydantic import TypeAdapter, ValidationError

from datasteward.errors import ToolError
from datasteward.profiling.model import ColumnProfile, Finding, Profile
from datasteward.profiling.personal_text import conceal

_ADAPTER: TypeAdapter[Profile] = TypeAdapter(Profile)


def to_json(profile: Profile, *, indent: int | None = None) -> str:
    """The profile as a JSON document, every field included; `from_json` reads it back to an equal profile."""
    return _ADAPTER.dump_json(profile, indent=indent).decode()


def from_json(text: str) -> Profile:
    """A stored profile; raises `ToolError` when the document is none or of another version."""
    try:
        found = _ADAPTER.validate_json(text)
    except ValidationError as error:
        raise ToolError(
            f"This is not a stored profile: {error.error_count()} fields do not fit.", code="invalid_arguments"
        ) from error
    if found.version != 1:
        raise ToolError(
            f"The stored profile has version {found.version}; this program reads version 1.", code="invalid_arguments"
        )
    return found


def without_sensitive_values(profile: Profile) -> Profile:
    """The profile for a model: no value of a sensitive column in any field, and none of nested values or JSON.

    What a record or a document holds is not looked into field by field, so it is taken for sensitive. In what is left,
    personal data that is known by its shape is masked wherever it stands, also in SQL and in notes.
    """
    hidden = {c.name for c in profile.columns if _hides(c)}
    return replace(
        profile,
        columns=tuple(_hide(c) if c.name in hidden else _conceal(c) for c in profile.columns),
        findings=tuple(_conceal_finding(f, hides=f.column in hidden) for f in profile.findings),
        told=tuple(conceal(t) for t in profile.told),
        notes=tuple(conceal(t) for t in profile.notes),
    )


def _hides(column: ColumnProfile) -> bool:
    is_document = column.family == "nested" or (column.meaning is not None and column.meaning.kind == "JSON")
    return column.is_sensitive or is_document


def _hide(column: ColumnProfile) -> ColumnProfile:
    return replace(column, min=None, max=None, top=(), distribution=None)


def _conceal(column: ColumnProfile) -> ColumnProfile:
    if column.family not in {"text", "integer", "other"}:
        return column
    return replace(
        column,
        min=None if column.min is None else conceal(column.min),
        max=None if column.max is None else conceal(column.max),
        top=tuple(replace(t, value=conceal(t.value)) for t in column.top),
        better_note=conceal(column.better_note),
    )


def _conceal_finding(finding: Finding, *, hides: bool) -> Finding:
    return replace(
        finding,
        example="" if hides else conceal(finding.example),
        message=conceal(finding.message),
        show_sql=conceal(finding.show_sql),
        mend_sql=conceal(finding.mend_sql),
    )
