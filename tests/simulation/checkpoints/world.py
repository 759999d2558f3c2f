"""The world of `tests.simulation`, where a server keeps the runs and an endpoint plays them.

The programs, whoever is outside, and what must be true are those of the embedded engine: runs
that are kept by checkpoints are to do what embedded ones do. Here the server's process dies as
there, the endpoint's dies by itself, and between them is a network.
"""

import asyncio
import json
import random
from collections.abc import Coroutine
from typing import Any

from tests.journeys.js_endpoint import Endpoint as JsClient
from tests.simulation.checkpoints.endpoint import SERVER, EndpointProcess
from tests.simulation.durable import PATH, RETRY_DELAY, Durable, _invoke_value
from tests.simulation.invariants import end_of_run
from tests.simulation.model import End, OneOf
from tests.simulation.programs import Invoke, Step, play
from tests.simulation.scenario import Scenario, Started
from tests.simulation.wire.records import KEY
from tests.simulation.world import World as Embedded
from workflow_agents import FlowControl, Limits, NotFound, StoreError
from workflow_agents.core.checkpoint_json import read_batch, write_answer
from workflow_agents.core.checkpoints import PATH as CHECKPOINTS
from workflow_agents.engine.engine import DurableEngine
from workflow_agents.engine.http_out import HttpRequest, HttpResponse
from workflow_agents.serve.workflow import Workflow
from workflow_agents.store.sqlite import SqliteStore
from workflow_agents.testing.faults import FaultyHttp

URL = f"http://service{PATH}"
PATIENCE_MS = 600_000
"""Longer than embedded: that an endpoint is dead may be seen by its silence alone."""

RETRIES = 60
"""Of the function: so many that faults never use them up."""


class World(Embedded):
    """See the module.

    Args:
        scenario: what is to happen.
        faults: what goes wrong with the database and the network.
        seed: of the engine's ids, and of how long who is dead is down.
        deaths_ms: when the endpoint's process dies.
        channels: whether the server is reached over channels.
    """

    def __init__(
        self,
        scenario: Scenario,
        faults: Any = None,
        seed: int = 0,
        *,
        deaths_ms: tuple[int, ...] = (),
        channels: bool = True,
    ) -> None:
        super().__init__(scenario, faults, seed)
        self.deaths_ms = deaths_ms
        self.channels = channels
        self._outside.patience_ms = PATIENCE_MS
        self._watch.repeated = getattr(faults, "repeated", self._watch.repeated)

    def _new_engine(self, store: SqliteStore) -> Any:
        return Place(self, store)

    def workflow(self) -> Workflow:
        """What an endpoint serves."""

        async def program(context: Any) -> Any:
            node = self._outside.programs[context.request_payload["program"]]
            return {"value": await play(node, _Remote(context, self._outside, self._watch))}

        return Workflow(PATH, program, limits=Limits(), failure_function=self._failed)

    async def _act(self, engine: Any) -> None:
        await super()._act(engine)
        if engine.core.deliveries.busy:
            self._watch.problems.append("attempts are still being made (I13)")

    def _judge_end(self, run_id: str, expected: Any) -> None:
        # What is told of a failure may be what the network did to its last attempt.
        if end_of_run(self._database, run_id).state != "failed" or not _may_fail(expected):
            super()._judge_end(run_id, expected)

    def _is_as_sent(self, run: Started, stored: bytes | None) -> bool:
        return json.loads(stored or b"null") == self._outside.payload(run)


def _may_fail(expected: Any) -> bool:
    if isinstance(expected, OneOf):
        return any(map(_may_fail, expected.options))
    return isinstance(expected, End) and expected.state == "failed"


class _Remote(Durable):
    """`Durable`, whose children are as patient as their parents."""

    def ask(self, step: Step) -> Coroutine[Any, Any, Any]:
        if not isinstance(step, Invoke):
            return super().ask(step)
        return _invoke_value(
            self._context.invoke(
                step.name,
                PATH,
                self._outside.child_payload(step.child),
                workflow_run_id=f"{self._run_id}.{step.name}" if step.own_id else None,
                retries=RETRIES,
                retry_delay=RETRY_DELAY,
            )
        )


