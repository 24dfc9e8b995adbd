"""Small charts in block characters: a line of bars, a histogram of some lines' height, one bar for a share."""

from collections.abc import Sequence

LEVELS = " ▁▂▃▄▅▆▇█"
EIGHTHS = " ▏▎▍▌▋▊▉█"


def rebin(counts: Sequence[int], bins: int) -> list[float]:
    """`counts` in `bins` equal parts; what falls on a border is shared out, so that the sum stays the same."""
    if not counts or bins <= 0:
        return []
    found = [0.0] * bins
    for position, count in enumerate(counts):
        start, end = position * bins / len(counts), (position + 1) * bins / len(counts)
        for index in range(int(start), min(bins, int(end) + 1)):
            overlap = min(end, index + 1) - max(start, index)
            if overlap > 0:
                found[index] += count * overlap / (end - start)
    return found


def draw_levels(counts: Sequence[float]) -> str:
    """One character a bar; what is there at all is never drawn as nothing."""
    highest = max(counts, default=0)
    if highest <= 0:
        return " " * len(counts)
    return "".join(LEVELS[max(1, round(c / highest * 8))] if c > 0 else " " for c in counts)


def draw_histogram(counts: Sequence[float], height: int) -> list[str]:
    """`height` lines from top to bottom, one character a bar."""
    highest = max(counts, default=0)
    eighths = [max(1, round(c / highest * height * 8)) if c > 0 else 0 for c in counts]
    lines = []
    for level in range(height - 1, -1, -1):
        lines.append("".join(LEVELS[max(0, min(8, e - level * 8))] for e in eighths))
    return lines


def draw_share(share: float, width: int) -> str:
    """A bar from the left for a share of 0 to 1, padded to `width`; a share above 0 shows."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    if share > 0:
        eighths = max(1, eighths)
    full, part = divmod(eighths, 8)
    return ("█" * full + (EIGHTHS[part] if part else "")).ljust(width)
