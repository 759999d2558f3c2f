"""The client of `test_server_sigkill`: it keeps a server busy, and knows what was accepted.

Whatever it asks for has an id of its own, so that it is asked again until the answer comes.
"""

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx2

from tests.journeys.sigkill_processes import CREDENTIALS, PATIENCE_S

MANY = "1000"
SOON = {"upstash-retries": MANY, "upstash-retry-delay": "100"}
SCHEDULES = 3


class Store:
    """The server's store, as another process may read it at any time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def all(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as db:
            return db.execute(query).fetchall()

    def number(self, query: str) -> int:
        ((found,),) = self.all(query)
        return found

    def open_runs(self) -> int:
        return self.number("SELECT count(*) FROM runs WHERE ended_at IS NULL")

    def owed(self) -> int:
        return self.number("SELECT count(*) FROM deliveries")

    def recorded(self) -> dict[tuple[str, str], int]:
        """Every recorded step by run and name: how often it is there."""
        return {
            (run, name): times
            for run, name, times in self.all(
                "SELECT r.run_id, f.name, count(*) FROM feed f JOIN runs r ON r.id = f.run"
                " WHERE f.mark = 0 GROUP BY 1, 2"
            )
        }


class Load:
    """What is asked of the server, all the time.

    Attributes:
        accepted: the result that is expected of each run whose trigger was answered.
        messages, queued: numbers of the messages that were answered, in the order of asking.
        repeated: how often something had to be asked again.
    """

    def __init__(self, server: str, endpoint: str, outside: str, store: Store, runs: int) -> None:
        self.accepted: dict[str, list[Any]] = {}
        self.messages: list[int] = []
        self.queued: list[int] = []
        self.repeated = 0
        self._endpoint, self._outside = endpoint, outside
        self._store, self._runs = store, runs
        self._http = httpx2.AsyncClient(
            base_url=server,
            headers={"authorization": f"Bearer {CREDENTIALS['QSTASH_TOKEN']}"},
            timeout=PATIENCE_S,
            trust_env=False,
        )

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """An answer, however often it has to be asked for; its JSON."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        content = None if body is None else json.dumps(body)
        patience = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = await self._http.request(method, path, content=content, headers=named)
            except httpx2.TransportError:
                assert time.monotonic() < patience, "the server does not come back"
                self.repeated += 1
                await asyncio.sleep(0.05)
            else:
                assert answer.is_success, (method, path, answer.status_code, answer.text)
                return answer.json() if answer.content else None

    async def pages(self, path: str, name: str) -> AsyncIterator[dict[str, Any]]:
        """Everything that a list of the server holds."""
        cursor = ""
        while True:
            page = await self.ask("GET", f"{path}{cursor}")
            for one in page[name]:
                yield one
            if "cursor" not in page:
                return
            cursor = f"&cursor={page['cursor']}"

    async def schedule(self) -> None:
        for n in range(SCHEDULES):
            await self.ask(
                "POST",
                f"/v2/schedules/{self._outside}/tick",
                n,
                upstash_schedule_id=f"every-minute-{n}",
                upstash_cron="* * * * *",
                **SOON,
            )

    async def unschedule(self) -> None:
        for n in range(SCHEDULES):
            await self.ask("DELETE", f"/v2/schedules/every-minute-{n}")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Ask all the time; at the end, all that is being asked is asked to its end."""
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for asking in (self._trigger, self._publish, self._enqueue):
                group.create_task(asking(over))
            yield
            over.set()

    async def close(self) -> None:
        await self._http.aclose()

    async def settled(self) -> None:
        """Until nothing is owed any more."""
        patience = time.monotonic() + 4 * PATIENCE_S
        while open_runs := self._store.open_runs() + self._store.owed():
            assert time.monotonic() < patience, f"{open_runs} runs and deliveries do not end"
            await asyncio.sleep(0.1)

    async def _trigger(self, over: asyncio.Event) -> None:
        n = 0
        while not over.is_set():
            free = self._runs - self._store.open_runs()
            batch = range(n, n + max(0, min(free, 10)))
            await asyncio.gather(*(self._begin(k) for k in batch))
            n = batch.stop
            await asyncio.sleep(0.1)

    async def _begin(self, n: int) -> None:
        workflow = ("order", "shipment")[n % 2]
        run_id = f"wfr_{workflow}-{n}"
        told = await self.ask(
            "POST",
            f"/v2/trigger/{self._endpoint}/{workflow}",
            {"n": n},
            upstash_workflow_runid=run_id,
            content_type="application/json",
            **SOON,
        )
        assert told["workflowRunId"] == run_id
        if workflow == "order":
            self.accepted[run_id] = [n * 2, n * 5, n * 3]
        else:
            self.accepted[run_id] = [[n + 1, n + 1, n], {"by": n}, n + 1, n * 5, n * 3]
            # It is kept where the run does not wait yet.
            await self.ask("POST", f"/v2/notify/{run_id}/paid-{n}", {"by": n})

    async def _publish(self, over: asyncio.Event) -> None:
        n = 0
        while not over.is_set():
            await self.ask(
                "POST",
                f"/v2/publish/{self._endpoint}/messages/plain",
                n,
                upstash_deduplication_id=f"plain-{n}",
                upstash_callback=f"{self._outside}/callback",
                **SOON,
            )
            self.messages.append(n)
            n += 1
            await asyncio.sleep(0.02)

    async def _enqueue(self, over: asyncio.Event) -> None:
        n = 0
        while not over.is_set():
            await self.ask(
                "POST",
                f"/v2/enqueue/in-order/{self._endpoint}/messages/queued",
                n,
                upstash_deduplication_id=f"queued-{n}",
                **SOON,
            )
            self.queued.append(n)
            n += 1
            await asyncio.sleep(0.02)
