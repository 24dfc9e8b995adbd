"""The doctor's look at the model: whether there is a key, and on request whether the model really answers."""

import asyncio
import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from datasteward.errors import ConfigError
from datasteward_cli.findings import Finding

if TYPE_CHECKING:
    from datasteward_agent.models.probing import ProbeReport

PROBE_SECONDS = 60.0
_INSTALL = "pip install 'datasteward[agent]'"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """The model to ask, as given with `--model` and `--base-url`."""

    name: str | None = None
    base_url: str | None = None


def check_model(choice: ModelChoice) -> Iterator[Finding]:
    """Whether a key is set; with a model or an address named, or ANTHROPIC_BASE_URL set, what one request found."""
    if os.environ.get("ANTHROPIC_API_KEY"):
        yield Finding(level="ok", subject="model", text="ANTHROPIC_API_KEY is set")
    else:
        yield Finding(
            level="note",
            subject="model",
            text="no ANTHROPIC_API_KEY: all works but chat and agent runs",
            mend="export ANTHROPIC_API_KEY=…, or run steward demo, which needs none.",
        )
    if choice.name or choice.base_url or os.environ.get("ANTHROPIC_BASE_URL"):
        yield _probe(choice)


def _probe(choice: ModelChoice) -> Finding:
    if importlib.util.find_spec("anthropic") is None:
        return Finding(level="note", subject="model probe", text="not asked: anthropic is not installed", mend=_INSTALL)
    try:
        report = asyncio.run(_ask(choice))
    except ConfigError as error:
        return Finding(level="problem", subject="model probe", text=_hide(error.message), mend=error.hint)
    except ImportError as error:
        return Finding(level="note", subject="model probe", text=f"not asked: {error}", mend=_INSTALL)
    except TimeoutError:
        return Finding(
            level="problem",
            subject="model probe",
            text=f"no answer within {PROBE_SECONDS:.0f} s",
            mend="See whether the server is still loading the model.",
        )
    return _tell(report)


async def _ask(choice: ModelChoice) -> "ProbeReport":
    from datasteward_agent.models.choosing import open_model
    from datasteward_agent.models.probing import probe_model

    async with asyncio.timeout(PROBE_SECONDS):
        return await probe_model(open_model(choice.name, base_url=choice.base_url))


def _tell(report: "ProbeReport") -> Finding:
    who = f"{report.model} ({report.provider})"
    if not report.answers:
        text = f"{who} does not answer: {report.fault or 'no reply'}: {_hide(report.message)}"
        return Finding(
            level="problem", subject="model probe", text=text, mend="Check the name, the address and the key."
        )
    window = f", {report.context_tokens:,} tokens of context" if report.context_tokens else ""
    if not report.calls_tools:
        return Finding(
            level="problem",
            subject="model probe",
            text=f"{who} answers in {report.seconds:.1f} s, but called no tool{window}",
            mend="Agent runs need a model that calls tools.",
        )
    return Finding(
        level="ok", subject="model probe", text=f"{who} answers and calls tools in {report.seconds:.1f} s{window}"
    )


def _hide(text: str) -> str:
    """The text on one line without control characters, and without the key whoever repeats it."""
    key = os.environ.get("ANTHROPIC_API_KEY", "").strip()
    shown = text.replace(key, "***") if key else text
    return "".join(c if c.isprintable() else " " for c in shown)[:300]
