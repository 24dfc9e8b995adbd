"""The page that tells the story of a change is for a reader, and nothing that others wrote can lay it out."""

import pytest
from tests.support.changes_workspace import ChangesWorkspace

from datasteward.changes.model import Parameter
from datasteward.changes.trace import trace_markdown

pytestmark = pytest.mark.anyio
UPDATE = "UPDATE orders SET amount = amount * $1 WHERE customer = 3"


async def test_the_page_tells_who_asked_what_and_why_and_how_it_ended(workspace: ChangesWorkspace) -> None:
    service = workspace.service()
    report = await service.propose(
        UPDATE,
        requested_by="mcp:agent",
        purpose="double it\n# not a heading\n```\n## nor this",
        parameters=(Parameter(name="1", value=2),),
    )
    await service.approve(report.change, digest=report.digest, by="ada", channel="terminal", comment="as agreed")
    undo = await service.propose_undo(report.change, requested_by="cli:bob", purpose="wrong after all")
    await service.approve(undo.change, digest=undo.digest, by="ada", channel="terminal")
    row, events = await service.show(report.change), await service.history(report.change)
    page = trace_markdown(row, events, root=workspace.root)
    for told in (
        "# Change c1: applied\n\nAsked by `mcp:agent` at 20",
        "````text\ndouble it\n# not a heading\n```\n## nor this\n````",
        f"```sql\n{UPDATE}\n```",
        "1 = 2",
        "orders: +0 ~100 -0 rows (1,000 -> 1,000)",
        "ask: decided by the default",
        ": approved by `ada` (terminal):\n\n  ```text\n  as agreed\n  ```",
        "It was taken back by c2.",
        f"- digest: `{report.digest}`",
        f"- undo record: `{row.applied.record_hash}`",  # type: ignore[union-attr]
        *(f"| `{e.entry_hash}` |" for e in events),
    ):
        assert told in page, page
    assert "False" not in page and "{'" not in page
    undone = trace_markdown(await service.show(undo.change), await service.history(undo.change))
    assert "It takes back c1." in undone and "Proven: the fingerprint equals the one before" in undone


async def test_the_page_of_a_rejected_change_tells_why_it_was_rejected(workspace: ChangesWorkspace) -> None:
    service = workspace.service()
    report = await service.propose("DELETE FROM orders WHERE id < 5", requested_by="mcp:agent")
    await service.reject(report.change, by="ada", channel="app", comment="wrong ids")
    page = trace_markdown(await service.show(report.change), await service.history(report.change))
    assert ": rejected by `ada` (app):\n\n  ```text\n  wrong ids\n" in page
    assert "be taken back" not in page
