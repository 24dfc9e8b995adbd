"""How a rejection says that whoever asked is to stop altogether, so that a harness can end the run on it."""

_STOP = "Stop your work here and tell what is left undone."


def word_stop(reason: str) -> str:
    """The comment of such a rejection."""
    return f"{_STOP} {reason}".strip()


def asks_to_stop(comment: str) -> bool:
    """Whether the comment of a rejection asks to stop."""
    return comment.startswith(_STOP)
