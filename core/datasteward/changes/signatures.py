"""Whether an approval counts: it names the change as stored, and carries a signature once an approver's key exists."""

import sqlite3
from pathlib import Path

from datasteward.changes.approver import has_key, is_signed_by, is_text_signed_by
from datasteward.changes.digest import digest_of
from datasteward.changes.model import Approval, Proposal
from datasteward.changes.policy import PolicySettings, facts_of, judge
from datasteward.errors import ToolError


def read_public_key(connection: sqlite3.Connection) -> str | None:
    """The approver's public key, when one was made."""
    row = connection.execute("SELECT public_key FROM change_approver").fetchone()
    return str(row[0]) if row else None


def needs_signature(connection: sqlite3.Connection, state_folder: Path) -> bool:
    """Whether a key was made; a key file without its record, or a record without its file, counts as made."""
    return read_public_key(connection) is not None or has_key(state_folder)


def is_policy_signed(connection: sqlite3.Connection, policy: PolicySettings) -> bool:
    """Whether the approver has signed the policy exactly as it is now."""
    public, digest = read_public_key(connection), digest_of(policy)
    row = connection.execute("SELECT signature FROM change_policy_signatures WHERE digest = ?", (digest,)).fetchone()
    return public is not None and row is not None and is_text_signed_by(public, f"policy:{digest}", str(row[0]))


def refuse_unsigned(
    connection: sqlite3.Connection,
    state_folder: Path,
    policy: PolicySettings,
    approval: Approval,
    proposal: Proposal,
) -> None:
    """Raise `ToolError` (forbidden) unless the approval counts for this proposal.

    One by the policy counts only while the policy allows the proposal; when a key exists, the approval must be signed,
    or that policy.
    """
    if approval.channel == "policy" and judge(policy, facts_of(proposal)).verdict != "allow":
        raise ToolError(
            f"The policy does not allow {approval.change}, so its approval in the policy's name is not taken.",
            code="forbidden",
            hint=f"`steward policy explain {approval.change}` says what the policy says; a person may decide.",
        )
    if not needs_signature(connection, state_folder):
        return
    if approval.channel == "policy" and is_policy_signed(connection, policy):
        return
    public = read_public_key(connection)
    if public is None or not is_signed_by(public, approval):
        raise ToolError(
            f"An approver's key was made for this workspace, and the approval of {approval.change} does not carry its"
            " signature; it is not applied.",
            code="forbidden",
            hint="Approve with `steward changes approve` and the passphrase; what was approved without it before has to be"
            " rejected and proposed again.",
        )
