"""The endpoints of remote runs, and the third parties that they call."""

import asyncio
import json
from typing import Any

from tests.journeys.js_endpoint import ANSWERED, Context, Endpoint
from tests.simulation.programs import Call, Node, Run
from tests.simulation.scenario import Scenario
from tests.simulation.wire.runs.playing import play, third_answer
from tests.simulation.wire.runs.run_watch import RunWatch
from workflow_agents import StoreError
from workflow_agents.engine.http_out import HttpRequest, HttpResponse
from workflow_agents.errors import StateError

URL = "http://service/flow/main"


class Sdk(Endpoint):
    """Plays every program under one address; the payload says which.

    It lives as long as all processes do, but what it is doing ends with the process that asked.
    """

    def __init__(self, scenario: Scenario, watch: RunWatch) -> None:
        super().__init__()
        self.programs[URL] = self._program
        self.on_failure = self._told
        self._watch = watch
        self._known: list[Node] = []
        self._calls = {step.name: step for step in scenario.steps() if isinstance(step, Call)}

    async def send(self, request: HttpRequest) -> HttpResponse:
        """What is answered. An SDK that the server refuses answers 500, or that the run is over."""
        if request.url.startswith("http://service/third/"):
            return await self._third_party(request)
        try:
            return await super().send(request)
        except StoreError:
            return HttpResponse(500, ANSWERED, b'{"error":"Error","message":"no server"}')
        except StateError:
            return HttpResponse(200, ANSWERED, b"{}")

    async def _third_party(self, request: HttpRequest) -> HttpResponse:
        step = self._calls[request.url.rpartition("/")[2]]
        self._watch.third_party_asked(request, json.loads(request.body)["run"])
        await asyncio.sleep(step.ms / 1000)
        status, body = third_answer(step)
        return HttpResponse(status, {"content-type": ["application/json"]}, body)

    async def _program(self, context: Context) -> Any:
        return {"value": await play(self._known[context.payload["program"]], context, self)}

    def _told(self, visit: Any) -> str:
        self._watch.fired["failure told"] += 1
        return f"noted {visit.body['workflowRunId']}"

    # What programs need of the world.

    def body_starts(self, run_id: str, step: Run) -> int:
        """See `playing.Around`."""
        self._watch.bodies[run_id, step.name] += 1
        return self._watch.bodies[run_id, step.name]

    async def notify(self, event: str, data: bytes, run_id: str) -> object:
        """See `playing.Around`."""
        return await self.engine.wire.waits.notify(event, data, run_id)

    def payload(self, program: Node) -> dict[str, Any]:
        """See `playing.Around`."""
        at = next((i for i, known in enumerate(self._known) if known is program), None)
        if at is None:
            at = len(self._known)
            self._known.append(program)
        return {"program": at}
