"""What model calls of all runs have used and cost, by workflow, day and model.

Kept in memory and counted from the feed: each recorded call once, at the prices of the day of its
run. Own prices come before the list prices; with others it is counted anew. Days are of UTC.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from workflow_agents.agents.messages import Usage
from workflow_agents.agents.prices import Price, Prices
from workflow_agents.core.step_logs import StepLog, fold_steps
from workflow_agents.dashboard.conversation import Said, Tokens, reply_of

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine
    from workflow_agents.store.interface import RunRow
    from workflow_agents.store.sqlite_pages import SqlitePages

DAY_MS = 86_400_000
DAYS = 14
AT_ONCE = 100
"""So many calls are counted while others wait; then those have their turn."""

_PATHS = ("/chat/completions", "/responses", "/messages")


@dataclass(slots=True)
class Spent:
    """What some calls have used.

    Attributes:
        unpriced: calls whose price nobody knows; they are not in `cost`.
        cost: US dollars.
    """

    calls: int = 0
    prompt: int = 0
    completion: int = 0
    cached: int = 0
    unpriced: int = 0
    cost: Decimal = field(default_factory=Decimal)

    def add(self, tokens: Tokens, cost: Decimal | None) -> None:
        """One call more."""
        self.calls += 1
        self.prompt += tokens.prompt
        self.completion += tokens.completion
        self.cached += tokens.cached
        if cost is None:
            self.unpriced += 1
        else:
            self.cost += cost

    def join(self, other: "Spent") -> None:
        """The calls of another besides."""
        self.calls += other.calls
        self.prompt += other.prompt
        self.completion += other.completion
        self.cached += other.cached
        self.unpriced += other.unpriced
        self.cost += other.cost

    def told(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "calls": self.calls,
            "prompt": self.prompt,
            "completion": self.completion,
            "cached": self.cached,
            "unpriced": self.unpriced,
            "cost": plain(self.cost),
        }


def plain(amount: Decimal) -> str:
    """An amount with all of its digits, and no exponent."""
    return f"{amount.normalize():f}"


class _Asked(NamedTuple):
    """A model, as far as its price is concerned."""

    name: str
    base_url: str


def cost_of(said: Said, step: StepLog | None, at: int, own: Mapping[str, Price]) -> Decimal | None:
    """What a reply cost; None: nobody knows.

    Args:
        said: the reply.
        step: that has made the request.
        at: when its run was created, Unix milliseconds: list prices are those of that day.
        own: prices that come before those of the list, by model.
    """
    if said.tokens is None or not said.model or step is None or step.request is None:
        return None
    base = step.request.url
    for path in _PATHS:
        base = base.rsplit(path, 1)[0]
    tokens = said.tokens
    usage = Usage(
        tokens.prompt, tokens.completion, tokens.prompt + tokens.completion, tokens.cached
    )
    return Prices(own, at).cost(_Asked(said.model, base), said.model, usage)


class Ledger:
    """See the module.

    Args:
        engine: whose runs.
        pages: of its store.
    """

    def __init__(self, engine: "DurableEngine", pages: "SqlitePages") -> None:
        self._engine = engine
        self._pages = pages
        self.forget()

    def forget(self) -> None:
        """Count anew: prices have changed."""
        self._seq: int | None = None
        self.days: dict[tuple[str, int], Spent] = defaultdict(Spent)
        self.models: dict[tuple[str, int], Spent] = defaultdict(Spent)

    def count(self, own: Mapping[str, Price]) -> bool:
        """Count the calls that came since; False: there are more of them.

        Args:
            own: prices that come before those of the list, by model.
        """
        if self._seq is None:
            first = (self._engine.clock.now_ms() // DAY_MS - DAYS + 1) * DAY_MS
            self._seq = self._pages.seq_at(first)
        found, self._seq, more = self._pages.calls_after(self._seq, AT_ONCE)
        rows: dict[int, RunRow | None] = {}
        for run, step, at in found:
            row = rows[run] = rows[run] if run in rows else self._engine.store.run(run)
            if row is not None:
                self._add(row, step, at, own)
        return not more

    def _add(self, row: "RunRow", key: Any, at: int, own: Mapping[str, Price]) -> None:
        admin = self._engine.admin
        entries = [admin.entry(row, seq) for seq in self._pages.places(row.id, key)]
        step = next(iter(fold_steps(entries, {})), None)
        said = None if step is None else reply_of(step)
        if said is None or said.tokens is None or not said.tokens.any:
            return
        cost = cost_of(said, step, row.created_at, own)
        day = at // DAY_MS
        self.days[row.workflow, day].add(said.tokens, cost)
        self.models[said.model or "", day].add(said.tokens, cost)
