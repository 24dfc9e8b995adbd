"""The person at the keyboard, as the agent asks for them: screens that open only when nothing is being typed."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from textual.app import App
from textual.screen import Screen

if TYPE_CHECKING:
    from datasteward_agent.plans import Plan, PlanDecision
    from datasteward_agent.toolset import Question

T = TypeVar("T")


class ScreenPerson:
    """Shows plans and questions over the app; what could not open at once waits behind F7."""

    def __init__(self, app: "App[None]", is_free: Callable[[], bool], on_waiting: Callable[[str], None]) -> None:
        self._app = app
        self._is_free = is_free
        self._on_waiting = on_waiting
        self._held: list[Callable[[], None]] = []

    @property
    def has_waiting(self) -> bool:
        """Whether something waits to be opened."""
        return bool(self._held)

    async def review_plan(self, plan: "Plan") -> "PlanDecision":
        """The person's decision, with the plan as they left it."""
        from datasteward_tui.plan_draft import Draft
        from datasteward_tui.plan_screen import PlanScreen

        decision = await self._ask(PlanScreen(plan), f"{plan.plan_id or 'A plan'} waits for your review: F7 opens it.")
        return decision if decision is not None else Draft(plan).decide("later")

    async def answer(self, question: "Question") -> str | None:
        """The answer, None when the person declines."""
        from datasteward_tui.question_screen import QuestionScreen

        return await self._ask(
            QuestionScreen(question.question, question.options), "The agent asks something: F7 opens it."
        )

    def open_waiting(self) -> None:
        """Open what waits."""
        if self._held:
            self._held.pop(0)()

    async def _ask(self, screen: "Screen[T]", words: str) -> T | None:
        answered: asyncio.Future[T | None] = asyncio.get_running_loop().create_future()

        def settle(value: T | None) -> None:
            if not answered.done():
                answered.set_result(value)

        def show() -> None:
            self._app.push_screen(screen, settle)

        if self._is_free():
            show()
        else:
            self._held.append(show)
            self._on_waiting(words)
        try:
            return await answered
        finally:
            if show in self._held:
                self._held.remove(show)
            elif not answered.done() or answered.cancelled():
                self._dismiss(screen)

    def _dismiss(self, screen: "Screen[T]") -> None:
        if screen in self._app.screen_stack and self._app.screen is screen:
            self._app.pop_screen()
