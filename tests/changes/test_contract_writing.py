"""A contract is written through the same door as any other change: previewed, decided, applied, taken back."""

import pytest
from tests.support.changes_workspace import ChangesWorkspace

from datasteward.changes.render import render_report
from datasteward.changes.service import ChangeReport, ChangeService
from datasteward.errors import ToolError

pytestmark = pytest.mark.anyio
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
schema:
  - name: orders
    properties:
      - name: id
        logicalType: integer
        required: true
      - name: status
        logicalType: string
"""


def write(document: str, path: str = "contracts/orders.yaml") -> str:
    return f"WRITE CONTRACT '{path}' AS $${document}$$"


async def apply(service: ChangeService, report: ChangeReport) -> ChangeReport:
    return await service.approve(report.change, digest=report.digest, by="ada", channel="terminal")


async def test_a_contract_is_previewed_applied_and_taken_back(workspace: ChangesWorkspace) -> None:
    service, path = workspace.service(), workspace.root / "contracts" / "orders.yaml"
    report = await service.propose(write(CONTRACT), requested_by="mcp:agent")
    assert not path.exists()
    assert "contract orders promises 2 columns and 1 checks" in report.preview.notes
    assert "orders.yaml: created" in render_report(report)
    assert report.preview.is_reversible
    assert (await apply(service, report)).status == "applied"
    assert path.read_text() == CONTRACT.lstrip()
    later = CONTRACT.replace("        required: true\n", "").replace(
        "      - name: status\n        logicalType: string\n", ""
    )
    second = await service.propose(write(later), requested_by="mcp:agent")
    assert any("(breaking)" in note for note in second.preview.notes), second.preview.notes
    assert second.preview.risk.level == "medium"
    assert (await apply(service, second)).status == "applied"
    for change in (second.change, report.change):
        undo = await service.propose_undo(change, requested_by="t")
        assert (await apply(service, undo)).status == "applied"
        assert not path.exists() or path.read_text() == CONTRACT.lstrip()
    assert not path.exists()


async def test_a_contract_edited_by_hand_meanwhile_is_asked_about_again(workspace: ChangesWorkspace) -> None:
    service, path = workspace.service(), workspace.root / "orders.yaml"
    report = await service.propose(write(CONTRACT, "orders.yaml"), requested_by="t")
    path.write_text("mine")
    moved = await apply(service, report)
    assert (moved.status, path.read_text()) == ("moved", "mine")
    assert moved.preview_now is not None and "orders.yaml holds no valid contract now" in moved.preview_now.notes


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (write(CONTRACT, "../out.yaml"), "cannot hold a contract"),
        (write(CONTRACT, ".steward/x.yaml"), "cannot hold a contract"),
        (write(CONTRACT, "contracts/x.py"), "cannot hold a contract"),
        (write(CONTRACT, "a/b/c.yaml"), "does not exist"),
        (write("kind: DataContract"), "is not an ODCS|required|apiVersion"),
        (write("a: [1"), "YAML"),
        ("WRITE CONTRACT 'x.yaml'", "not written as it is read"),
        (write(CONTRACT) + "; DELETE FROM orders", "not written as it is read"),
        (write(CONTRACT + "$$; DELETE FROM orders; $$"), "not written as it is read"),
    ],
)
async def test_what_is_no_contract_or_belongs_elsewhere_is_refused(
    workspace: ChangesWorkspace, text: str, reason: str
) -> None:
    with pytest.raises(ToolError, match=reason):
        await workspace.service().propose(text, requested_by="t")


async def test_a_link_out_of_the_workspace_is_not_followed(
    workspace: ChangesWorkspace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (workspace.root / "contracts").symlink_to(tmp_path_factory.mktemp("elsewhere"))
    with pytest.raises(ToolError, match="cannot hold a contract"):
        await workspace.service().propose(write(CONTRACT), requested_by="t")
