"""Calling the person back to a terminal that has lost the focus."""

from textual.app import App


def call_attention(app: App[None], words: str) -> None:
    """Ring the bell and ask the terminal for a desktop notification (OSC 9 and OSC 777); `words` are our own."""
    app.bell()
    driver = app._driver
    if driver is not None and words.isprintable() and ";" not in words:
        driver.write(f"\x1b]9;{words}\x07\x1b]777;notify;Datasteward;{words}\x07")
