"""The network, and whoever is behind it: endpoints that answer as their posts say."""

import asyncio
from collections import Counter

from tests.simulation.wire.network import WatchedHttp
from tests.simulation.wire.post_watch import PostWatch
from tests.simulation.wire.publishing import POST
from tests.simulation.wire.scenario import OK, TIMEOUT_MS, Endpoint, Scenario
from tests.simulation.wire.watch import RowOf
from workflow_agents.engine.http_out import HttpRequest, HttpResponse
from workflow_agents.testing.faults import Faults


class Services:
    """See the module. They outlive the processes; the network is one of a process."""

    def __init__(self, scenario: Scenario, watch: PostWatch) -> None:
        self._posts = {"content" if p.by_content else p.name: p for p in scenario.all_posts}
        self._told = {post.name: post for post in scenario.all_posts}
        self._watch = watch
        self._heard: Counter[str] = Counter()

    def network(self, faults: Faults, row_of: RowOf) -> WatchedHttp:
        """The network that a process uses."""
        return WatchedHttp(faults, self.answer, self._watch, row_of)

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
