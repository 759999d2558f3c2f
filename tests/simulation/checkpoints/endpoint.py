"""Processes of our own SDK that serve the programs, beside the server and mortal by themselves.

What they say to the server goes over the same network as its visits do, and so do its faults. The
code is the real one but for what needs a socket: `Connection._exchange`, and the channel.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any

from workflow_agents.clock import Clock
from workflow_agents.context.invocation import Invocation
from workflow_agents.engine.http_out import HttpRequest, HttpResponse, NoAnswer
from workflow_agents.errors import RemoteError
from workflow_agents.qstash.connection import Connection, ServerRequest
from workflow_agents.serve.endpoint import Request
from workflow_agents.serve.wire_endpoint import WireEndpoint
from workflow_agents.serve.workflow import Workflow
from workflow_agents.server.settings import DEV_TOKEN

SERVER = "http://server"
CHANNEL = f"{SERVER}/channel"

Ask = Callable[[HttpRequest], Awaitable[HttpResponse]]


class EndpointProcess:
    """One process: it answers visits until it dies.

    Args:
        workflow: that it serves.
        clock: tells the time.
        ask: sends a request to the server.
        channels: whether the server is reached over a channel.
    """

    def __init__(self, workflow: Workflow, clock: Clock, ask: Ask, *, channels: bool) -> None:
        self._invocations: list[Invocation] = []
        self._visits: set[asyncio.Task[HttpResponse]] = set()
        self._connection = _ToTheServer(ask, channels=channels)
        self._endpoint = WireEndpoint(
            self._noted(workflow), self._connection, lambda _request, _now: None, clock
        )
        self.is_dead = False

    async def answer(self, request: HttpRequest) -> HttpResponse:
        """Answer a visit; it goes on here where whoever asked goes away."""
        if self.is_dead:
            raise NoAnswer("nobody is there", unsent=True)
        visit = asyncio.create_task(self._answer(request))
        self._visits.add(visit)
        visit.add_done_callback(self._visits.discard)
        await asyncio.wait([visit])
        if visit.cancelled():
            raise NoAnswer("the endpoint died")
        return visit.result()

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        headers = [*request.headers.items()]
        answer = await self._endpoint.handle(
            Request(request.url, headers, request.body, request.method)
        )
        named = {name.lower(): [value] for name, value in answer.headers.items()}
        return HttpResponse(answer.status, named, answer.body)

    def _noted(self, workflow: Workflow) -> Workflow:
        """The workflow, whose invocations die with this process."""
        invoke = workflow.invoke

        def noted(*args: Any, **options: Any) -> Invocation:
            invocation = invoke(*args, **options)
            self._invocations.append(invocation)
            return invocation

        workflow.invoke = noted  # type: ignore[method-assign]
        return workflow

    async def die(self) -> None:
        """End at once, without a word to anybody."""
        self.is_dead = True
        self._connection.cut()
        for invocation in self._invocations:
            invocation.close()
        visits = [*self._visits]
        for visit in visits:
            visit.cancel()
        await asyncio.gather(*visits, return_exceptions=True)

    async def stop(self) -> None:
        """End in order: what is in hand is given back."""
        await self._connection.close()
        await self.die()


class _ToTheServer(Connection):
    """A connection whose requests go over the simulated network."""

    def __init__(self, ask: Ask, *, channels: bool) -> None:
        super().__init__(DEV_TOKEN, SERVER)
        self._ask = ask
        self._channels = channels

    async def _exchange(self, request: ServerRequest) -> tuple[int, bytes]:
        asked = HttpRequest(
            request.method, SERVER + request.path, dict(request.headers), request.body, 60_000
        )
        for attempt in range(6):
            try:
                answer = await self._ask(asked)
            except NoAnswer:
                await asyncio.sleep(0.05 * math.exp(attempt))
            else:
                return answer.status, answer.body
        raise RemoteError("WA303", "the server cannot be reached", status=0, body="")

    async def open_channel(self, path: str) -> Any:
        """A channel, where there is one."""
        return _Channel(self._ask) if self._channels else None

    def cut(self) -> None:
        """Whatever is said or heard here ends."""
        lines = self._lines
        if lines is None:
            return
        for line in [*lines._lines.values()]:  # a process that dies closes nothing
            line.leave()
        for task in (lines._speaking, lines._listening, lines._opening):  # as above
            if task is not None:
                task.cancel()


class _Channel:
    """`checkpoint_channel.Channel`: a request that goes on, until the network ends it."""

    broken = False

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def exchange(self, batch: bytes) -> bytes | None:
        """See `Channel.exchange`."""
        try:
            answer = await self._ask(HttpRequest("POST", CHANNEL, {}, batch, 10_000))
        except NoAnswer:
            return None
        return answer.body if answer.status == 200 else None

    def close(self) -> None:
        """See `Channel.close`."""
