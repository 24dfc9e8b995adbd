"""The two tools that the harness itself answers: handing in a plan, and asking the person."""

from typing import Any

from pydantic import Field, ValidationError

from datasteward_agent.conversation import Shape
from datasteward_agent.plans import Plan, PlanStep
from datasteward_agent.toolset import Question, ToolDefinition

SUBMIT_PLAN = "submit_plan"
ASK_USER = "ask_user"


class _PlanArguments(Shape):
    goal: str = Field(min_length=1)
    steps: tuple[PlanStep, ...] = Field(min_length=1, max_length=50)


class _QuestionArguments(Shape):
    question: str = Field(min_length=1, max_length=2000)
    options: tuple[str, ...] = Field(default=(), max_length=8)


_STRINGS = {"type": "array", "items": {"type": "string"}}
HARNESS_TOOLS: tuple[ToolDefinition, ...] = (
    ToolDefinition(
        name=SUBMIT_PLAN,
        description=(
            "Hand in a plan for the person to review, edit and approve. Name for every step the datasets it reads and "
            "writes, and the exact SQL of its change, or by what kinds of statement: approval grants one such change a "
            "step. Use it in mode plan, and before work of several changes."
        ),
        input_schema={
            "type": "object",
            "additionalProperties": False,
            "required": ["goal", "steps"],
            "properties": {
                "goal": {"type": "string"},
                "steps": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["title"],
                        "properties": {
                            "title": {"type": "string"},
                            "reads": _STRINGS,
                            "writes": _STRINGS,
                            "kinds": {**_STRINGS, "description": "insert, update, delete, merge, create_table_as, ..."},
                            "sql": {"type": "string", "description": "of the step's change, as you will propose it"},
                            "why": {"type": "string"},
                            "expected": {"type": "string", "description": "rows, columns or figures expected"},
                        },
                    },
                },
            },
        },
        read_only=True,
    ),
    ToolDefinition(
        name=ASK_USER,
        description=(
            "Ask the person one question that decides how to go on, with options if there are few. Not for leave to "
            "change something: propose the change instead. Nobody may be there."
        ),
        input_schema={
            "type": "object",
            "additionalProperties": False,
            "required": ["question"],
            "properties": {"question": {"type": "string"}, "options": _STRINGS},
        },
        read_only=True,
    ),
)


class BadArguments(ValueError):
    """The arguments of a harness tool don't fit; the message is for the model."""


def read_plan(arguments: dict[str, Any], plan_id: str) -> Plan:
    """The plan handed in; raises `BadArguments`."""
    try:
        given = _PlanArguments.model_validate(arguments)
    except ValidationError as error:
        raise BadArguments(_explain(SUBMIT_PLAN, error)) from error
    return Plan(plan_id=plan_id, goal=given.goal, steps=given.steps)


def read_question(arguments: dict[str, Any]) -> Question:
    """The question asked; raises `BadArguments`."""
    try:
        given = _QuestionArguments.model_validate(arguments)
    except ValidationError as error:
        raise BadArguments(_explain(ASK_USER, error)) from error
    return Question(question=given.question, options=given.options)


def _explain(name: str, error: ValidationError) -> str:
    faults = error.errors(include_url=False, include_input=False)[:3]
    return f"{name}: " + "; ".join(f"{'.'.join(str(p) for p in f['loc'])}: {f['msg']}" for f in faults)
