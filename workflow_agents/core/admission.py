"""Flow control: how many deliveries of one key may run at once, and start in a period.

Theory. Both limits are derived from what happened, never counted beside it, so that no
crash can leak a slot: `in_flight` is the number of leased deliveries of the key, and
`recent_starts` the times at which its latest ones started.

The rate is exact (a sliding log): a start at t is allowed if every half-open window of
length `period` then holds at most `rate` starts. As starts only ever come last, that is the
case if and only if the rate-th most recent start is at least a period old. No more than
the `rate` latest starts of a key are ever needed.

This is only the rule. Who waits, in which order, and who asks again when a slot is free,
is the caller's; asking in order of arrival starves nobody.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from workflow_agents.core.flow_control import FlowControl


@dataclass(frozen=True, slots=True)
class Admit:
    """It may start now."""


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """The rate is used up.

    Attributes:
        at_ms: the earliest instant at which the rate allows a start; ask again then.
    """

    at_ms: int


@dataclass(frozen=True, slots=True)
class WaitForSlot:
    """All slots are taken; ask again when one of the key's deliveries has ended."""


def margin_ms(limit: FlowControl) -> int:
    """How much longer than its period a start counts, where it is counted somewhere else.

    A provider counts requests as they arrive, this rule as they are let go. Between the two lie
    a commit, a connection and the network, a little longer one time than another: of two
    requests that start a period apart, the first may arrive late and the second early, and
    then both are in one window there. A fiftieth of the period, 100 ms to 2 s, is more than
    that takes to vary, and costs 2 % of the rate. Counting a request until its answer begins
    would be exact, but would cost most of the rate where answers take half a minute. If a
    request is on its way for longer still, the provider may refuse one: see `core.pauses`.
    """
    return min(max(limit.period_ms // 50, _LEAST_MARGIN_MS), MOST_MARGIN_MS)


MOST_MARGIN_MS = 2_000
_LEAST_MARGIN_MS = 100


def admit(
    limit: FlowControl,
    *,
    in_flight: int,
    recent_starts: Sequence[int],
    now: int,
    margin: int = 0,
) -> Admit | WaitUntil | WaitForSlot:
    """Decide whether one more delivery of a key may start.

    Args:
        limit: of the key.
        in_flight: how many of its deliveries run now.
        recent_starts: when its latest deliveries started, Unix milliseconds, ascending; at
            least the `rate` latest, or all. Those that have ended count too.
        now: Unix milliseconds; it does not run backward. A start that lies ahead of it,
            after the clock was set back, holds its place for a period from its own time.
        margin: how much longer than the period each start counts, in milliseconds.
    """
    if limit.parallelism is not None and in_flight >= limit.parallelism:
        return WaitForSlot()
    if limit.rate is not None and len(recent_starts) >= limit.rate:
        free_at = recent_starts[-limit.rate] + limit.period_ms + margin
        if free_at > now:
            return WaitUntil(free_at)
    return Admit()
