"""The clock: the one place that knows what time it is."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall-clock time. Waiting is the event loop's, which a step of this clock cannot fool."""

    def now_ms(self) -> int:
        """Unix milliseconds."""
        ...


class SystemClock:
    """The machine's."""

    def now_ms(self) -> int:
        """Unix milliseconds."""
        return time.time_ns() // 1_000_000
