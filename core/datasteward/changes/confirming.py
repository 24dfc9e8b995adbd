"""Which changes a plain yes does not approve: the person types how many rows they touch, in every front end alike."""

from datasteward.changes.model import Preview

TYPED_SHARE = 0.1


def rows_to_type(preview: Preview) -> int | None:
    """How many rows come in, change and go together, when that number has to be typed to approve; else None.

    It has to where more than a tenth of a measured table changes or goes, and where the risk is high: the change
    cannot be taken back, breaks a check, or drops or replaces a table with rows.
    """
    is_large = any(
        not t.is_estimated and t.deleted + t.updated > TYPED_SHARE * max(1, t.rows_before) for t in preview.tables
    )
    if not is_large and preview.is_reversible and preview.risk.level != "high":
        return None
    return sum(t.inserted + t.updated + t.deleted for t in preview.tables)
