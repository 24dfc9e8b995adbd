"""Where the blocks of a long column stand: heights are estimated until a block is seen, and put right then."""

from bisect import bisect_right
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A line within a block."""

    block: int
    line: int


class BlockStack:
    """Heights of blocks, one below the other; changing the last one costs nothing however many there are."""

    def __init__(self) -> None:
        self._heights: list[int] = []
        self._exact: list[bool] = []
        self._starts: list[int] = [0]
        self._valid = 0

    def __len__(self) -> int:
        return len(self._heights)

    @property
    def total(self) -> int:
        """Lines of all blocks together."""
        self._settle(len(self._heights))
        return self._starts[len(self._heights)]

    def append(self, height: int, *, is_exact: bool) -> None:
        """Add a block at the end."""
        self._heights.append(height)
        self._exact.append(is_exact)
        self._starts.append(0)

    def set_height(self, block: int, height: int) -> int:
        """Record the true height of a block and return by how many lines it grew."""
        growth = height - self._heights[block]
        self._exact[block] = True
        if growth:
            self._heights[block] = height
            self._valid = min(self._valid, block)
        return growth

    def is_exact(self, block: int) -> bool:
        """Whether the height was measured at the current width."""
        return self._exact[block]

    def forget(self, scale: float) -> None:
        """Every height is an estimate again, `scale` times what it was."""
        self._heights = [max(1, round(h * scale)) for h in self._heights]
        self._exact = [False] * len(self._heights)
        self._valid = 0

    def clear(self) -> None:
        """No blocks."""
        self._heights.clear()
        self._exact.clear()
        self._starts[:] = [0]
        self._valid = 0

    def start(self, block: int) -> int:
        """The line at which a block begins."""
        self._settle(block)
        return self._starts[block]

    def height(self, block: int) -> int:
        """Lines of a block."""
        return self._heights[block]

    def find(self, line: int) -> Place | None:
        """The block at `line`, None below the last."""
        if line < 0 or line >= self.total:
            return None
        block = bisect_right(self._starts, line, 0, len(self._heights)) - 1
        while self._heights[block] == 0:
            block -= 1
        return Place(block=block, line=line - self._starts[block])

    def _settle(self, upto: int) -> None:
        if upto <= self._valid:
            return
        position = self._starts[self._valid]
        for index in range(self._valid, upto):
            position += self._heights[index]
            self._starts[index + 1] = position
        self._valid = upto
