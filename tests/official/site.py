"""Server, endpoint apps and the world outside, and what a scenario may do with them.

Outcomes are learned through the server's REST API only. What a REST API cannot tell (how often an
endpoint was visited, what a middleware heard) the Node process notes, and is asked for it.
"""

import asyncio
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2

from tests.official.outside import Outside
from tests.official.processes import Apps, Server

PATIENCE_S = 80
JS_FRAMEWORKS = ("express", "hono", "h3", "nextjs")
PY_FRAMEWORKS = ("fastapi", "flask")
ENDED = ("RUN_SUCCESS", "RUN_FAILED", "RUN_CANCELED")


class Site:
    """See the module. All of it listens on loopback, on free ports."""

    def __init__(self, folder: Path) -> None:
        self.outside = Outside()
        self.server = Server(folder)
        try:
            self.apps = Apps(self.server.env)
        except BaseException:
            self.server.stop()
            self.outside.stop()
            raise

    @property
    def env(self) -> dict[str, str]:
        """What a client's process is given."""
        urls = {f"{name.upper()}_URL": url for name, url in self.apps.urls.items()}
        return {**self.server.env, **urls, "OUTSIDE_URL": self.outside.url}

    def stop(self) -> None:
        self.apps.stop()
        self.server.stop()
        self.outside.stop()


class Refused(Exception):
    """The server or the official client refused what it was asked."""


class Stage:
    """What a scenario acts on: the apps of one framework, before one server.

    Attributes:
        unique: a word that no other scenario has: for names of events, queues and so on.
        http: a client without a base URL.
    """

    def __init__(self, site: Site, framework: str, http: httpx2.AsyncClient) -> None:
        self.site = site
        self.framework = framework
        self.unique = secrets.token_hex(5)
        self.http = http

    # Addresses.

    def url(self, workflow: str) -> str:
        """Where a workflow is served: "waits", or "many/parent"."""
        return f"{self.site.apps.urls[self.framework]}/{workflow}"

    def outside(self, path: str) -> str:
        return f"{self.site.outside.url}/{path}"

    # Requests.

    async def rest(self, method: str, path: str, **options: Any) -> Any:
        """A request to the server's REST API; its JSON."""
        answer = await self.request(method, path, **options)
        if not answer.is_success:
            raise Refused(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json()

    async def request(self, method: str, path: str, **options: Any) -> httpx2.Response:
        headers = {"authorization": f"Bearer {self.site.server.env['QSTASH_TOKEN']}"}
        headers |= options.pop("headers", {})
        url = f"{self.site.server.url}{path}"
        return await self.http.request(method, url, headers=headers, **options)

    async def client(self, method: str, *parameters: Any) -> Any:
        """A method of the official workflow client: `client("dlq.resume", "123-0")`."""
        url = f"{self.site.apps.urls['control']}/client/{method}"
        answer = await self.http.post(url, json=parameters)
        if not answer.is_success:
            raise Refused(f"client.{method}: {answer.text}")
        return answer.json()

    async def trigger(self, workflow: str, body: Any = None, **options: Any) -> str:
        """Start a run with the official client; its id."""
        told = {"url": self.url(workflow), **options}
        if body is not None:
            told["body"] = body
        return (await self.client("trigger", told))["workflowRunId"]

    async def publish_to(self, workflow: str, body: Any, **headers: str) -> str:
        """Start a run as a message to its endpoint does, which then triggers itself; its id."""
        sink = f"started-{secrets.token_hex(5)}"
        told = {
            "upstash-callback": self.outside(f"sink/{sink}"),
            "upstash-retries": "0",
            "content-type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        await self.rest("POST", f"/v2/publish/{self.url(workflow)}", headers=told, json=body)
        [callback] = await self.received(sink)
        return json.loads(callback.callback_body)["workflowRunId"]

    # What came of it.

    async def run(self, run_id: str, *states: str) -> dict[str, Any]:
        """What the logs tell of a run now, in one of these states; {}: there is no such run."""
        query = f"groupBy=workflowRunId&workflowRunId={run_id}"
        query += "".join(f"&state={state}" for state in states)
        runs = (await self.rest("GET", f"/v2/workflows/events?{query}"))["runs"]
        return runs[0] if runs else {}

    async def until(
        self, run_id: str, holds: Callable[[dict[str, Any]], Any], *states: str
    ) -> dict[str, Any]:
        """The run, as soon as something holds of it, and it is in one of these states."""
        pause = 0.1
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    run = await self.run(run_id, *states)
                    if run and holds(run):
                        return run
                    await asyncio.sleep(pause)
                    pause = min(pause * 1.4, 0.5)
        except TimeoutError:
            run = await self.run(run_id)
            raise AssertionError(f"waited in vain; the run is now {json.dumps(run)}") from None

    async def ended(self, run_id: str, state: str = "RUN_SUCCESS") -> dict[str, Any]:
        """The run when it has ended; how it is meant to end."""
        # Asked for so, a run that goes on is not told of: that would cost more than all the rest.
        run = await self.until(run_id, lambda run: run["workflowState"] in ENDED, *ENDED)
        assert run["workflowState"] == state, json.dumps(run)
        return run

    async def result(self, run_id: str) -> Any:
        """What the workflow function gave."""
        return json.loads((await self.ended(run_id))["workflowRunResponse"])

    async def failed(self, run_id: str) -> tuple[dict[str, Any], Any]:
        """A run that failed, and what its failure function said (JSON, if it is that)."""

        def told(run: dict[str, Any]) -> bool:
            state = run.get("failureFunction", {}).get("state")
            return run["workflowState"] in ENDED and state in ("CALLBACK_SUCCESS", "CALLBACK_FAIL")

        run = await self.until(run_id, told, *ENDED)
        assert run["workflowState"] == "RUN_FAILED", json.dumps(run)
        assert run["failureFunction"]["state"] == "CALLBACK_SUCCESS", json.dumps(run)
        said = json.loads(run["failureFunction"]["responseBody"]).get("result")
        try:
            return run, json.loads(said)
        except (TypeError, ValueError):
            return run, said

    async def noted(self, run_id: str, kind: str) -> list[dict[str, Any]]:
        """What the Node process noted of a run: "visit", "event", "attempt"."""
        answer = await self.http.get(f"{self.site.apps.urls['control']}/noted/{run_id}")
        return [entry for entry in answer.json() if entry["kind"] == kind]

    async def visits(self, run_id: str) -> int:
        """How often the endpoint was visited for a run, failure callbacks left out."""
        return sum(not visit["failure"] for visit in await self.noted(run_id, "visit"))

    async def raise_flag(self, flag: str) -> None:
        await self.http.post(f"{self.site.apps.urls['control']}/raise/{flag}")

    async def received(self, sink: str, count: int = 1) -> list[Any]:
        """What a sink of the outside was sent, as soon as there are so many."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while len(found := self.site.outside.received(sink)) < count:
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{sink} got {len(found)} of {count} requests") from None
        return found

    async def waiting(self, event_id: str, count: int = 1) -> list[dict[str, Any]]:
        """The waiters of an event, as soon as there are so many."""
        async with asyncio.timeout(PATIENCE_S):
            while len(found := await self.rest("GET", f"/v2/waiters/{event_id}")) < count:
                await asyncio.sleep(0.1)
        return found


def steps_of(run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The steps that the logs tell of, by their names; the next one as "next"."""
    return {
        "next" if group["type"] == "next" else step["stepName"]: step
        for group in run["steps"]
        for step in group["steps"]
    }
