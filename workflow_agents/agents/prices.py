"""What model calls cost: own prices, or those of the `genai-prices` package, offline.

Money is `Decimal` and in US dollars. The package is an extra (`pip install
workflow-agents[prices]`), loaded when a cost is first asked for; without it, and for models
that it does not know, the cost is None.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Protocol

from workflow_agents.agents.messages import Usage
from workflow_agents.errors import ConfigurationError

_MILLION = Decimal(1_000_000)
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs, in US dollars for a million tokens: `Price(input="2.50", output=10)`.

    Numbers and texts become `Decimal`.

    Attributes:
        input: of the prompt.
        output: of the completion.
        cached_input: of the part of the prompt that the provider had in its cache; default: as
            `input`.

    Raises:
        ConfigurationError: WA702 for what is no amount.
    """

    input: Decimal | str | float
    output: Decimal | str | float
    cached_input: Decimal | str | float | None = None

    def __post_init__(self) -> None:
        for name in ("input", "output", "cached_input"):
            given = getattr(self, name)
            if name != "cached_input" or given is not None:
                object.__setattr__(self, name, amount(given, f"Price, {name!r}"))

    def of(self, usage: Usage) -> Decimal:
        """What this usage costs, in US dollars."""
        cached = usage.cached_prompt_tokens
        cached_input = self.input if self.cached_input is None else self.cached_input
        millionths = (
            (usage.prompt_tokens - cached) * Decimal(self.input)
            + cached * Decimal(cached_input)
            + usage.completion_tokens * Decimal(self.output)
        )
        return millionths / _MILLION


def amount(given: object, where: str) -> Decimal:
    """An amount of money, exactly as it was written.

    Raises:
        ConfigurationError: WA702.
    """
    try:
        if isinstance(given, bool) or not isinstance(given, Decimal | str | int | float):
            raise TypeError
        found = Decimal(str(given))
        if not found.is_finite() or found < 0:
            raise ValueError
    except (InvalidOperation, TypeError, ValueError):
        raise ConfigurationError(
            "WA702",
            "this is no amount of money",
            where=where,
            found=f"expected a number from 0, found {given!r}",
            fix=('write it as text to keep every digit: "0.15"',),
        ) from None
    return found


class Priced(Protocol):
    """What is asked of a model to find its price; it need not have more than a name."""

    @property
    def name(self) -> str:
        """What it is called at its provider."""
        ...


@dataclass(frozen=True, slots=True)
class Prices:
    """Where the prices of one run come from.

    Attributes:
        own: by the name of the model; they come before all others.
        at: the instant whose list prices hold, Unix milliseconds: when the run was created, so
            that a replay finds the same.
        others: models that a fork asks in place of those of the code.
    """

    own: Mapping[str, Price]
    at: int
    others: frozenset[str] = frozenset()

    def over(self, own: Mapping[str, Price] | None) -> "Prices":
        """These prices, and before them others."""
        return Prices({**self.own, **own}, self.at, self.others) if own else self

    def cost(self, model: Priced, answered: str, usage: Usage) -> Decimal | None:
        """What a call cost; None if the price is not known.

        Args:
            model: that was asked.
            answered: the name that the provider answered under, often with a date in it.
            usage: the tokens of the call.
        """
        asked = self._asked(model.name, answered)
        own = self.own.get(answered) or self.own.get(asked)
        if own is not None:
            return own.of(usage)
        for name in (answered, asked):
            if name and (listed := self._listed(model, name, usage)) is not None:
                return listed
        return None

    def _asked(self, name: str, answered: str) -> str:
        """The model that was asked: that of the code, unless a fork's has answered."""
        return next((other for other in self.others if _is_version(answered, other)), name)

    def _listed(self, model: Priced, name: str, usage: Usage) -> Decimal | None:
        address: str | None = getattr(model, "base_url", None)
        # Prices change by the day at most.
        day = self.at // _DAY_MS * _DAY_MS
        return _list_price(name, address, usage, day)


def _is_version(answered: str, name: str) -> bool:
    """Whether it is this model, perhaps with a date: "gpt-4o-2024-08-06", but not "gpt-4o-mini"."""
    return re.fullmatch(rf"{re.escape(name)}([-@]\d[\d.-]*)?", answered) is not None


@lru_cache(maxsize=1024)
def _list_price(name: str, address: str | None, usage: Usage, at: int) -> Decimal | None:
    try:
        from genai_prices import Usage as Tokens
        from genai_prices import calc_price
    except ImportError:
        return None
    tokens = Tokens(
        input_tokens=usage.prompt_tokens,
        cache_read_tokens=usage.cached_prompt_tokens,
        output_tokens=usage.completion_tokens,
    )
    when = datetime.fromtimestamp(at / 1000, UTC)
    # A model at an address that the list does not have is somebody's own, whatever its name.
    known: dict[str, Any] = {"provider_api_url": address} if address else {}
    try:
        found = calc_price(tokens, name, genai_request_timestamp=when, **known)
    except LookupError:
        return None
    return found.total_price
