"""How many requests one token, or one address, may make in a second.

A bucket of tokens refills at the rate and holds twice as many. Few buckets are kept: the least
recently used makes room, full again by then.
"""

from collections import OrderedDict
from collections.abc import Hashable

from workflow_agents.clock import Clock

_MOST = 10_000


class Rates:
    """Buckets by key.

    Args:
        rate: requests a second; None: any number.
        clock: tells the time; where it runs backward, nothing is refilled.
    """

    def __init__(self, rate: float | None, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._buckets: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def wait_of(self, key: Hashable) -> float:
        """Seconds until the key may ask again; 0: it may now, and this request is counted."""
        if self._rate is None:
            return 0.0
        now, most = self._clock.now_ms(), max(2 * self._rate, 1.0)
        left, at = self._buckets.pop(key, (most, now))
        left = min(most, left + max(0, now - at) / 1000 * self._rate)
        allowed = left >= 1
        self._buckets[key] = (left - 1 if allowed else left, now)
        if len(self._buckets) > _MOST:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - left) / self._rate
