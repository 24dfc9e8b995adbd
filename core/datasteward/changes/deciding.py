"""Decisions on waiting changes: on the exact digest that was shown, by one winner, signed once there is a key."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from datasteward.changes.approver import make_key, sign_approval, sign_text, unlock_key
from datasteward.changes.confirming import answer_to_type
from datasteward.changes.crash import crash_point
from datasteward.changes.digest import digest_of
from datasteward.changes.history import JournalWriter
from datasteward.changes.model import Approval
from datasteward.changes.policy import PolicySettings
from datasteward.changes.reports import ChangeReport, report_of, show_instant, wrong_state
from datasteward.changes.signatures import refuse_unsigned
from datasteward.changes.staging import drop_staged
from datasteward.changes.store import ChangeRow, ChangeStore
from datasteward.errors import ToolError

UNSIGNED_POLICY = (
    "The policy is not signed, so its allow rules do not count; with the approver's passphrase"
    " steward policy sign makes them count as they are now."
)

Channel = Literal["terminal", "app", "elicitation", "policy", "headless"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Who decides, where and why; `key` signs an approval."""

    by: str
    channel: Channel
    comment: str = ""
    key: Ed25519PrivateKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deciding:
    """Records decisions; every method waits on files, so call it from a thread."""

    store: ChangeStore
    history: JournalWriter
    state_folder: Path
    policy: Callable[[], PolicySettings]

    def expire(self) -> None:
        """Close what has waited too long."""
        with self.store.transaction() as moves:
            expired = moves.expire()
            staged = [moves.staging_of(number) for number in expired]
        for name in staged:
            drop_staged(self.state_folder, name)
        if expired:
            self.history.flush()

    def approve(self, number: int, digest: str, decision: Decision) -> None:
        """Approve exactly this digest; raises `ToolError` (conflict, forbidden)."""
        self.expire()
        earlier = report_of(self.store.get(number))
        if decision.channel == "elicitation" and earlier.status == "waiting" and not self.can_elicit(earlier):
            raise ToolError(
                f"c{number} has to be decided in the inbox, not in the client.",
                code="forbidden",
                hint=f"steward changes approve c{number}, or the app, decides on it.",
            )
        crash_point("decide.before_record")
        with self.store.transaction() as moves:
            row = moves.get(number)
            if row.summary.status != "waiting":
                raise wrong_state(row)
            if not digest == row.summary.digest == digest_of(row.proposal):
                raise _other_digest(row)
            approval = _make_approval(row, digest, moves.now, "approve", decision)
            if decision.key is not None:
                approval = sign_approval(decision.key, approval)
            refuse_unsigned(moves.connection, self.state_folder, self.policy(), approval, row.proposal)
            moves.approve(number, approval, lifetime_seconds=self.policy().approval_minutes * 60)
            moves.note(number, "change.approved", {**_fields(decision, digest), "nonce": approval.nonce})
        crash_point("decide.after_record")
        self.history.flush()

    def reject(self, number: int, digest: str | None, decision: Decision) -> None:
        """Reject a waiting change, with `digest` only if it is the one that was shown.

        An approved one that nobody is applying is rejected too: its approval is taken back. The late no of a client's
        user takes back nothing, because they were asked about a waiting one.
        """
        self.expire()
        crash_point("decide.before_record")
        with self.store.transaction() as moves:
            row = moves.get(number)
            if digest is not None and digest != row.summary.digest:
                raise _other_digest(row)
            if decision.channel == "elicitation" and row.summary.status != "waiting":
                raise wrong_state(row)
            moves.reject(number, _make_approval(row, row.summary.digest, moves.now, "reject", decision))
            moves.note(number, "change.rejected", _fields(decision, row.summary.digest))
        drop_staged(self.state_folder, row.staging)
        crash_point("decide.after_record")
        self.history.flush()

    def postpone(self, number: int, by: str) -> None:
        """Let a waiting change wait anew."""
        self.expire()
        with self.store.transaction() as moves:
            moves.postpone(number, self.policy().proposal_hours * 3600)
            moves.note(number, "change.postponed", {"by": by})
        self.history.flush()

    def can_elicit(self, report: ChangeReport) -> bool:
        """Whether the user of an MCP client may decide this in the client; what is large or of high risk takes more than a tick."""
        return (
            report.status == "waiting"
            and self.policy().elicit == "reversible"
            and report.preview.is_reversible
            and not report.preview.checks
            and answer_to_type(report.change, report.preview) is None
            and not self.needs_signature()
        )

    def needs_signature(self) -> bool:
        """Whether an approver's key was made."""
        return self.store.needs_signature(self.state_folder)

    def may_allow_by_policy(self) -> bool:
        """Whether an `allow` of the policy counts: there is no key, or the approver has signed this policy."""
        return self.store.may_allow_by_policy(self.state_folder, self.policy())

    def explain_unsigned(self) -> str | None:
        """Why the `allow` rules of the policy do not count and what to do, or None when they do or there are none."""
        has_rules = any(rule.verdict == "allow" for rule in self.policy().rules)
        return UNSIGNED_POLICY if has_rules and not self.may_allow_by_policy() else None

    def make_approver(self, passphrase: str) -> str:
        """Make the approver's key and return its public half."""
        public = make_key(self.state_folder, passphrase)
        with self.store.transaction() as moves:
            moves.record_approver(public)
            moves.note(0, "approver.made", {"public_key": public})
        self.history.flush()
        return public

    def sign_policy(self, passphrase: str) -> str:
        """Sign the policy as it is now and return its digest."""
        digest = digest_of(self.policy())
        signature = sign_text(unlock_key(self.state_folder, passphrase), f"policy:{digest}")
        with self.store.transaction() as moves:
            moves.record_policy_signature(digest, signature)
            moves.note(0, "policy.signed", {"digest": digest})
        self.history.flush()
        return digest


def _fields(decision: Decision, digest: str) -> dict[str, object]:
    return {"by": decision.by, "channel": decision.channel, "comment": decision.comment, "digest": digest}


def _make_approval(
    row: ChangeRow, digest: str, now: float, verdict: Literal["approve", "reject"], decision: Decision
) -> Approval:
    return Approval(
        change=row.summary.handle,
        digest=digest,
        verdict=verdict,
        by=decision.by,
        channel=decision.channel,
        comment=decision.comment,
        at=show_instant(now),
        nonce=secrets.token_hex(16),
    )


def _other_digest(row: ChangeRow) -> ToolError:
    change = row.summary.handle
    return ToolError(
        f"{change} is not what was shown: its digest is another one.", code="conflict", hint=f"Look at {change} again."
    )
