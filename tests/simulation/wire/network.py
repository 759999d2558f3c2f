"""The network of one process: each request and its answer are seen."""

from collections.abc import Awaitable, Callable

from tests.simulation.wire.watch import NO_ANSWER, RowOf, Watch
from workflow_agents.engine.http_out import HttpRequest, HttpResponse, NoAnswer
from workflow_agents.testing.faults import Faults, FaultyHttp

Answer = Callable[[HttpRequest], Awaitable[HttpResponse]]


class WatchedHttp(FaultyHttp):
    """A network on which it is seen when requests are sent, and what comes back."""

    def __init__(self, faults: Faults, answer: Answer, watch: Watch, row_of: RowOf) -> None:
        super().__init__(faults, answer)
        self._watch = watch
        self._row_of = row_of

    async def send(self, request: HttpRequest) -> HttpResponse:
        sent = self._watch.request_starts(
            self._row_of(request.headers["Upstash-Message-Id"]), request
        )
        seen: HttpResponse | None = None
        try:
            seen = answer = await super().send(request)
        except NoAnswer:
            seen = NO_ANSWER
            raise
        finally:
            if sent is not None:
                self._watch.request_ends(sent, seen)
        return answer
