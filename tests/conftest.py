"""Fixtures every test may use."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of outside cases that may stand beside a checkout; tests that want it skip without it."""
    named = os.environ.get("DATASTEWARD_CASES")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("outside cases are not here: set DATASTEWARD_CASES to their folder")
    return folder


@pytest.fixture
def anyio_backend() -> str:
    """The one event loop the product runs on."""
    return "asyncio"
