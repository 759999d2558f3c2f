"""A real server on loopback, asked over HTTP, whose clock tests move; and the web outside.

The server has a thread and an event loop of its own, so that one serves a whole file of tests,
which are plain functions. Requests are written as given: no client library changes their target.
"""

import asyncio
import http.client
import itertools
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.journeys.remote_world import JumpingClock
from tests.official.outside import Outside, Received
from tests.unit.server.conftest import SETTINGS, Site, serving
from workflow_agents.core.limits import Limits
from workflow_agents.server.settings import DEV_TOKEN, ServerSettings

PATIENCE_S = 20
T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """An answer as it came; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Place:
    """See the module.

    Attributes:
        outside: where messages, callbacks and visits go to.
    """

    def __init__(
        self, folder: Path, settings: ServerSettings = SETTINGS, limits: Limits | None = None
    ) -> None:
        self.outside = Outside()
        self._clock = JumpingClock()
        self._names = itertools.count(1)
        self._site: Site | None = None
        self._ready = threading.Event()
        serve = self._serve(folder, settings, limits)
        self._thread = threading.Thread(target=asyncio.run, args=(serve,))
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)

    async def _serve(self, folder: Path, settings: ServerSettings, limits: Limits | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        path, clock = folder / "server.db", self._clock
        async with serving(path, settings, limits=limits, clock=clock) as self._site:
            self._ready.set()
            await self._over.wait()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self.outside.stop()

    @property
    def site(self) -> Site:
        assert self._site is not None
        return self._site

    def on_the_loop(self, do: Callable[[], object]) -> None:
        """Do something in the server's thread, and wait until it is done."""
        done = threading.Event()
        self._loop.call_soon_threadsafe(lambda: (do(), done.set()))
        assert done.wait(PATIENCE_S)

    def jump(self, seconds: float) -> None:
        """Let time pass for the server."""
        self._clock.ahead_ms += int(seconds * 1000)
        self.on_the_loop(self.site.engine.poke)

    def new_name(self, kind: str) -> str:
        """A word that no other test of this server has."""
        return f"{kind}-{next(self._names)}"

    # Requests.

    def ask(
        self,
        method: str,
        target: str,
        body: Any = b"",
        headers: Mapping[str, str] | None = None,
        *,
        token: str | None = DEV_TOKEN,
    ) -> Answer:
        """A request to the server. `body`: bytes or text, or what becomes JSON."""
        data = body if isinstance(body, bytes | str) else json.dumps(body)
        given = {} if token is None else {"Authorization": f"Bearer {token}"}
        to = http.client.HTTPConnection("127.0.0.1", self.site.port, timeout=PATIENCE_S)
        try:
            to.request(method, target, data, {**given, **(headers or {})})
            came = to.getresponse()
            shown = {name.lower(): value for name, value in came.getheaders()}
            return Answer(came.status, shown, came.read().decode())
        finally:
            to.close()

    def done(self, method: str, target: str, *rest: Any) -> Any:
        """The JSON of a request that is to succeed."""
        answer = self.ask(method, target, *rest)
        assert 200 <= answer.status < 300, (method, target, answer)
        return answer.json

    # What came of it.

    def received(self, name: str, count: int = 1) -> list[Received]:
        """What came to an address outside, as soon as there are so many requests."""
        return self.until(lambda: self.outside.received(name), lambda found: len(found) >= count)

    def until(self, look: Callable[[], T], holds: Callable[[T], object]) -> T:
        """What is seen as soon as something holds of it."""
        end = time.monotonic() + PATIENCE_S
        while not holds(found := look()):
            assert time.monotonic() < end, f"waited in vain: {found}"
            time.sleep(0.01)
        return found

    def run(self, run_id: str, state: str) -> dict[str, Any]:
        """What the logs tell of a run as soon as it is in a state."""
        path = f"/v2/workflows/logs?groupBy=workflowRunId&trimBody=10000&workflowRunId={run_id}"

        def look() -> dict[str, Any]:
            runs = self.done("GET", path)["runs"]
            return runs[0] if runs else {}

        return self.until(look, lambda run: run.get("workflowState") == state)
