"""From a model's name on the command line to a model that can be asked."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from datasteward.errors import ConfigError
from datasteward_agent.models.anthropic_messages import Endpoint, MessagesModel
from datasteward_agent.models.port import Model
from datasteward_agent.models.profiles import PROFILES, Provider

DEFAULT_MODEL = "claude-opus-5-5"
KEY_VARIABLE = "ANTHROPIC_API_KEY"
BASE_URL_VARIABLE = "ANTHROPIC_BASE_URL"


class MissingKey(ConfigError):
    """No key where one is needed; entry points exit with the code for authentication."""


def open_model(name: str | None, *, base_url: str | None = None, stall_seconds: float | None = None) -> Model:
    """The model called `name`; makes no request.

    `bedrock/NAME` and `vertex/NAME` go through those clouds with their own credentials, `scripted:FILE` plays a script,
    anything else goes to `base_url` (or ANTHROPIC_BASE_URL), by default Anthropic's. A server that is not Anthropic's
    is sent nothing but the plain protocol. The key comes from ANTHROPIC_API_KEY and from nowhere else, and the address
    never from a file in the workspace, which could send the key elsewhere. Raises `MissingKey` and `ConfigError`.
    """
    chosen = name or DEFAULT_MODEL
    if chosen.startswith("scripted:"):
        from datasteward_agent.models.scripted import open_script

        return open_script(Path(chosen.removeprefix("scripted:")))
    for cloud in ("bedrock", "vertex"):
        if chosen.startswith(f"{cloud}/"):
            return _cloud_model(cloud, chosen.removeprefix(f"{cloud}/"), stall_seconds)
    return _direct_model(chosen, base_url or os.environ.get(BASE_URL_VARIABLE) or None, stall_seconds)


def _cloud_model(cloud: str, name: str, stall_seconds: float | None) -> Model:
    provider: Provider = "bedrock" if cloud == "bedrock" else "vertex"
    return MessagesModel(Endpoint(model_name=name, profile=PROFILES[provider], stall_seconds=stall_seconds))


def _direct_model(name: str, base_url: str | None, stall_seconds: float | None) -> Model:
    profile = PROFILES["anthropic" if base_url is None or _is_anthropic(base_url) else "compatible"]
    key = os.environ.get(KEY_VARIABLE, "").strip() or None
    if key is None and profile.needs_key:
        raise MissingKey(
            f"{name} needs a key, and {KEY_VARIABLE} is not set.",
            hint=f"export {KEY_VARIABLE}=…, or name a server of your own with --base-url, or try steward demo.",
        )
    return MessagesModel(
        Endpoint(model_name=name, profile=profile, base_url=base_url, key=key, stall_seconds=stall_seconds)
    )


def _is_anthropic(base_url: str) -> bool:
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f"'{base_url}' is not an address of a model server.",
            hint="Write it as http://127.0.0.1:11434, no /v1.",
        )
    host = parts.hostname.lower()
    return host == "anthropic.com" or host.endswith(".anthropic.com")
