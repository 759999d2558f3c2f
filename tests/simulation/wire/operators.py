"""Those outside who keep queues, URL groups, schedules and flow control keys."""

import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tests.simulation.processes import Processes
from tests.simulation.wire import records
from tests.simulation.wire.post_watch import PostWatch
from tests.simulation.wire.publishing import group_urls, scheduled
from tests.simulation.wire.scenario import Pause, Scenario, Scheduled, Sweep
from workflow_agents.engine.engine import DurableEngine
from workflow_agents.errors import NotFound
from workflow_agents.store.message_lists import MessageFilter
from workflow_agents.store.resource_rows import EndpointRow

if TYPE_CHECKING:
    from tests.simulation.wire.outside import Outside

Act = Callable[[], Awaitable[object]]

_COLUMNS = {"queue": "queue", "key": "flow_key"}


@dataclass
class Active:
    """While a schedule was active, by the clock of the engine.

    Attributes:
        asked_at: when that was asked for first.
        from_at: when it was acknowledged.
        until_at: when its end was asked for first; None: not yet.
        over_at: when its end was acknowledged; None: not yet.
    """

    asked_at: int
    from_at: int
    until_at: int | None = None
    over_at: int | None = None


class Operators:
    """See the module.

    Attributes:
        active: when each schedule was.
        swept: ("queue" or "key", name) of what was cancelled many at a time.
    """

    def __init__(
        self,
        scenario: Scenario,
        processes: Processes[DurableEngine],
        watch: PostWatch,
        outside: "Outside",
    ) -> None:
        self.active: dict[str, list[Active]] = {}
        self.swept: set[tuple[str, str]] = set()
        self._asked: dict[tuple[str, str], int] = {}
        self._scenario = scenario
        self._database = processes.database
        self._clock = processes.clock
        self._watch = watch
        self._outside = outside

    async def prepare(self, engine: DurableEngine) -> None:
        """Make what posts need."""
        wire, once = engine.wire, self._outside.once
        for name, parallelism in self._scenario.queues.items():
            await once(name, "queue", partial(wire.queues.put, name, parallelism=parallelism))
        for name, endpoints in self._scenario.groups.items():
            rows = [
                EndpointRow(url, f"{name}-{n}") for n, url in enumerate(group_urls(name, endpoints))
            ]
            await once(name, "group", partial(wire.url_groups.put_endpoints, name, rows))

    def acts(self, engine: DurableEngine) -> Iterator[Coroutine[object, object, None]]:
        """All that they do."""
        for pause in self._scenario.pauses:
            yield self._pause(engine, pause)
        for sweep in self._scenario.sweeps:
            yield self._sweep(engine, sweep)
        for schedule in self._scenario.schedules:
            yield self._schedule(engine, schedule)

    async def _pause(self, engine: DurableEngine, pause: Pause) -> None:
        once, paused = self._outside.once, self._watch.paused
        who, name = f"{pause.what} {pause.name} {pause.at_ms}", pause.name

        async def set_paused(value: bool) -> None:
            if not value:
                paused.discard((pause.what, name))
            if pause.what == "queue":
                await engine.wire.queues.pause(name, paused=value)
            else:
                await engine.wire.flow_keys.pause(name, paused=value)
            if value:
                paused.add((pause.what, name))

        await self._outside.at(pause.at_ms)
        await once(who, f"{pause.what} paused", partial(set_paused, True))
        await self._outside.at(pause.until_ms)
        await once(who, f"{pause.what} resumed", partial(set_paused, False))

    async def _sweep(self, engine: DurableEngine, sweep: Sweep) -> None:
        await self._outside.at(sweep.at_ms)
        who = f"{sweep.what} {sweep.name} {sweep.at_ms}"
        await self._outside.once(who, "sweep", partial(self._cancel_all, engine, sweep))

    async def _cancel_all(self, engine: DurableEngine, sweep: Sweep) -> None:
        """Whatever was accepted before it began has ended when it is acknowledged (I10)."""
        column = _COLUMNS[sweep.what]
        matching = records.matching(self._database, column, sweep.name)
        which = MessageFilter(
            queues=(sweep.name,) if sweep.what == "queue" else (),
            flow_keys=(sweep.name,) if sweep.what == "key" else (),
        )
        self._outside.to_cancel.update(matching)
        self.swept.add((sweep.what, sweep.name))
        cancelled, more = await engine.wire.messages.cancel_all(which)
        self._watch.fired["cancelled by a sweep"] += cancelled
        left = records.unended(self._database, matching)
        if more or left:
            self._watch.problems.append(f"a sweep of {sweep.name} has left {left} (I10)")
        self._watch.canceled.update(
            row for row in matching if records.was_cancelled(self._database, row)
        )

    # Schedules.

    async def _schedule(self, engine: DurableEngine, schedule: Scheduled) -> None:
        schedules, name = engine.wire.schedules, schedule.post.name
        await self._outside.at(schedule.at_ms)
        await self._begins(name, "schedule", partial(schedules.put, scheduled(schedule.post)))
        if schedule.pause is not None:
            at_ms, until_ms = schedule.pause
            await self._outside.at(at_ms)
            await self._ends(name, "schedule paused", partial(schedules.pause, name, paused=True))
            await self._outside.at(until_ms)
            resume = partial(schedules.pause, name, paused=False)
            await self._begins(name, "schedule resumed", resume)
        await self._outside.at(schedule.until_ms)
        await self._ends(name, "schedule deleted", partial(self._delete, engine, name))

    async def _delete(self, engine: DurableEngine, name: str) -> None:
        # Whoever does not know whether it is gone finds none.
        with contextlib.suppress(NotFound):
            await engine.wire.schedules.delete(name)

    async def _begins(self, name: str, what: str, act: Act) -> None:
        asked_at = self._asked.setdefault((name, what), self._clock.now_ms())

        async def begin() -> None:
            await act()
            began = Active(asked_at, self._clock.now_ms())
            self.active.setdefault(name, []).append(began)

        await self._outside.once(name, what, begin)

    async def _ends(self, name: str, what: str, act: Act) -> None:
        active = self.active[name][-1]
        if active.until_at is None:
            active.until_at = self._clock.now_ms()

        async def end() -> None:
            await act()
            active.over_at = self._clock.now_ms()

        await self._outside.once(name, what, end)
