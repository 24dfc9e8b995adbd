"""The models a person is offered to choose from, with what they cost; any other name may be given by hand."""

from dataclasses import dataclass

from datasteward_agent.limits import find_price
from datasteward_agent.models.choosing import DEFAULT_MODEL

_NAMES = (
    (DEFAULT_MODEL, "for most work"),
    ("claude-sonnet-5-5", "cheaper"),
    ("claude-haiku-5-5", "fastest and cheapest"),
    ("claude-fable-5-2", "for the hardest work"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedModel:
    """A model's name, what it is for, and its list price in words."""

    name: str
    about: str


def offer_models() -> tuple[OfferedModel, ...]:
    """The models to choose from, the default first."""
    return tuple(OfferedModel(name=name, about=f"{use}{_price(name)}") for name, use in _NAMES)


def _price(name: str) -> str:
    price = find_price(name)
    return "" if price is None else f" · ${price.input_usd:g} in, ${price.output_usd:g} out per million tokens"
