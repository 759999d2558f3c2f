"""Time that passes only when nothing is left to do: days of waiting in a moment.

`VirtualLoop` is an event loop that never waits. Where another would sleep until the next
timer, it moves its `VirtualTime` there. `VirtualClock` is the wall clock that goes with it,
which may also be wrong: step, and stand still. What runs in it is deterministic: functions
that would run in a thread run at once, on the loop's.

```python
time = VirtualTime()
engine = Engine(":memory:", clock=VirtualClock(time))
run_virtually(main(engine), time)     # a step that sleeps for three days takes no time
```

It makes no real connections: give the engine an `http` of your own.
"""

import asyncio
import math
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_EPOCH_MS = 1_767_225_600_000
"""2026-01-01T00:00:00Z, when virtual time begins."""

_CLOSINGS = 8
"""How often a coroutine that awaits in its `finally` is told again that it is over."""


class VirtualTime:
    """How much time has passed; shared by the loops that follow each other, and the clock.

    Attributes:
        ms: since the beginning.
    """

    def __init__(self) -> None:
        self.ms = 0.0

    def advance(self, ms: float) -> None:
        """Let time pass: a machine that is switched off, a loop that stands still."""
        # Sums of fractions of a second stay whole where whole milliseconds are waited.
        self.ms = round(self.ms + ms, 6)


class VirtualClock:
    """An engine's wall clock in virtual time.

    Attributes:
        offset_ms: how far it is ahead of the true time.
    """

    def __init__(self, time: VirtualTime) -> None:
        self.offset_ms = 0
        self._time = time
        self._frozen_at: int | None = None

    def now_ms(self) -> int:
        """Unix milliseconds, as this clock has them."""
        if self._frozen_at is not None:
            return self._frozen_at
        return _EPOCH_MS + self.offset_ms + int(self._time.ms + 1e-6)

    def step(self, ms: int) -> None:
        """The clock is set forward, or back."""
        self.offset_ms += ms

    def freeze(self) -> None:
        """It stands still until `thaw`."""
        self._frozen_at = self.now_ms()

    def thaw(self) -> None:
        """It shows the right time again, but for its offset."""
        self._frozen_at = None


class Deadlock(RuntimeError):
    """Nothing is left to run and no timer is set: it would wait for ever."""


class _Jump:
    """In the place of a selector: moves the time instead of waiting for a socket."""

    def __init__(self, time: VirtualTime) -> None:
        self._time = time

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Deadlock("nothing is left to run and no timer is set")
        if timeout > 0:
            self._time.advance(timeout * 1000)
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop in virtual time. See the module."""

    def __init__(self, time: VirtualTime) -> None:
        super().__init__()
        self._virtual = time
        self._selector = _Jump(time)
        self._clock_resolution = 1e-7
        # In debug mode, a jump of time would look like a callback that took long.
        self.slow_callback_duration = math.inf

    def time(self) -> float:
        """Seconds since the beginning."""
        return self._virtual.ms / 1000

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # noqa: ARG002
        """Run the function now, here."""
        future: asyncio.Future[Any] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001  # it is raised where the future is awaited
            future.set_exception(error)
        return future

    def abandon(self) -> None:
        """End as a process that was killed does: nobody is told, nothing goes on.

        Python insists on running `finally` blocks when a coroutine is thrown away. They run
        here, in a loop that is over; what they ask for does not happen.
        """
        self.set_exception_handler(lambda _loop, _context: None)
        tasks = asyncio.all_tasks(self)
        self.close()
        # What `finally` blocks make belongs to this loop, not to one that Python would make.
        outer = asyncio._get_running_loop()  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001  # made for loops
        asyncio._set_running_loop(self)  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001  # as above
        try:
            for task in tasks:
                # A task that is forgotten while pending says so, unless told not to.
                task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001
                _close(task.get_coro())
        finally:
            asyncio._set_running_loop(outer)  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001  # as above

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


def _close(coro: Any) -> None:
    for _ in range(_CLOSINGS):
        try:
            coro.close()
        except BaseException:  # noqa: BLE001, S112  # whatever a finally block raises
            continue
        return


def run_virtually(main: Coroutine[Any, Any, T], time: VirtualTime | None = None) -> T:
    """Run a coroutine to its end in virtual time, and what it left to the ground.

    Raises:
        Deadlock: it waits for what nothing will bring.
    """
    loop = VirtualLoop(time or VirtualTime())
    try:
        return loop.run_until_complete(main)
    finally:
        loop.abandon()
