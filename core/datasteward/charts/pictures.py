"""Charts as picture files."""

import hashlib
from pathlib import Path
from typing import Literal

Picture = Literal["png", "svg"]


def save_picture(folder: Path, handle: str, vega_json: str, picture: Picture) -> Path:
    """Draw the picture, store it below `folder` under a name made of its content, and return the path.

    Raises `ConfigError` when the charts extra is not installed.
    """
    from datasteward.charts.vega import draw_png, draw_svg

    content = draw_png(vega_json) if picture == "png" else draw_svg(vega_json).encode()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = f"{handle}-{hashlib.sha256(vega_json.encode()).hexdigest()[:12]}.{picture}"
    path = folder / name
    path.write_bytes(content)
    return path
