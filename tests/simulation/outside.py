"""Whoever is outside: those who trigger, cancel, notify, call webhooks and resume.

What was acknowledged is done; what was not is done again, in the life of the next process.
"""

import asyncio
import base64
import contextlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Any

from tests.simulation.durable import PATH
from tests.simulation.invariants import end_of_run, has_ended, is_recorded
from tests.simulation.model import call_value
from tests.simulation.programs import Call, Hook, Node, Wait, steps_of
from tests.simulation.scenario import Scenario, Started
from tests.simulation.watch import Watch
from workflow_agents import Engine, StoreError, Webhook
from workflow_agents.engine.http_out import HttpRequest, HttpResponse
from workflow_agents.protocol.codec import decode
from workflow_agents.testing.faults import Database
from workflow_agents.testing.virtual_time import VirtualTime

PATIENCE_MS = 90_000
"""When everything has to have ended; far longer than it takes."""


class Outside:
    """See the module.

    Attributes:
        programs: of all runs, as their payloads name them.
        resumed: the runs that were made of the dead letter of a run.
        patience_ms: when everything has to have ended.
    """

    patience_ms = PATIENCE_MS

    def __init__(
        self, scenario: Scenario, database: Database, time: VirtualTime, watch: Watch
    ) -> None:
        self.programs: list[Node] = []
        self.resumed: dict[str, str] = {}
        self._scenario = scenario
        self._database = database
        self._time = time
        self._watch = watch
        self._services = {step.name: step for step in scenario.steps() if isinstance(step, Call)}
        self._done: set[tuple[str, str]] = set()
        self._webhooks: dict[str, tuple[str, Hook]] = {}
        self._called: Counter[str] = Counter()
        self._callers: dict[str, asyncio.Future[None]] = {}
        self._engine: Engine | None = None

    async def act(self, engine: Engine) -> None:
        """Do towards this engine all that is to be done, until every run has ended."""
        self._engine = engine
        self._callers = {event: self._caller(event) for event in self._webhooks}
        try:
            async with asyncio.TaskGroup() as tasks:
                for run in self._scenario.runs:
                    tasks.create_task(self._run(engine, run))
            await self._quiet(engine)
        finally:
            self._engine = None
            callers = [*self._callers.values()]
            for caller in callers:
                caller.cancel()
            await asyncio.gather(*callers, return_exceptions=True)

    @property
    def is_late(self) -> bool:
        """Whether all should have ended long ago."""
        return self._time.ms > self.patience_ms

    # The life of a run, as its owner sees it.

    async def _run(self, engine: Engine, run: Started) -> None:
        await self._at(run.at_ms)
        while run.after is not None and (run.after, "trigger") not in self._done:
            await asyncio.sleep(0.01)
        await self._once(run, "trigger", lambda: self._trigger(engine, run))
        if run.twice:
            await self._once(run, "triggered twice", lambda: self._trigger(engine, run))
        await asyncio.gather(
            self._cancel(engine, run),
            *(
                self._notify(engine, run, step)
                for step in steps_of(run.program)
                if isinstance(step, Wait) and step.source in {"run", "everyone"}
            ),
        )
        await self._ended(engine, run)
        if run.resume and end_of_run(self._database, run.run_id).state == "failed":
            await self._once(run, "resumed", lambda: self._resume(engine, run))

    async def _trigger(self, engine: Engine, run: Started) -> None:
        await engine.client.trigger(
            PATH,
            self.payload(run),
            workflow_run_id=run.name,
            delay=run.delay_ms / 1000 if run.delay_ms else None,
            flow_control=run.flow,
        )

    async def _cancel(self, engine: Engine, run: Started) -> None:
        if run.cancel_at_ms is None:
            return
        await self._at(run.cancel_at_ms)
        await self._once(run, "cancel", lambda: engine.client.cancel(run.run_id))
        self._watch.canceled.add(run.run_id)

    async def _notify(self, engine: Engine, run: Started, step: Wait) -> None:
        await self._at(step.at_ms)
        data = {"event": step.event}
        if step.source == "run":
            await self._once(
                run,
                f"notify run {step.name}",
                lambda: engine.client.notify(step.event, data, workflow_run_id=run.run_id),
            )
            return
        # Without a run id a notification reaches those who wait now, so it is sent again.
        while not (
            is_recorded(self._database, run.run_id, step.name)
            or has_ended(self._database, run.run_id)
            or self.is_late
        ):
            with contextlib.suppress(StoreError):
                await engine.client.notify(step.event, data)
                self._watch.fired["notify everyone"] += 1
            await asyncio.sleep(0.05)

    async def _ended(self, engine: Engine, run: Started) -> None:
        while not has_ended(self._database, run.run_id) and not self.is_late:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(5):
                    await engine.client.handle(run.run_id).result()
            await asyncio.sleep(0.02)

    async def _resume(self, engine: Engine, run: Started) -> None:
        for letter in await engine.client.dlq.list():
            if letter.workflow_run_id == run.run_id:
                handle = await engine.client.dlq.resume(letter.dlq_id)
                self.resumed[run.run_id] = handle.run_id

    async def _quiet(self, engine: Engine) -> None:
        """Wait until nothing more happens: invoked runs, failure functions, kept tasks."""
        while not self.is_late:
            unended = self._database.all("SELECT 1 FROM runs WHERE ended_at IS NULL")
            owed = self._database.all("SELECT 1 FROM deliveries")
            if not unended and not owed and not engine.core.live:
                await asyncio.sleep(0.01)
                return
            await asyncio.sleep(0.05)

    async def _once(self, run: Started, what: str, act: Callable[[], Awaitable[object]]) -> None:
        """Act until it is acknowledged; an answer that was not heard is none."""
        while (run.name, what) not in self._done:
            try:
                await act()
            except StoreError:
                await asyncio.sleep(0.3)
                continue
            self._done.add((run.name, what))
            self._watch.fired[" ".join(what.split()[:2])] += 1

    async def _at(self, ms: int) -> None:
        await asyncio.sleep(max(0.0, (ms - self._time.ms) / 1000))

    # Webhooks.

    def webhook_made(self, run_id: str, webhook: Webhook, step: Hook) -> None:
        """A run has told its webhook to somebody, who calls it from now on."""
        event = webhook.event_id
        if not webhook.webhook_url.endswith(f"/{event}"):
            self._watch.violated(f"{webhook} is no address of it", run_id)
        if event in self._webhooks:
            return
        self._webhooks[event] = (run_id, step)

        def call() -> None:
            if self._engine is not None:
                self._callers[event] = self._caller(event)

        # Whoever calls is no branch of the workflow.
        asyncio.get_running_loop().call_soon(call, context=Context())

    def _caller(self, event: str) -> asyncio.Future[None]:
        return asyncio.ensure_future(self._call_webhook(event))

    async def _call_webhook(self, event: str) -> None:
        """Call it as often as its program waits for it."""
        engine, (run_id, step) = self._engine, self._webhooks[event]
        assert engine is not None
        while self._called[event] < step.times and not has_ended(self._database, run_id):
            await asyncio.sleep(step.ms / 1000)
            body = self._called[event] + 1
            with contextlib.suppress(StoreError):
                await engine.receive_webhook(run_id, event, _webhook_request(body))
                self._called[event] = body
                self._watch.fired["webhook"] += 1

    # The services that `call` steps call.

    def request_starts(self, request: HttpRequest) -> None:
        """The engine sends a request, whatever becomes of it on the way."""
        step = self._services[request.url.rpartition("/")[2]]
        if step.pause_key is not None:
            self._watch.request_starts(decode(request.body)["run"], step, step.pause_key)

    async def answer(self, request: HttpRequest) -> HttpResponse:
        """What a service answers."""
        step = self._services[request.url.rpartition("/")[2]]
        run_id = decode(request.body)["run"]
        self._watch.request_comes(run_id, step, request.headers["idempotency-key"])
        with self._watch.in_flight(run_id, step):
            await asyncio.sleep(step.ms / 1000)
        if step.answer in {"down", "refused"}:
            return HttpResponse(500, {}, b"down")
        if step.answer == "bytes":
            kind = {"content-type": ["application/octet-stream"]}
            return HttpResponse(200, kind, bytes(range(256)))
        body = json.dumps(call_value(step)["body"]).encode()
        return HttpResponse(200, {"content-type": ["application/json"]}, body)

    # Payloads.

    def payload(self, run: Started) -> dict[str, Any]:
        """What a run is triggered with."""
        return {**self.child_payload(run.program), "pad": "ß" * run.size}

    def child_payload(self, program: Node) -> dict[str, Any]:
        """What a run of the program is invoked with."""
        at = next((i for i, known in enumerate(self.programs) if known is program), None)
        if at is None:
            at = len(self.programs)
            self.programs.append(program)
        return {"program": at}


def _webhook_request(body: int) -> dict[str, Any]:
    return {
        "method": "POST",
        "header": {},
        "body": base64.b64encode(json.dumps(body).encode()).decode(),
        "proto": "http",
        "host": "here",
        "url": "/",
    }
