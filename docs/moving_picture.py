"""Screens of the app as one picture that moves: an SVG whose frames take turns, without any script."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_VIEW_BOX = re.compile(r'viewBox="0 0 ([0-9.]+) ([0-9.]+)"')
_FONTS = re.compile(r"@font-face\s*{.*?}", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A screen as SVG, a line that says what happens, and how long it stands."""

    svg: str
    words: str
    seconds: float


def join_frames(frames: Sequence[Frame]) -> str:
    """The frames one after another, again and again, each under its line."""
    match = _VIEW_BOX.search(frames[0].svg)
    if match is None:
        raise ValueError("the first frame has no viewBox")
    width, height = float(match[1]), float(match[2])
    whole = sum(f.seconds for f in frames)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height + 40:g}">']
    parts.append(f'<rect width="{width:g}" height="{height + 40:g}" fill="#13161b" rx="8"/>')
    begin = 0.0
    for number, frame in enumerate(frames):
        share, begin = begin / whole, begin + frame.seconds
        values = [(0.0, "visible" if number == 0 else "hidden"), (share, "visible"), (begin / whole, "hidden")]
        steps = values[1:] if number == 0 else values
        if number == len(frames) - 1:
            steps = steps[:-1]
        times = ";".join(f"{at:.5f}" for at, _ in steps)
        states = ";".join(state for _, state in steps)
        parts.append(f'<g visibility="{"visible" if number == 0 else "hidden"}">')
        parts.append(
            f'<animate attributeName="visibility" dur="{whole:g}s" repeatCount="indefinite" calcMode="discrete"'
            f' keyTimes="{times}" values="{states}"/>'
        )
        parts.append(
            f'<text x="20" y="26" fill="#eda75c" font-family="sans-serif" font-size="18">'
            f"{number + 1} of {len(frames)} · {frame.words}</text>"
        )
        inner = _FONTS.sub("", frame.svg).replace("<svg ", f'<svg y="40" width="{width:g}" height="{height:g}" ', 1)
        parts.append(inner)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>"])
