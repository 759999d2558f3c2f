"""What follows a failed attempt: another one after a delay, or giving up.

Attempts are counted from 1, retries too: the first attempt is no retry. A policy of n
retries allows 1 + n attempts. The delay before a retry comes from, in this order:

1. what the other side asked for (`retry_after_ms`: Retry-After and its relatives),
2. the policy's expression, in which `retried` is 0 for the first retry,
3. `min(86400, e^(2.5 n))` seconds before retry n: 12 s, 2.5 min, 30 min, 6 h, a day.

No delay is longer than a day. Nothing here reads a clock, waits or sends.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from workflow_agents.errors import ConfigurationError
from workflow_agents.protocol.times import duration_ms, http_date_ms, shown

if TYPE_CHECKING:
    from workflow_agents.core.delay_expression import DelayExpression

MAX_DELAY_MS = 86_400_000
"""The longest delay between two attempts: one day."""

DEFAULT_RETRIES = 3
MAX_RETRIES = 1000

DEFAULT_DELAY = "min(86400, exp(2.5 * (retried + 1))) * 1000"
"""What `default_delay_ms` computes, as an expression for those who show it."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a failure is tried again, and how long to wait before.

    Attributes:
        retries: attempts after the first, 0 to 1000.
        delay: computes the delay; None: the default, which grows exponentially.

    Raises:
        ConfigurationError: WA102, where `retries` or `delay` cannot be used.
    """

    retries: int = DEFAULT_RETRIES
    delay: "DelayExpression | None" = None

    def __post_init__(self) -> None:
        validate_retries(self.retries)
        if self.delay is None:
            return
        from workflow_agents.core.delay_expression import DelayExpression

        if not isinstance(self.delay, DelayExpression):  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
            raise ConfigurationError(
                "WA102",
                "the delay of a retry policy is a DelayExpression",
                found=f"delay={shown(self.delay)}",
                fix=('RetryPolicy(delay=DelayExpression.parse("1000 * (1 + retried)"))',),
            )


def delay_of(text: str | None) -> "DelayExpression | None":
    """The delay that an expression computes; None: the default.

    Raises:
        ConfigurationError: WA104.
    """
    if text is None:
        return None
    from workflow_agents.core.delay_expression import DelayExpression

    return DelayExpression.parse(text)


def validate_retries(retries: object) -> int:
    """Return `retries` if it can be used as such.

    Raises:
        ConfigurationError: WA102, where it is no int from 0 to 1000.
    """
    if isinstance(retries, int) and not isinstance(retries, bool) and 0 <= retries <= MAX_RETRIES:
        return retries
    raise ConfigurationError(
        "WA102",
        f"retries is a whole number from 0 to {MAX_RETRIES}",
        found=f"retries={shown(retries)} ({type(retries).__name__})",
        fix=("retries=3", "retries=0, to try once only"),
    )


# The rule.
class Retry(NamedTuple):
    """Try again.

    Attributes:
        after_ms: how long to wait first, 0 to a day.
        attempt: the number that the next attempt has; the first retry is attempt 2.
    """

    after_ms: int
    attempt: int


class GiveUp(NamedTuple):
    """No attempt follows.

    Attributes:
        reason: why, in words for the dead letter.
    """

    reason: str


def after_failure(
    policy: RetryPolicy,
    *,
    failures: int,
    retry_after_ms: int | None = None,
    non_retryable: bool = False,
) -> Retry | GiveUp:
    """Decide what follows a failed attempt.

    Args:
        policy: of the message or step.
        failures: failed attempts so far, this one included; from 1.
        retry_after_ms: the delay that the other side asked for; None where it did not.
        non_retryable: whether the failure was declared final.
    """
    if non_retryable:
        return GiveUp("the failure was declared not retryable")
    if failures > policy.retries:
        times = "once" if failures == 1 else f"{failures} times"
        return GiveUp(f"it failed {times}, and {policy.retries} retries are allowed")
    if retry_after_ms is not None:
        delay = min(max(retry_after_ms, 0), MAX_DELAY_MS)
    elif policy.delay is not None:
        delay = policy.delay.delay_ms(failures - 1)
    else:
        delay = default_delay_ms(failures)
    return Retry(after_ms=delay, attempt=failures + 1)


def default_delay_ms(n: int) -> int:
    """The delay before retry n = 1, 2, ..., in milliseconds: min(86400, e^(2.5 n)) seconds."""
    return MAX_DELAY_MS if n >= 5 else round(math.exp(2.5 * n) * 1000)


# What the other side asked for.
_ASKED_IN = (
    "retry-after",
    "x-ratelimit-reset",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
)


def retry_after_ms(headers: Mapping[str, Sequence[str]], now_ms: int) -> int | None:
    """Read from response headers how long the other side wants us to wait.

    Args:
        headers: names in any case, each with its values.
        now_ms: Unix milliseconds, for headers that hold a date.

    Returns:
        Milliseconds from 0 to a day, from the first of Retry-After, X-RateLimit-Reset,
        X-RateLimit-Reset-Requests and X-RateLimit-Reset-Tokens that can be used; or None.
        What cannot be read, or is more than a day away, cannot be used.

    Source: delays asked for by an endpoint or a called service: seconds, an HTTP date, or a
    duration as Go writes it ("6m5s", "20ms").
    """
    lowered = {name.lower(): values for name, values in headers.items()}
    for name in _ASKED_IN:
        for value in lowered.get(name, ()):
            asked = _asked_ms(value, now_ms)
            if asked is not None and asked <= MAX_DELAY_MS:
                return asked
    return None


def _asked_ms(value: str, now_ms: int) -> int | None:
    date = http_date_ms(value)
    if date is not None:
        return max(0, date - now_ms)
    try:
        return duration_ms(value)
    except ConfigurationError:
        return None
