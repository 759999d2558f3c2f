"""One example application, unchanged, in four modes: what it does is the same in each.

Embedded; on a development server that starts it; on a server of its own with two processes of the
app, one of which is killed in the middle; and on a strict stand-in for a QStash server, which knows
nothing of us. What it sends there is compared with the official SDK in
`tests/official/test_same_messages.py`.
"""

import asyncio
import base64
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.forks import ROOT, SERVERS, Child, nursery
from tests.journeys.test_checkpoints_sigkill import free_port
from tests.wire.stand_in import CURRENT_KEY, NEXT_KEY, TOKEN, StandIn
from workflow_agents.server.settings import DEV_TOKEN

APP = "examples.shop.app:app"
WORKER = Path(__file__).with_name("shared_port_worker.py")
OWN_TOKEN = base64.b64encode(json.dumps({"UserID": "shop", "Password": "secret"}).encode()).decode()
PATIENCE_S = 100


class Shop:
    """The application, whoever keeps its runs; `start` begins processes of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.processes: list[Child] = []
        self.env = {n: v for n, v in os.environ.items() if not n.startswith(("QSTASH", "UPSTASH"))}
        self.env |= {"PYTHONPATH": str(ROOT), "SHOP_LEDGER": str(folder / "ledger")}
        self.env["WORKFLOW_AGENTS_STORE"] = str(folder / "shop.db")
        # Nothing but loopback is asked: no certificate is looked at.
        self.http = httpx2.AsyncClient(trust_env=False, timeout=PATIENCE_S, verify=False)

    def start(self, *argv: object, **env: str) -> Child:
        log = self.folder / f"process-{len(self.processes)}"
        child = nursery(*SERVERS).start(argv, log=log, env=self.env | env, cwd=ROOT)
        self.processes.append(child)
        return child

    def serve(self) -> Child:
        return self.start("uvicorn", APP, "--port", self.port, "--log-level", "error")

    async def ask(self, method: str, path: str, **options: Any) -> Any:
        """The answer of the app, however long it takes to be there."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    answer = await self.http.request(method, self.url + path, **options)
                    assert answer.status_code == 200, answer.text
                    return answer.json()
                except httpx2.TransportError:
                    await asyncio.sleep(0.05)

    async def bought(
        self, run_ids: dict[str, str], pass_time: Callable[[], Any] | None = None
    ) -> dict[str, Any]:
        """Pay every order as soon as it asks for it, and let all come to their ends."""
        unpaid, results = {*run_ids}, dict[str, Any]()
        async with asyncio.timeout(PATIENCE_S):
            while len(results) < len(run_ids):
                for order in [*unpaid]:
                    paid = await self.ask("POST", f"/payments/{order}", json={"euros": 40})
                    unpaid -= {order} if paid["woken"] else set()
                for order in run_ids.keys() - unpaid - results.keys():
                    found = await self.ask("GET", f"/runs/{run_ids[order]}")
                    if found["state"] != "RUN_STARTED":
                        results[order] = found["result"] or found
                await (pass_time() if pass_time else asyncio.sleep(0.05))
        return results

    def effects(self) -> Counter[str]:
        return Counter((self.folder / "ledger").read_text().splitlines())

    async def stop(self) -> None:
        await self.http.aclose()
        for process in self.processes:
            if not process.is_over:
                process.send(signal.SIGTERM)
        for process in self.processes:
            process.wait()


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    shop = Shop(tmp_path)
    yield shop
    await shop.stop()


def order(number: int) -> dict[str, Any]:
    return {"id": f"o-{number}", "item": "chair", "euros": 40}


def result(number: int) -> dict[str, Any]:
    return {
        "reserved": f"reserve o-{number}",
        "dollars": 80,
        "paid": 40,
        "booked": f"book o-{number}",
        "parcel": {"arrived": "at the door", "timeout": False},
        "told": 0,
    }


def effects(numbers: range) -> Counter[str]:
    return Counter(f"{do} o-{n}" for n in numbers for do in ("reserve", "book", "pack"))


