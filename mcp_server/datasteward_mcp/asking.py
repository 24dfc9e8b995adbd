"""Asks the client's user about a waiting change, in the way of the connection's protocol era."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import anyio
from mcp import types
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError

ASK_SECONDS = 40.0
"""How long a handshake-era client's user may take before the call answers that the change waits in the inbox."""
KEY = "decision"
ASKED_OF = frozenset({"propose_change", "undo_change"})

Context = ServerRequestContext[Any]

FORM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "approve": {"type": "boolean", "title": "Apply it?", "description": "No leaves everything as it is."},
        "comment": {"type": "string", "title": "Comment", "description": "Kept with the decision; the agent reads it."},
    },
    "required": ["approve"],
}


class Question(Protocol):
    """What is asked about a change."""

    @property
    def change(self) -> str:
        """The change's handle."""

    @property
    def digest(self) -> str:
        """What an approval names."""

    @property
    def message(self) -> str:
        """What the person reads."""


class Decisions(Protocol):
    """Where questions come from and answers go."""

    async def question(self, change: str) -> Question | None:
        """The question about a waiting change, or None when it has to wait for the inbox."""

    async def answer(self, change: str, digest: str, *, is_approved: bool, comment: str, by: str) -> str:
        """Record the decision; a sentence when it could not be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A person's answer."""

    is_approved: bool
    comment: str


class Asking:
    """Elicits decisions; its seal proves that an answer belongs to a question of this process."""

    def __init__(self, decisions: Decisions) -> None:
        self._decisions = decisions
        self._key = secrets.token_bytes(32)

    def can_ask(self, context: Context) -> bool:
        """Whether the client's user can be shown a form; an empty capability means form, as older clients send it."""
        capabilities = context.session.client_capabilities
        elicitation = capabilities.elicitation if capabilities else None
        return elicitation is not None and (elicitation.form is not None or elicitation.url is None)

    async def ask(
        self, context: Context, params: types.CallToolRequestParams, change: str, by: str
    ) -> types.InputRequiredResult | None:
        """Ask about `change`: at once in the handshake era, by an input request in the stateless one.

        Returns the input request to answer with, or None when the asking is over, decided or not.
        """
        question = await self._decisions.question(change)
        if question is None or not self.can_ask(context):
            return None
        if not context.session.can_send_request:
            request = types.ElicitRequest(
                params=types.ElicitRequestFormParams(message=question.message, requested_schema=FORM)
            )
            return types.InputRequiredResult(
                input_requests={KEY: request}, request_state=self._seal(question.change, question.digest, params)
            )
        with anyio.move_on_after(ASK_SECONDS):
            try:
                result = await context.session.elicit_form(question.message, FORM, context.request_id)
            except MCPError:
                return None
            await self._record(question.change, question.digest, read_decision(result), by)
        return None

    async def take_answer(self, params: types.CallToolRequestParams, by: str) -> str | None:
        """The change that a retried call's answer decides, its decision recorded; None when it carries none."""
        opened = self._open(params)
        responses = params.input_responses or {}
        if opened is None or KEY not in responses:
            return None
        change, digest = opened
        answer = responses[KEY]
        raw = answer if isinstance(answer, Mapping) else answer.model_dump(by_alias=True)
        await self._record(change, digest, read_decision(types.ElicitResult.model_validate(raw)), by)
        return change

    async def _record(self, change: str, digest: str, decision: Decision | None, by: str) -> None:
        if decision is not None:
            await self._decisions.answer(
                change, digest, is_approved=decision.is_approved, comment=decision.comment, by=by
            )

    def _seal(self, change: str, digest: str, params: types.CallToolRequestParams) -> str:
        body = f"{change}.{digest}"
        return f"{body}.{self._mark(body, params)}"

    def _open(self, params: types.CallToolRequestParams) -> tuple[str, str] | None:
        parts = (params.request_state or "").split(".")
        if len(parts) != 3:
            return None
        body = f"{parts[0]}.{parts[1]}"
        return (parts[0], parts[1]) if hmac.compare_digest(parts[2], self._mark(body, params)) else None

    def _mark(self, body: str, params: types.CallToolRequestParams) -> str:
        call = json.dumps([body, params.name, params.arguments], sort_keys=True, ensure_ascii=False)
        return hmac.new(self._key, call.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def read_decision(result: types.ElicitResult) -> Decision | None:
    """The decision in a form's answer; a dismissed form is none, and only a plain true approves."""
    if result.action == "cancel":
        return None
    content = result.content or {}
    comment = content.get("comment")
    return Decision(
        is_approved=result.action == "accept" and content.get("approve") is True,
        comment=comment if isinstance(comment, str) else "",
    )
