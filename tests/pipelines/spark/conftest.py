"""A Spark Connect server that needs no Java, one for all tests here."""

import os
from collections.abc import Iterator

import pytest

from tests.support.spark_server import running_sail


@pytest.fixture(scope="session")
def spark_address() -> Iterator[str]:
    """`host:port` of the server: the one named by SPARK_CONNECT_ADDRESS, or a Sail server started for the tests."""
    named = os.environ.get("SPARK_CONNECT_ADDRESS")
    if named:
        yield named
        return
    pytest.importorskip("pysail", reason="pysail, a Spark Connect server, is not installed")
    pytest.importorskip("pyspark", reason="the Spark client, datasteward[spark], is not installed")
    with running_sail() as address:
        yield address
