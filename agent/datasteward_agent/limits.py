"""What a run may spend, and what it has spent."""

from dataclasses import dataclass, field
from typing import Literal

from datasteward_agent.conversation import Shape

BudgetKind = Literal["turns", "tokens", "usd", "seconds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Bounds of one run; None is no bound."""

    turns: int | None = 50
    tokens: int | None = None
    """Input (cached included) and output together."""
    usd: float | None = None
    """Compared with an estimate from list prices."""
    seconds: float | None = None


class Usage(Shape):
    """Tokens of one reply, as the server counted them."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0

    @property
    def prompt_tokens(self) -> int:
        """Everything that went in, cached or not."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens

    @property
    def total_tokens(self) -> int:
        """In and out together."""
        return self.prompt_tokens + self.output_tokens

    def plus(self, other: "Usage") -> "Usage":
        """The sum."""
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """List prices in US dollars per million tokens."""

    input_usd: float
    output_usd: float
    cache_read_factor: float = 0.1
    cache_write_factor: float = 1.25

    def estimate(self, usage: Usage) -> float:
        """US dollars for `usage`; an estimate, discounts and tiers are not known here."""
        weighted = (
            usage.input_tokens
            + usage.cache_read_tokens * self.cache_read_factor
            + usage.cache_write_tokens * self.cache_write_factor
        )
        return (weighted * self.input_usd + usage.output_tokens * self.output_usd) / 1_000_000


FREE = Price(input_usd=0.0, output_usd=0.0)

_PRICES = {
    "claude-fable-5": Price(input_usd=10, output_usd=50),
    "claude-opus-5-5": Price(input_usd=4, output_usd=20),
    "claude-opus": Price(input_usd=5, output_usd=25),
    "claude-sonnet-5": Price(input_usd=2, output_usd=10),
    "claude-sonnet-4": Price(input_usd=3, output_usd=15),
    "claude-haiku-5": Price(input_usd=0.5, output_usd=2.5),
    "claude-haiku-4": Price(input_usd=1, output_usd=5),
}
"""From the published price list where known, else the dearer of two sources, so that a money bound errs on stopping."""


def find_price(model_name: str) -> Price | None:
    """The price of the longest known name that `model_name` contains; None for a model without a known price."""
    known = sorted((n for n in _PRICES if n in model_name), key=len)
    return _PRICES[known[-1]] if known else None


@dataclass(slots=True, kw_only=True)
class Spending:
    """What the run has used so far; `price` None means that money cannot be estimated."""

    price: Price | None
    turns: int = 0
    usage: Usage = field(default_factory=Usage)
    last_prompt_tokens: int = 0

    def add(self, usage: Usage) -> None:
        """Count one reply."""
        self.usage = self.usage.plus(usage)
        self.last_prompt_tokens = usage.prompt_tokens + usage.output_tokens

    @property
    def usd(self) -> float | None:
        """The estimate in US dollars."""
        return None if self.price is None else round(self.price.estimate(self.usage), 6)


def find_spent_bound(budget: Budget, spending: Spending) -> BudgetKind | None:
    """The bound that forbids another request, counting what its prompt alone will cost; None when there is none."""
    if budget.turns is not None and spending.turns >= budget.turns:
        return "turns"
    if budget.tokens is not None and spending.usage.total_tokens + spending.last_prompt_tokens >= budget.tokens:
        return "tokens"
    if budget.usd is not None and spending.price is not None and _usd_left(budget.usd, spending) <= 0:
        return "usd"
    return None


def cap_output_tokens(limit: int, budget: Budget, spending: Spending) -> int:
    """The output tokens the next reply may have, so that it cannot break a bound; at least 1."""
    caps = [limit]
    if budget.tokens is not None:
        caps.append(budget.tokens - spending.usage.total_tokens - spending.last_prompt_tokens)
    if budget.usd is not None and spending.price is not None and spending.price.output_usd > 0:
        caps.append(int(_usd_left(budget.usd, spending) * 1_000_000 / spending.price.output_usd))
    return max(1, min(caps))


def _usd_left(bound: float, spending: Spending) -> float:
    assert spending.price is not None
    next_prompt = Usage(cache_read_tokens=spending.last_prompt_tokens)
    return bound - spending.price.estimate(spending.usage) - spending.price.estimate(next_prompt)
