"""The outcome of a unit test of an asset."""

from datasteward.pipelines.options import Options


class TestOutcome(Options):
    """One unit test; `differences` are rows that are missing (-) or too many (+), or what went wrong."""

    __test__ = False

    asset: str
    name: str
    passed: bool
    differences: tuple[str, ...] = ()
