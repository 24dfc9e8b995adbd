"""A canvas of braille dots, two across and four down in each character."""

_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


class BrailleCanvas:
    """Draws in shares of its size: 0, 0 is the lower left corner, 1, 1 the upper right."""

    def __init__(self, columns: int, rows: int) -> None:
        self._columns, self._rows = max(1, columns), max(1, rows)
        self._cells = [[0] * self._columns for _ in range(self._rows)]
        self._letters: dict[tuple[int, int], str] = {}

    def dot(self, x: float, y: float) -> None:
        """One dot."""
        self._set(round(x * (self._columns * 2 - 1)), round((1 - y) * (self._rows * 4 - 1)))

    def line(self, x1: float, y1: float, x2: float, y2: float, floor: float | None = None) -> None:
        """A straight line; with `floor`, filled down (or up) to that height."""
        across, down = self._columns * 2 - 1, self._rows * 4 - 1
        steps = max(1, round(abs(x2 - x1) * across), round(abs(y2 - y1) * down))
        for step in range(steps + 1):
            x, y = x1 + (x2 - x1) * step / steps, y1 + (y2 - y1) * step / steps
            self.dot(x, y)
            if floor is not None:
                top, bottom = sorted((round((1 - y) * down), round((1 - floor) * down)))
                for height in range(top, bottom + 1):
                    self._set(round(x * across), height)

    def letter(self, x: float, y: float, letter: str) -> None:
        """A letter over the dots at that place."""
        self._letters[round((1 - y) * (self._rows - 1)), round(x * (self._columns - 1))] = letter

    def lines(self) -> list[str]:
        """The canvas as text, top line first."""
        return [
            "".join(self._letters.get((r, c)) or (chr(0x2800 + cell) if cell else " ") for c, cell in enumerate(row))
            for r, row in enumerate(self._cells)
        ]

    def _set(self, x: int, y: int) -> None:
        if 0 <= x < self._columns * 2 and 0 <= y < self._rows * 4:
            self._cells[y // 4][x // 2] |= _BITS[y % 4][x % 2]
