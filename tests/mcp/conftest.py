"""A workspace with an owner, and an MCP client of it in each protocol era."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.wire_client import WireClient
from tests.support.workspaces import owned_workspace


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with owned_workspace(tmp_path / "shop") as place:
        yield place


@pytest.fixture(params=["legacy", "modern"])
def client(request: pytest.FixtureRequest, folder: Path) -> Iterator[WireClient]:
    with WireClient(folder, era=request.param) as made:
        yield made