class Place:
    """A server and an endpoint, as far as those outside of them are concerned."""

    def __init__(self, world: World, store: SqliteStore) -> None:
        self._world = world
        self._processes = world._processes  # parts of one world
        network = FaultyHttp(world._faults, self._arrives)  # as above
        self._send = network.send
        self._outside = world._outside  # as above
        self._random = random.Random(world._random.getrandbits(32))  # as above
        self.core = DurableEngine(
            store,
            clock=self._processes.clock,
            random_bytes=self._random.randbytes,
            http=_Network(network, self._outside),
            inline=True,
            environment=KEY.get,
            base_url=SERVER,
            limits=Limits(recoveries=1_000),
        )
        self.client = Client(self.core)
        self._endpoint = self._begun()
        self._dying: asyncio.Task[None] | None = None

    def _begun(self) -> EndpointProcess:
        return EndpointProcess(
            self._world.workflow(),
            self._processes.clock,
            self._send,
            channels=self._world.channels,
        )

    async def start(self) -> None:
        await self.core.start()
        self._dying = asyncio.create_task(self._die_sometimes())

    async def stop(self) -> None:
        if self._dying is not None:
            self._dying.cancel()
            await asyncio.gather(self._dying, return_exceptions=True)
        if self._random.random() < 0.5:
            await self._endpoint.stop()
        await self.core.stop()
        await self._endpoint.die()

    async def _die_sometimes(self) -> None:
        """The endpoint dies, is away for a while, and another one takes its place."""
        now = self._processes.time.ms
        for at_ms in sorted(self._world.deaths_ms):
            if at_ms <= now:
                continue
            await asyncio.sleep(max(0.0, (at_ms - self._processes.time.ms) / 1000))
            self._processes.fired["endpoint died"] += 1
            await self._endpoint.die()
            await asyncio.sleep(self._random.choice((0, 0, 0.3, 1.5)))
            self._endpoint = self._begun()

    async def _arrives(self, request: HttpRequest) -> HttpResponse:
        """Where a request is for, it is answered."""
        if request.url == URL:
            self._processes.fired["visit"] += 1
            return await self._endpoint.answer(request)
        if not request.url.startswith(SERVER):
            return await self._outside.answer(request)
        await asyncio.sleep(0.001)
        checkpoints = self.core.wire.checkpoints
        if request.method == "POST":
            self._processes.fired["checkpoints"] += 1
            try:
                told = await checkpoints.take(read_batch(request.body))
            except StoreError:
                return HttpResponse(503, {}, b"{}")
            return HttpResponse(200, {}, write_answer(told))
        endpoint = request.url.removeprefix(f"{SERVER}{CHECKPOINTS}/")
        try:
            await checkpoints.poll(endpoint)
        except asyncio.CancelledError:
            checkpoints.hung_up(endpoint)
            raise
        return HttpResponse(200, {}, b"{}")

    async def receive_webhook(self, run_id: str, event: str, request: dict[str, Any]) -> None:
        """A webhook is called; before its step is stored, there is none."""
        try:
            await self.core.wire.waits.receive_webhook(run_id, event, request)
        except NotFound as error:
            raise StoreError("WA603", found="no webhook yet") from error


class _Network:
    """The engine's outbound HTTP: requests to services are watched as they are sent."""

    def __init__(self, network: FaultyHttp, outside: Any) -> None:
        self._network = network
        self._outside = outside

    async def send(self, request: HttpRequest) -> HttpResponse:
        if request.url != URL:
            self._outside.request_starts(request)
        return await self._network.send(request)

    async def close(self) -> None: ...


class Client:
    """What `tests.simulation.outside` asks of a client."""

    def __init__(self, core: DurableEngine) -> None:
        self._core = core
        self._js = JsClient()
        self._js.engine = core

    async def trigger(
        self,
        _path: str,
        payload: Any,
        *,
        workflow_run_id: str,
        delay: float | None,
        flow_control: FlowControl | None,
    ) -> None:
        given: dict[str, str] = {"retries": str(RETRIES), "retry_delay": RETRY_DELAY}
        if delay is not None:
            given["delay"] = f"{round(delay * 1000)}ms"
        if flow_control is not None:
            given["flow_control_key"] = flow_control.key
            given["flow_control_value"] = flow_control.to_value()
        await self._js.trigger(URL, f"wfr_{workflow_run_id}", payload, **given)

    async def cancel(self, run_id: str) -> None:
        await self._core.admin.cancel(run_id)

    async def notify(self, event: str, data: Any, workflow_run_id: str | None = None) -> None:
        await self._core.wire.waits.notify(event, json.dumps(data).encode(), workflow_run_id)

    def handle(self, run_id: str) -> "_Handle":
        return _Handle(self._core, run_id)


class _Handle:
    def __init__(self, core: DurableEngine, run_id: str) -> None:
        self._core = core
        self._run_id = run_id

    async def result(self) -> None:
        await asyncio.sleep(0.05)