async def test_embedded(shop: Shop) -> None:
    shop.serve()
    started = await shop.ask("POST", "/workflows/order", json=order(1))
    assert await shop.bought({"o-1": started["workflowRunId"]}) == {"o-1": result(1)}
    assert shop.effects() == effects(range(1, 2))


async def test_on_a_development_server(shop: Shop) -> None:
    server = free_port()
    shop.start(
        "workflow_agents.cli", "dev", APP, "--port", server, "--app-port", shop.port,
        "--store", shop.folder / "dev.db",
    )  # fmt: skip
    run_id = await triggered(shop, server, DEV_TOKEN, 1)
    assert await shop.bought({"o-1": run_id}) == {"o-1": result(1)}
    assert shop.effects() == effects(range(1, 2))


async def test_on_a_server_with_two_processes_one_of_which_is_killed(shop: Shop) -> None:
    server, orders = free_port(), range(1, 5)
    shop.env |= {"QSTASH_URL": f"http://127.0.0.1:{server}", "QSTASH_TOKEN": OWN_TOKEN}
    shop.env |= {"QSTASH_CURRENT_SIGNING_KEY": "sig_" + 24 * "1"}
    shop.env |= {"QSTASH_NEXT_SIGNING_KEY": "sig_" + 24 * "2"}
    shop.start(
        "workflow_agents.cli", "server", "--port", server, "--allow-network", "127.0.0.0/8",
        "--store", shop.folder / "server.db",
    )  # fmt: skip
    endpoints = [shop.start(WORKER, APP, shop.port) for _ in range(2)]
    await shop.ask("GET", "/rate")
    run_ids = {f"o-{n}": await triggered(shop, server, OWN_TOKEN, n) for n in orders}

    async def kill() -> None:
        """Once some have been booked, and not all."""
        if endpoints and sum(shop.effects()[f"book o-{n}"] for n in orders) > 1:
            endpoints.pop().send(signal.SIGKILL)
            endpoints.clear()
        await asyncio.sleep(0.02)

    bought = await shop.bought(run_ids, kill)
    # One by one: what differs is to be seen.
    for n in orders:
        assert bought[f"o-{n}"] == result(n), json.dumps(bought[f"o-{n}"])
    assert not endpoints, "none was killed"
    found, expected = shop.effects(), effects(orders)
    # What was going on in the process that died may be done again; nothing else, and all of it.
    assert found.keys() == expected.keys()
    assert found.total() - expected.total() <= len(orders)


async def test_on_a_strict_stand_in(shop: Shop) -> None:
    server = StandIn()
    await server.start()
    shop.env |= {"QSTASH_URL": server.url, "QSTASH_TOKEN": TOKEN}
    shop.env |= {"QSTASH_CURRENT_SIGNING_KEY": CURRENT_KEY, "QSTASH_NEXT_SIGNING_KEY": NEXT_KEY}
    shop.serve()
    body = json.dumps(order(1)).encode()
    address = f"{shop.url}/workflows/order"
    signed = {"Upstash-Signature": server.sign(address, body), "Content-Type": "application/json"}
    started = await shop.ask("POST", "/workflows/order", content=body, headers=signed)

    async def pass_time() -> None:
        await server.pass_time("1s")

    bought = await shop.bought({"o-1": started["workflowRunId"]}, pass_time)
    await server.stop()
    assert bought == {"o-1": result(1)}
    assert shop.effects() == effects(range(1, 2))
    assert not server.violations, "\n".join(server.violations)


async def triggered(shop: Shop, server: int, token: str, number: int) -> str:
    """Start a run through the server."""
    url = f"http://127.0.0.1:{server}/v2/trigger/{shop.url}/workflows/order"
    headers = {"Authorization": f"Bearer {token}", "Upstash-Retries": "20"}
    headers["Upstash-Retry-Delay"] = "200"
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                answer = await shop.http.post(url, json=order(number), headers=headers)
                assert answer.status_code == 200, answer.text
                run_id: str = answer.json()["workflowRunId"]
                return run_id
            except httpx2.TransportError:
                await asyncio.sleep(0.05)
