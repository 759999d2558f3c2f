"""The network, and whoever is behind it: endpoints that answer as their posts say."""

import asyncio
from collections import Counter

from tests.simulation.wire.publishing import POST
from tests.simulation.wire.scenario import OK, TIMEOUT_MS, Endpoint, Scenario
from tests.simulation.wire.watch import NO_ANSWER, RowOf, Watch
from workflow_agents.engine.http_out import HttpRequest, HttpResponse, NoAnswer
from workflow_agents.testing.faults import Faults, FaultyHttp


class Services:
    """See the module. They outlive the processes; the network is one of a process."""

    def __init__(self, scenario: Scenario, watch: Watch) -> None:
        self._posts = {"content" if p.by_content else p.name: p for p in scenario.all_posts}
        self._told = {post.name: post for post in scenario.all_posts}
        self._watch = watch
        self._heard: Counter[str] = Counter()

    def network(self, faults: Faults, row_of: RowOf) -> "WatchedHttp":
        """The network that a process uses."""
        return WatchedHttp(faults, self, self._watch, row_of)

    async def answer(self, request: HttpRequest) -> HttpResponse:
        """What an endpoint answers."""
        message = request.headers["Upstash-Message-Id"]
        self._heard[message] += 1
        endpoint = self._endpoint(request)
        await asyncio.sleep(endpoint.ms / 1000)
        if not endpoint.always_fails and self._heard[message] > endpoint.fails:
            return HttpResponse(200, {"x-heard": ["yes"]}, f"heard {self._heard[message]}".encode())
        self._watch.fired[f"endpoint: {endpoint.how}"] += 1
        match endpoint.how:
            case "later":
                return HttpResponse(429, {"retry-after": ["1"]}, b"later")
            case "final":
                return HttpResponse(489, {"upstash-nonretryable-error": ["true"]}, b"never")
            case "hang":
                await asyncio.sleep(2 * TIMEOUT_MS / 1000)
                return HttpResponse(200)
            case _:
                return HttpResponse(500, {}, b"\xff broken")

    def _endpoint(self, request: HttpRequest) -> Endpoint:
        _, what, name = request.url.rsplit("/", 2)
        if what == "told" and (told := self._told[name].callback) is not None:
            return told.endpoint
        if what == "lost" and (told := self._told[name].failure_callback) is not None:
            return told.endpoint
        post = self._posts[request.headers[POST]]
        return OK if post.name in self._watch.retried else post.endpoint


class WatchedHttp(FaultyHttp):
    """A network on which it is seen when requests are sent, and what comes back."""

    def __init__(self, faults: Faults, services: Services, watch: Watch, row_of: RowOf) -> None:
        super().__init__(faults, services.answer)
        self._watch = watch
        self._row_of = row_of

    async def send(self, request: HttpRequest) -> HttpResponse:
        sent = self._watch.request_starts(
            self._row_of(request.headers["Upstash-Message-Id"]), request
        )
        answer: HttpResponse | None = None
        try:
            answer = await super().send(request)
        except NoAnswer:
            answer = NO_ANSWER
            raise
        finally:
            if sent is not None:
                self._watch.request_ends(sent, answer)
        return answer
