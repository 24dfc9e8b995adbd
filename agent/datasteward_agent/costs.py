"""What sessions cost: tokens and estimated money by session and by model, counted from the session logs."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from datasteward_agent.events import Event, RunStarted, UsageCounted, parse_event
from datasteward_agent.limits import Usage
from datasteward_agent.session_store import SessionStore

_COUNTED = (b'"type":"usage"', b'"type":"run.start"')


@dataclass(slots=True, kw_only=True)
class ModelCost:
    """One model's part of a session: requests, tokens, and US dollars where every run's price was known."""

    model: str
    requests: int = 0
    usage: Usage = field(default_factory=Usage)
    usd: float | None = 0.0

    def add(self, other: "ModelCost") -> None:
        """Count another part in."""
        self.requests += other.requests
        self.usage = self.usage.plus(other.usage)
        self.usd = None if self.usd is None or other.usd is None else self.usd + other.usd


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCost:
    """One session's cost, by the models it used."""

    session_id: str
    title: str
    models: tuple[ModelCost, ...]

    @property
    def total(self) -> ModelCost:
        """All models together."""
        return add_up(self.models)


def add_up(parts: Iterable[ModelCost]) -> ModelCost:
    """The sum; money is not known when one part's is not."""
    total = ModelCost(model="all")
    for part in parts:
        total.add(part)
    return total


def count_model_costs(events: Iterable[Event]) -> tuple[ModelCost, ...]:
    """A session's cost by model, in the order of first use.

    Money is what each run itself estimated last, because only it knew its model's price.
    """
    found: dict[str, ModelCost] = {}
    model, before = "", 0.0
    for event in events:
        match event:
            case RunStarted():
                model, before = event.model, 0.0
            case UsageCounted():
                cost = found.setdefault(model, ModelCost(model=model))
                step = None if event.usd_estimate is None else event.usd_estimate - before
                cost.add(ModelCost(model=model, requests=1, usage=event.turn, usd=step))
                before = event.usd_estimate or 0.0
            case _:
                pass
    return tuple(found.values())


def count_costs(store: SessionStore, limit: int = 50) -> tuple[SessionCost, ...]:
    """The cost of the latest sessions, newest first; only the lines that count are parsed. Raises `ToolError`."""
    return tuple(
        SessionCost(
            session_id=s.session_id, title=s.title, models=count_model_costs(_read_counted(store, s.session_id))
        )
        for s in store.summaries(limit)
    )


def _read_counted(store: SessionStore, session_id: str) -> Iterable[Event]:
    with (store.folder / f"{session_id}.jsonl").open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n") and any(mark in line[:400] for mark in _COUNTED):
                yield parse_event(line)
