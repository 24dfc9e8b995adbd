"""What a person may do with a change that waits, as keys and as what the panel hands on."""

from dataclasses import dataclass
from typing import Literal

from datasteward_tui.status_bar import KeyHint

Verb = Literal["approve", "apply", "rule", "edit", "reject", "stop", "later"]
KEYS = (
    KeyHint(key="a", words="approve", action="decide('approve')"),
    KeyHint(key="A", words="by rule", action="decide('rule')"),
    KeyHint(key="e", words="edit", action="decide('edit')"),
    KeyHint(key="r", words="reject", action="ask('reject')"),
    KeyHint(key="c", words="approve + comment", action="ask('approve')"),
    KeyHint(key="l", words="later", action="decide('later')"),
    KeyHint(key="x", words="stop the agent", action="ask('stop')"),
    KeyHint(key="p", words="whole", action="whole"),
)
APPROVED_KEYS = (
    KeyHint(key="a", words="apply", action="decide('approve')"),
    KeyHint(key="p", words="whole", action="whole"),
)
"""Of a change that is approved and was not applied."""
OTHERS = KeyHint(key="←→", words="others", action="step(1)")
CLOSING = (
    KeyHint(key="h", words="history", action="history"),
    KeyHint(key="Esc", words="back", action="leave"),
)
PLACEHOLDERS = {
    "reject": "Why not? Whoever proposed it reads this.",
    "stop": "Why should they stop? All that they have waiting is rejected.",
    "approve": "A comment with the approval.",
}
ENTER_DOES = {"reject": "rejects", "stop": "stops them", "approve": "approves"}
DOING = {
    "approve": "applying …",
    "apply": "applying …",
    "reject": "rejecting …",
    "stop": "stopping …",
    "later": "kept for later",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the person wants done with exactly this digest."""

    verb: Verb
    change: str
    digest: str
    comment: str = ""
    passphrase: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What a line is there for, and what was given already."""

    verb: Verb
    wants: Literal["comment", "rows", "passphrase"] = "comment"
    comment: str = ""
    has_rows: bool = False
    """Whether the number of rows was typed."""
