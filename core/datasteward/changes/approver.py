"""The approver's key: Ed25519, on disk only under a passphrase; once it exists, every approval needs its signature."""

import base64
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from datasteward.changes.digest import canonical_json
from datasteward.changes.model import Approval
from datasteward.errors import ConfigError, ToolError

KEY_NAME = "approver.pem"
SHORTEST_PASSPHRASE = 8


def make_key(folder: Path, passphrase: str) -> str:
    """Make the key as `approver.pem` in `folder`, mode 0600, and return its public half, base64.

    Raises `ConfigError` when there is one already or the passphrase is too short.
    """
    path = folder / KEY_NAME
    refuse_short(passphrase)
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase.encode()),
    )
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise _second_key() from error
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(pem)
        stream.flush()
        os.fsync(stream.fileno())
    return _encode(key.public_key())


def refuse_short(passphrase: str) -> None:
    """Raise `ConfigError` when the passphrase is too short."""
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise ConfigError(f"The passphrase has {len(passphrase)} characters; use at least {SHORTEST_PASSPHRASE}.")


def refuse_second_key(folder: Path) -> None:
    """Raise `ConfigError` when the folder holds a key."""
    if has_key(folder):
        raise _second_key()


def _second_key() -> ConfigError:
    return ConfigError(
        f"{KEY_NAME} exists already.", hint="A new key would make the old approvals worthless; keep this one."
    )


def has_key(folder: Path) -> bool:
    """Whether the folder holds a key."""
    return (folder / KEY_NAME).exists()


def unlock_key(folder: Path, passphrase: str) -> Ed25519PrivateKey:
    """The private key; raises `ToolError` for a wrong passphrase and `ConfigError` when there is no key."""
    try:
        pem = (folder / KEY_NAME).read_bytes()
    except FileNotFoundError as error:
        raise ConfigError(
            f"There is no {KEY_NAME} here.",
            hint="steward approver init makes the key; if one was made before, restore it: nothing can be approved without.",
        ) from error
    except OSError as error:
        raise ConfigError(
            f"{KEY_NAME} cannot be read: {error.strerror}.", hint="Nothing can be approved without it; restore it."
        ) from error
    try:
        key = serialization.load_pem_private_key(pem, passphrase.encode())
    except (ValueError, TypeError) as error:
        raise ToolError("The passphrase does not open the approver's key.", code="forbidden") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{KEY_NAME} is not an Ed25519 key.")
    return key


def sign_approval(key: Ed25519PrivateKey, approval: Approval) -> Approval:
    """The approval with its signature."""
    return approval.model_copy(update={"signature": base64.b64encode(key.sign(_message(approval))).decode()})


def is_signed_by(public_key: str, approval: Approval) -> bool:
    """Whether the approval carries a valid signature of this public key."""
    if approval.signature is None:
        return False
    return _verifies(public_key, approval.signature, _message(approval))


def sign_text(key: Ed25519PrivateKey, text: str) -> str:
    """A signature over a text of ours, such as the digest of the policy, base64."""
    return base64.b64encode(key.sign(f"text:{text}".encode())).decode()


def is_text_signed_by(public_key: str, text: str, signature: str) -> bool:
    """Whether `sign_text` made this signature with this key."""
    return _verifies(public_key, signature, f"text:{text}".encode())


def _verifies(public_key: str, signature: str, message: bytes) -> bool:
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        key.verify(base64.b64decode(signature, validate=True), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _message(approval: Approval) -> bytes:
    return canonical_json(approval.model_copy(update={"signature": None}))


def _encode(key: Ed25519PublicKey) -> str:
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return base64.b64encode(raw).decode()
