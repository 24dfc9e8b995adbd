"""Reads the Markdown texts of this package."""

from importlib.resources import files


def read_text(name: str) -> str:
    """The text of `<name>.md` without blank ends; raises `FileNotFoundError` for an unknown name."""
    return files("datasteward_prompts").joinpath(f"{name}.md").read_text(encoding="utf-8").strip()
