"""Profiles as JSON documents, with and without the values of sensitive columns."""

from dataclasses import replace

from pydantic import TypeAdapter, ValidationError

from datasteward.errors import ToolError
from datasteward.profiling.model import ColumnProfile, Profile

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

    What a record or a document holds is not looked into field by field, so it is taken for sensitive.
    """
    hidden = {c.name for c in profile.columns if _hides(c)}
    if not hidden:
        return profile
    findings = tuple(replace(f, example="") if f.column in hidden else f for f in profile.findings)
    return replace(profile, columns=tuple(_hide(c) if _hides(c) else c for c in profile.columns), findings=findings)


def _hides(column: ColumnProfile) -> bool:
    is_document = column.family == "nested" or (column.meaning is not None and column.meaning.kind == "JSON")
    return column.is_sensitive or is_document


def _hide(column: ColumnProfile) -> ColumnProfile:
    return replace(column, min=None, max=None, top=(), distribution=None)
