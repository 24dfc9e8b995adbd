"""What the app needs from outside; a part that is not given is a panel that does not appear."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from datasteward.calling import ToolCaller

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from datasteward.changes.policy import PolicySettings
    from datasteward.changes.service import ChangeReport, Channel
    from datasteward.changes.store import ChangeEvent, ChangeRow, ChangeSummary
    from datasteward_agent.agent import Agent
    from datasteward_agent.models.port import Effort
    from datasteward_agent.session_store import Session, SessionStore
    from datasteward_agent.toolset import Person

Mode = Literal["plan", "ask", "auto"]
MODES: tuple[Mode, ...] = ("plan", "ask", "auto")


class ApprovalDesk(Protocol):
    """The workspace's proposals, decided by the person at this terminal; `ChangeService` has this shape."""

    policy: "PolicySettings"

    async def summaries(self, *, only_open: bool = False, limit: int = 100) -> "tuple[ChangeSummary, ...]":
        """The proposals, newest first."""

    async def show(self, change: str) -> "ChangeRow":
        """Everything stored about one."""

    async def approve(
        self,
        change: str,
        *,
        digest: str,
        by: str,
        channel: "Channel",
        comment: str = "",
        key: "Ed25519PrivateKey | None" = None,
    ) -> "ChangeReport":
        """Approve exactly the digest that was shown, then apply; raises `ToolError`."""

    async def apply(self, change: str) -> "ChangeReport":
        """Apply an approved change, never twice; of any other, how it stands. Raises `ToolError`."""

    async def edit(self, change: str, sql: str, *, requested_by: str, comment: str = "") -> "ChangeReport":
        """Put another text in a waiting change's place: a new change, measured, that waits; raises `ToolError`."""

    def needs_signature(self) -> bool:
        """Whether an approver's key was made, so that only its signature approves; reads from disk."""

    def unlock_approver(self, passphrase: str) -> "Ed25519PrivateKey":
        """The approver's key; raises `ToolError` for a wrong passphrase; slow on purpose."""

    def may_allow(self, policy: "PolicySettings") -> bool:
        """Whether the `allow` rules of a policy count: there is no approver's key, or the policy is signed with it."""

    def sign_policy(self, passphrase: str) -> str:
        """Sign `policy` as it is, so that its rules count although there is an approver's key; raises `ToolError`."""

    async def reject(
        self, change: str, *, by: str, channel: "Channel", comment: str = "", digest: str | None = None
    ) -> "ChangeReport":
        """Reject with a reason; raises `ToolError`."""

    async def postpone(self, change: str, *, by: str) -> "ChangeReport":
        """Leave it for later."""

    async def propose_undo(self, change: str, *, requested_by: str, purpose: str = "") -> "ChangeReport":
        """Propose to take an applied change back; raises `ToolError`."""

    async def history(self, change: str) -> "tuple[ChangeEvent, ...]":
        """Every step of a change, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChoice:
    """How the next run is to be; effort None is the model's own."""

    mode: Mode
    model: str
    effort: "Effort | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOffer:
    """A model to choose, and a few words on it."""

    name: str
    about: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatProvider:
    """A model to talk to: its name, where sessions are kept, and how an agent for one run is made."""

    model: str
    open_sessions: "Callable[[], SessionStore]"
    make_agent: "Callable[[Session, RunChoice, Person], Awaitable[Agent]]"
    """Called for every prompt, so that a change of mode or model takes effect; the agent waits for decisions."""
    models: tuple[ModelOffer, ...] = ()
    """What `/model` offers; any other name may be typed."""
    notice: str = ""
    """What the person should know from the start; shown below the welcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """A prompt file as a slash command: what stands after the command goes into the text for the model."""

    name: str
    about: str
    arguments: tuple[str, ...]
    """As shown: an argument that may be left out stands in square brackets."""
    write: Callable[[str], str]
    """The text for the model from what stands after the command; raises `ToolError` when an argument is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Providers:
    """The parts a composition root hands over."""

    open_tools: Callable[[], AbstractAsyncContextManager[ToolCaller]]
    open_desk: Callable[[], AbstractAsyncContextManager[ApprovalDesk]] | None = None
    chat: ChatProvider | None = None
    list_workflows: Callable[[], Sequence[Workflow]] | None = None
    """Reads the prompt files, so it is called in a thread; raises `ToolError` naming a file that is wrong."""
    preferences_path: Path | None = None
    """Where the person's choices for the app are kept; None keeps none."""
    decided_by: str = ""
    """The person's name in decisions; the user's login unless given."""
