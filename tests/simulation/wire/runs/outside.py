"""Whoever is outside of remote runs: those who trigger, cancel, notify and call webhooks."""

import asyncio
import base64
import contextlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial

from tests.simulation.invariants import has_ended
from tests.simulation.processes import Processes
from tests.simulation.programs import Hook, Wait, steps_of
from tests.simulation.scenario import Scenario, Started
from tests.simulation.wire.runs.playing import RETRY_MS, event_of, retries_of
from tests.simulation.wire.runs.run_watch import RunWatch
from tests.simulation.wire.runs.sdk import URL, Sdk
from workflow_agents import StoreError
from workflow_agents.engine.engine import DurableEngine
from workflow_agents.errors import NotFound

PATIENCE_MS = 200_000
"""When everything has to have ended; far longer than it takes."""


class Outside:
    """See the module."""

    def __init__(
        self,
        scenario: Scenario,
        processes: Processes[DurableEngine],
        watch: RunWatch,
        sdk: Sdk,
    ) -> None:
        self._scenario = scenario
        self._processes = processes
        self._database = processes.database
        self._watch = watch
        self._sdk = sdk
        self._done: set[tuple[str, str]] = set()
        self._called: Counter[str] = Counter()

    @property
    def is_late(self) -> bool:
        """Whether all should have ended long ago."""
        return self._processes.time.ms > PATIENCE_MS

    async def act(self, engine: DurableEngine) -> None:
        """Do towards this engine all that is to be done, until every run has ended."""
        self._sdk.engine = engine
        async with asyncio.TaskGroup() as tasks:
            for run in self._scenario.runs:
                tasks.create_task(self._run(engine, run))
        while not self.is_late:
            unended = self._database.all("SELECT 1 FROM runs WHERE ended_at IS NULL")
            owed = self._database.all("SELECT 1 FROM deliveries")
            if not unended and not owed and not engine.busy:
                return
            await asyncio.sleep(0.05)

    async def _run(self, engine: DurableEngine, run: Started) -> None:
        await self._at(run.at_ms)
        await self._once(run, "trigger", partial(self._trigger, run))
        if run.twice:
            await self._once(run, "trigger twice", partial(self._trigger, run))
        steps = [*steps_of(run.program)]
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._cancel(engine, run))
            for step in steps:
                if isinstance(step, Wait) and step.source == "run":
                    tasks.create_task(self._notify(engine, run, step))
                elif isinstance(step, Hook):
                    tasks.create_task(self._call(engine, run, step))

    async def _trigger(self, run: Started) -> None:
        limits = {}
        if run.flow is not None:
            value = run.flow.to_value()
            limits = {"flow_control_key": run.flow.key, "flow_control_value": value}
        if run.delay_ms:
            limits["delay"] = f"{run.delay_ms}ms"
        payload = {**self._sdk.payload(run.program), "pad": "ß" * run.size}
        await self._sdk.trigger(
            URL,
            run.run_id,
            payload,
            {"x-tenant": "acme"},
            retries=str(retries_of(run.program)),
            retry_delay=RETRY_MS,
            **limits,
        )

    async def _cancel(self, engine: DurableEngine, run: Started) -> None:
        if run.cancel_at_ms is not None:
            await self._at(run.cancel_at_ms)
            await self._once(run, "cancel", partial(engine.admin.cancel, run.run_id))
            self._watch.canceled_runs.add(run.run_id)

    async def _notify(self, engine: DurableEngine, run: Started, step: Wait) -> None:
        await self._at(step.at_ms)
        data = json.dumps({"event": step.event}).encode()
        notify = partial(engine.wire.waits.notify, step.event, data, run.run_id)
        await self._once(run, f"notify {step.name}", notify)

    async def _call(self, engine: DurableEngine, run: Started, step: Hook) -> None:
        """Call a webhook as often as it is waited for; before it is made, there is none."""
        event = event_of(run.run_id, step)
        while self._called[event] < step.times and not self.is_late:
            if has_ended(self._database, run.run_id):
                return
            await asyncio.sleep(step.ms / 1000)
            request = _request(self._called[event] + 1)
            with contextlib.suppress(StoreError, NotFound):
                await engine.wire.waits.receive_webhook(run.run_id, event, request)
                self._called[event] += 1
                self._watch.fired["webhook"] += 1

    async def _once(self, run: Started, what: str, act: Callable[[], Awaitable[object]]) -> None:
        while (run.name, what) not in self._done:
            try:
                await act()
            except StoreError:
                await asyncio.sleep(0.3)
                continue
            self._done.add((run.name, what))
            self._watch.fired[what.split()[0] if what.startswith("notify") else what] += 1

    async def _at(self, ms: int) -> None:
        await asyncio.sleep(max(0.0, (ms - self._processes.time.ms) / 1000))


def _request(body: int) -> dict[str, object]:
    return {
        "method": "POST",
        "header": {"Content-Type": ["application/json"]},
        "body": base64.b64encode(json.dumps(body).encode()).decode(),
        "proto": "http",
        "host": "here",
        "url": "/",
    }
