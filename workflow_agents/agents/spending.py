"""What agents spend: every model call and tool call, and the limits that they are held to.

A `Spending` counts what was done within it: within a run, within a task of the run, within an
agent's part of the task. Each has the one around it as its `outer`; what is spent counts in all
of them, so that a limit holds for everything that happens inside it, agents that are called as
tools or take over included.

Nothing of it is stored. It counts while the code runs, in a replay as in the first execution,
from results that are recorded. Calls count when they are asked for, tokens and money when the
reply is there. A limit is checked before each step: a step is taken only while something is
left of everything. The last call may therefore use more tokens than are left; what it answers
is kept.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from workflow_agents.agents.messages import ModelReply, Usage
from workflow_agents.agents.prices import Price, Priced, Prices, amount
from workflow_agents.errors import ConfigurationError, UsageLimitExceeded

_LEAST_COST = Decimal("0.000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageLimits:
    """How much may be spent: by an agent in a task, by a task, or by all agents of a run.

    `limits=UsageLimits(total_tokens=50_000, cost_usd="0.50")`. Agents that are called as tools,
    or that take a conversation over, count with those that they work for. Counts hold across
    crashes and restarts of the process. A limit is checked before each step, so the last model
    call may go beyond one of tokens or money.

    Attributes:
        steps: model calls and tool calls together.
        model_calls: calls of models.
        tool_calls: calls of tools, agents as tools among them.
        prompt_tokens: read by models.
        completion_tokens: written by models.
        total_tokens: both.
        cost_usd: US dollars; needs to know the prices, see `Price`.
        on_breach: "stop": `UsageLimitExceeded` is raised. "pause": the run waits for a person,
            who lets it go on with each of these limits raised by itself once more, or not.

    Raises:
        ConfigurationError: WA702 for a value that is no limit.
    """

    steps: int | None = None
    model_calls: int | None = None
    tool_calls: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    cost_usd: Decimal | str | float | None = None
    on_breach: Literal["stop", "pause"] = "stop"

    def __post_init__(self) -> None:
        for option in fields(self):
            value = getattr(self, option.name)
            if option.name == "on_breach":
                if value not in ("stop", "pause"):
                    self._refuse("on_breach", "'stop' or 'pause'", value)
            elif value is not None and option.name == "cost_usd":
                object.__setattr__(self, "cost_usd", amount(value, "UsageLimits, 'cost_usd'"))
            elif value is not None and (
                not isinstance(value, int) or isinstance(value, bool) or value < 0
            ):
                self._refuse(option.name, "a whole number from 0", value)

    def _refuse(self, option: str, expected: str, found: object) -> None:
        raise ConfigurationError(
            "WA702",
            f"{option!r} of the limits is not right",
            where="UsageLimits",
            found=f"expected {expected}, found {found!r}",
        )


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One model call.

    Attributes:
        agent: who asked.
        model: the name that the provider answered under, or the one that was asked for.
        usage: its tokens.
        cost_usd: what it cost, in US dollars; None if the price is not known.
    """

    agent: str
    model: str
    usage: Usage
    _cost: Callable[[], Decimal | None] = field(repr=False, compare=False)

    @property
    def cost_usd(self) -> Decimal | None:
        """What it cost, in US dollars; None if the price is not known."""
        return self._cost()

    def kept_as(self) -> dict[str, Any]:
        """What is kept of it with a task's result: what it cost, and not the prices."""
        cost = self.cost_usd
        told = {"agent": self.agent, "model": self.model, "usage": self.usage}
        return {**told, "cost_usd": None if cost is None else str(cost)}

    @classmethod
    def from_kept(cls, kept: Mapping[str, Any]) -> "CallRecord":
        """The record that was kept so; its usage is a `Usage` again."""
        cost = kept.get("cost_usd")
        known = None if cost is None else Decimal(cost)
        return cls(kept["agent"], kept["model"], kept["usage"], lambda: known)


class Breach(NamedTuple):
    """A limit that the next step would go beyond."""

    spending: "Spending"
    limit: str
    allowed: int | Decimal
    used: int | Decimal

    @property
    def pauses(self) -> bool:
        """Whether a person may allow more."""
        limits = self.spending.limits
        return limits is not None and limits.on_breach == "pause"

    def error(self, reason: str = "") -> UsageLimitExceeded:
        """As it is raised."""
        spending = self.spending
        return UsageLimitExceeded(
            self.limit, self.allowed, self.used, spending.of, spending.usage, reason
        )


