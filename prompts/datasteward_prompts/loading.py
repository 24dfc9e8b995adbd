"""Every text a model reads, from Markdown files with front matter: ours in this package, and a workspace's own.

A file begins with YAML between two lines of `---` (title, description, kind, arguments) and goes on with the body, in
which `{{name}}` stands for an argument. Its name is the file's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

Kind = Literal["system", "harness", "workflow"]
_KINDS: tuple[Kind, ...] = ("system", "harness", "workflow")
_NAME = re.compile(r"[a-z][a-z0-9_-]*\Z")
_PLACE = re.compile(r"\{\{\s*([a-z_][a-z0-9_]*)\s*\}\}")
_MAX_BYTES = 64 * 1024


class PromptError(ValueError):
    """A prompt file, a name or an argument is wrong; the message says which and what is accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptArgument:
    """A value that the prompt's body asks for."""

    name: str
    description: str = ""
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One prompt. Those of kind `workflow` are offered to people as slash commands and to clients as prompts."""

    name: str
    title: str
    description: str
    kind: Kind
    arguments: tuple[PromptArgument, ...]
    body: str
    origin: str


@cache
def load_prompt(name: str) -> Prompt:
    """Our own prompt of that name; raises `PromptError` when there is none."""
    file = resources.files(__package__) / f"{name}.md"
    if not _NAME.match(name) or not file.is_file():
        raise PromptError(f"There is no prompt '{name}'.")
    return parse_prompt(file.read_text(encoding="utf-8"), name, "datasteward")


def list_workflows(folder: Path | None = None) -> tuple[Prompt, ...]:
    """Our workflows and those of a workspace's `prompts` folder, by name; a workspace's replaces ours of that name.

    Raises `PromptError` naming the first file that is not a prompt.
    """
    found = {p.name: p for p in map(_load_own, _own_names()) if p.kind == "workflow"}
    if folder is not None and folder.is_dir():
        for path in sorted(folder.glob("*.md")):
            prompt = _load_file(path)
            if prompt.kind == "workflow":
                found[prompt.name] = prompt
    return tuple(found[name] for name in sorted(found))


def render_prompt(prompt: Prompt, values: Mapping[str, str]) -> str:
    """The body with its arguments put in; raises `PromptError` for a missing or unknown one."""
    known = {a.name for a in prompt.arguments}
    unknown = sorted(set(values) - known)
    missing = [a.name for a in prompt.arguments if a.required and not values.get(a.name)]
    if unknown or missing:
        wrong = [f"'{n}' is unknown" for n in unknown] + [f"'{n}' is missing" for n in missing]
        raise PromptError(f"{prompt.name}: {', '.join(wrong)}; arguments: {', '.join(sorted(known)) or 'none'}.")
    return _PLACE.sub(lambda m: values.get(m[1], "") if m[1] in known else m[0], prompt.body).strip()


def parse_prompt(text: str, name: str, origin: str) -> Prompt:
    """The prompt of a file's text; raises `PromptError` naming the fault."""
    import yaml

    head, _, body = text.removeprefix("---\n").partition("\n---\n")
    if not text.startswith("---\n") or not body.strip():
        raise PromptError(f"{origin}: {name}.md must begin with front matter between two lines of --- and have a body.")
    try:
        facts = yaml.safe_load(head)
    except yaml.YAMLError as error:
        raise PromptError(f"{origin}: the front matter of {name}.md is not YAML: {error}") from error
    return _build(facts if isinstance(facts, dict) else {}, body.strip(), name, origin)


def _build(facts: Mapping[str, Any], body: str, name: str, origin: str) -> Prompt:
    unknown = sorted(set(facts) - {"title", "description", "kind", "arguments"})
    kind = next((k for k in _KINDS if k == facts.get("kind", "workflow")), None)
    if unknown or kind is None or not _NAME.match(name):
        raise PromptError(
            f"{origin}: {name}.md: {f'unknown keys {unknown}' if unknown else 'its kind or its name is not accepted'};"
            f" keys: title, description, kind ({', '.join(_KINDS)}), arguments; names: small letters, digits, - and _."
        )
    return Prompt(
        name=name,
        title=str(facts.get("title", name)),
        description=str(facts.get("description", "")),
        kind=kind,
        arguments=tuple(_build_argument(a, name, origin) for a in facts.get("arguments") or ()),
        body=body,
        origin=origin,
    )


def _build_argument(facts: Any, name: str, origin: str) -> PromptArgument:
    if not isinstance(facts, dict) or not isinstance(facts.get("name"), str):
        raise PromptError(f"{origin}: {name}.md: every argument needs a name, and may have description and required.")
    return PromptArgument(
        name=facts["name"], description=str(facts.get("description", "")), required=bool(facts.get("required", True))
    )


def _own_names() -> list[str]:
    files = [f for f in resources.files(__package__).iterdir() if f.name.endswith(".md")]
    return sorted(f.name[:-3] for f in files if f.read_text(encoding="utf-8").startswith("---\n"))


def _load_own(name: str) -> Prompt:
    return load_prompt(name)


def _load_file(path: Path) -> Prompt:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise PromptError(f"{path} is larger than {_MAX_BYTES} bytes.")
        return parse_prompt(path.read_text(encoding="utf-8"), path.stem, str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"{path} cannot be read: {error}") from error
