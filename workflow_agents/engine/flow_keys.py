"""What operators do with flow control keys: look, pause, pin limits. Source: protocol 6.5."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workflow_agents.core.flow_control import FlowControl, with_pinned
from workflow_agents.engine.flow_limits import KeyState
from workflow_agents.errors import NotFound
from workflow_agents.store.changes import Broken, Change, Op
from workflow_agents.store.resource_changes import PauseFlow, PinFlow, ResetRate

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine

PARALLELISM, RATE = "parallelism", "rate"


@dataclass(frozen=True, slots=True)
class KeyUse:
    """A key and how it is used now.

    Attributes:
        waiting: runs, steps and requests that it holds back.
        in_flight: those that hold a slot.
        starts: of the present period.
        period_at: when that began, Unix milliseconds; 0: nothing has started.
    """

    key: str
    state: KeyState
    waiting: int
    in_flight: int
    starts: int
    period_at: int


class FlowKeys:
    """See the module."""

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine

    def all(self, search: str | None = None) -> list[KeyUse]:
        """Every key that is known, or whose name has this text in it."""
        return [self.use(row.flow_key) for row in self._engine.store.messages.flow_keys(search)]

    def get(self, key: str) -> KeyUse:
        """One key.

        Raises:
            NotFound: WA611.
        """
        if self._engine.store.flow_key(key) is None:
            raise NotFound("WA611", "there is no such key", found=f"flow control key {key!r}")
        return self.use(key)

    def use(self, key: str) -> KeyUse:
        """A key, whether anybody has set its limits or not."""
        engine = self._engine
        state = engine.flow_limits.state(key)
        now = engine.clock.now_ms()
        period_ms = 1_000 if state.limits is None else state.limits.period_ms
        in_flight, starts = engine.store.flow(key, now - period_ms + 1)
        waiting = engine.store.messages.waiting_for_flow(key, now)
        return KeyUse(key, state, waiting, in_flight, len(starts), starts[0] if starts else 0)

    async def pause(self, key: str, *, paused: bool) -> None:
        """Start nothing of a key, or go on. Durable when this returns."""
        # Limits need not be valid here, but a key has to be one.
        FlowControl(key, parallelism=1)
        old = self._engine.flow_limits.state(key)
        await self._store(
            key,
            PauseFlow(key, paused, self._engine.clock.now_ms()),
            KeyState(old.limits, paused, old.pinned),
        )

    async def pin(
        self,
        key: str,
        *,
        parallelism: int | None = None,
        rate: int | None = None,
        period: str | None = None,
    ) -> None:
        """Set limits that messages leave alone.

        Raises:
            ConfigurationError: WA105, WA504.
        """
        old = self._engine.flow_limits.state(key)
        given = FlowControl(key, rate=rate, period=period or "1s", parallelism=parallelism)
        now_pinned = {
            name for name, limit in ((PARALLELISM, parallelism), (RATE, rate)) if limit is not None
        }
        # What is pinned now counts before what was; of the rest, what was set stays.
        limits = with_pinned(old.limits, given, frozenset(now_pinned))
        await self._pinned(key, KeyState(limits, old.paused, old.pinned | now_pinned))

    async def unpin(self, key: str, *, parallelism: bool, rate: bool) -> None:
        """Messages set these limits again; until one does, they stay.

        Raises:
            NotFound: WA611.
        """
        old = self.get(key).state
        gone = {n for n, asked in ((PARALLELISM, parallelism), (RATE, rate)) if asked}
        await self._pinned(key, KeyState(old.limits, old.paused, old.pinned - gone))

    async def reset_rate(self, key: str) -> None:
        """What has started until now counts no more for the rate."""
        state = self.get(key).state
        await self._store(key, ResetRate(key, self._engine.clock.now_ms()), state)

    async def _pinned(self, key: str, state: KeyState) -> None:
        value = "" if state.limits is None else state.limits.to_value()
        op = PinFlow(key, value, ",".join(sorted(state.pinned)), self._engine.clock.now_ms())
        await self._store(key, op, state)

    async def _store(self, key: str, op: Op, state: KeyState) -> None:
        engine = self._engine
        # At once: nothing may start behind a pause that is on its way into the store.
        before = engine.flow_limits.state(key)
        engine.flow_limits.told(key, state)
        outcome = await engine.commits.apply(Change((op,)))
        if isinstance(outcome, Broken):
            engine.flow_limits.told(key, before)
            raise outcome.error
        engine.poke()