class Spending:
    """See the module.

    Attributes:
        of: what this is the spending of: "the run", "agent 'writer'".
        path: which of all it is: "0" the run's, "0.2" its third task's; the same in each replay.
        limits: what it is held to.
        calls: the model calls so far, in the order of their replies.
        usage: their tokens.
        times: how often as much as its limits say is allowed; a person may raise it.
    """

    def __init__(
        self,
        of: str,
        prices: Prices,
        limits: UsageLimits | None = None,
        *,
        outer: "Spending | None" = None,
    ) -> None:
        self.of = of
        self.limits = limits
        self.calls: list[CallRecord] = []
        self.usage = Usage()
        self.path = "0" if outer is None else outer.next_path()
        self.times = 1
        self._prices = prices
        self._outer = outer
        self._parts = 0
        self._model_calls = 0
        self._tool_calls = 0
        self._cost = Decimal(0)
        self._costed = 0

    def next_path(self) -> str:
        """The path of its next part."""
        self._parts += 1
        return f"{self.path}.{self._parts}"

    def within(
        self, of: str, limits: UsageLimits | None, prices: Mapping[str, Price] | None = None
    ) -> "Spending":
        """A part of this one, with limits of its own."""
        return Spending(of, self._prices.over(prices), limits, outer=self)

    def breach(self, *, model_calls: int = 0, tool_calls: int = 0) -> Breach | None:
        """What stands in the way of so many more calls, here or further out."""
        for name, used in self._used(model_calls, tool_calls):
            limit = getattr(self.limits, name)
            if limit is not None and used > limit * self.times:
                return Breach(self, name, limit * self.times, used)
        if self._outer is None:
            return None
        return self._outer.breach(model_calls=model_calls, tool_calls=tool_calls)

    def began(self, *, model_calls: int = 0, tool_calls: int = 0) -> None:
        """So many calls were asked for."""
        self._model_calls += model_calls
        self._tool_calls += tool_calls
        if self._outer is not None:
            self._outer.began(model_calls=model_calls, tool_calls=tool_calls)

    def replied(self, agent: str, model: Priced, reply: ModelReply) -> None:
        """A model call has its reply."""
        name, usage = reply.model or model.name, reply.usage
        self.add(CallRecord(agent, name, usage, lambda: self._prices.cost(model, name, usage)))

    def add(self, call: CallRecord) -> None:
        """A model call was made, here or further in."""
        self.calls.append(call)
        self.usage += call.usage
        if self._outer is not None:
            self._outer.add(call)

    @property
    def limits_money(self) -> bool:
        """Whether money is limited, here or further out."""
        own = self.limits is not None and self.limits.cost_usd is not None
        return own or (self._outer is not None and self._outer.limits_money)

    def check_price(self, model: Priced) -> None:
        """Refuse a model without a price where money is limited, before it is asked.

        Raises:
            ConfigurationError: WA702.
        """
        if self.limits_money and self._prices.cost(model, "", Usage()) is None:
            raise ConfigurationError(
                "WA702",
                f"what {model.name!r} costs is not known",
                where="UsageLimits, 'cost_usd'",
                found="expected a price, found none",
                why="a limit of money is held by adding up what calls cost",
                fix=(
                    f'prices={{{model.name!r}: Price(input="2.50", output="10")}}',
                    "pip install 'workflow-agents[prices]', which knows the usual models",
                ),
            )

    def raise_limits(self, times: int) -> None:
        """Allow once more as much as at first, unless that was done since `times` was read."""
        if self.times == times:
            self.times += 1

    def _used(self, model_calls: int, tool_calls: int) -> Iterator[tuple[str, Any]]:
        """Each limit's name, and what would be used with the next step in it.

        Of tokens a model call needs at least one; what it costs is at least not nothing.
        """
        if self.limits is None:
            return
        models, tools = self._model_calls + model_calls, self._tool_calls + tool_calls
        token = 1 if model_calls else 0
        yield "steps", models + tools
        yield "model_calls", models
        yield "tool_calls", tools
        yield "prompt_tokens", self.usage.prompt_tokens + token
        yield "completion_tokens", self.usage.completion_tokens + token
        yield "total_tokens", self.usage.total_tokens + token
        if self.limits.cost_usd is not None:
            yield "cost_usd", self._spent() + _LEAST_COST * token

    def _spent(self) -> Decimal:
        """The money of all calls; what has no price costs nothing, and was refused before."""
        for call in self.calls[self._costed :]:
            self._cost += call.cost_usd or 0
        self._costed = len(self.calls)
        return self._cost


def usage_of(calls: Iterable[CallRecord]) -> dict[str, Usage]:
    """Tokens by agent, in the order of their first calls."""
    found: dict[str, Usage] = {}
    for call in calls:
        found[call.agent] = found.get(call.agent, Usage()) + call.usage
    return found


def cost_of(calls: Iterable[CallRecord]) -> Decimal | None:
    """Money in all; None if a price is not known."""
    total = Decimal(0)
    for call in calls:
        cost = call.cost_usd
        if cost is None:
            return None
        total += cost
    return total
