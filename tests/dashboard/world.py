"""A server with something of everything on it: what the tests of the dashboard look at.

Runs of every state, an agent that has asked for approval, waits and webhooks, dead letters of
three kinds, schedules, queues, flow control keys. It turns on a thread of its own, because a
browser is driven from the test's.
"""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from workflow_agents import (
    AsyncWorkflowContext,
    Engine,
    FlowControl,
    WorkflowNonRetryableError,
    agent_workflow,
    tool,
)
from workflow_agents.dashboard.site import Dashboard
from workflow_agents.server.app import create_app
from workflow_agents.server.settings import Account, Scope, ServerSettings, digest_of, make_token
from workflow_agents.testing.model_server import ScriptedModel

TOKEN = make_token("ada", "of-the-test")
READER = make_token("rita", "of-the-test")
PATIENCE_S = 30


class World:
    """See the module.

    Args:
        folder: holds the store.
        model: answers agents; None: there is none.
        sub_path: where the dashboard is mounted besides the server's own.
        dev: nobody needs to sign in.
        port: where it is; 0: any.

    Attributes:
        url: of the server.
        ui: of the dashboard.
        engine: that everything is on.
        paid: what `/orders` has charged, in order.
        refunds: what the agent has refunded.
        runs: run ids by what they are for.
    """

    def __init__(
        self, folder: Path, model: ScriptedModel | None = None, *, dev: bool = True, port: int = 0
    ):
        self.engine = Engine(str(folder / "world.db"))
        self.model = model
        self.paid: list[Any] = []
        self.refunds: list[Any] = []
        self.broken = True
        self.runs: dict[str, str] = {}
        self._dev = dev
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.ui = f"{self.url}/ui"
        self.engine = Engine(str(folder / "world.db"), base_url=self.url)
        self._ready: Future[None] = Future()
        self._beside: list[tuple[uvicorn.Server, Any]] = []
        self._thread = threading.Thread(target=self._turn, daemon=True)

    def __enter__(self) -> "World":
        self._thread.start()
        self._ready.result(PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(PATIENCE_S)

    def call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run it on the loop of the world."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE_S)

    def until(self, true: Callable[[], Any]) -> Any:
        """Wait until something holds; what it gave."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if found := self.call(_asked(true)):
                return found
            time.sleep(0.02)
        raise TimeoutError("it has not come to that")

    def trigger(self, path: str, body: Any = None, **options: Any) -> str:
        """Start a run; its id."""
        return self.call(self.engine.client.trigger(path, body, **options)).run_id

    def ended(self, run_id: str) -> str:
        """Wait for the end of a run; its state."""
        return self.call(self._end_of(run_id))

    async def _end_of(self, run_id: str) -> str:
        from workflow_agents.core.lifecycle import wire_state

        core = self.engine.core
        return wire_state((await core.end_of(core.admin.find(run_id).id)).phase)

    def waits(self, run_id: str, kind: str = "STEP_WAITING", step: str | None = None) -> None:
        """Wait until the feed of a run tells of something."""

        def told() -> bool:
            admin = self.engine.core.admin
            entries = admin.entries(admin.find(run_id))
            return any(e.kind == kind and step in (None, e.step_name) for e in entries)

        self.until(told)

    def state(self, run_id: str) -> str:
        """Of a run, as logs call it."""
        return self.call(self.engine.client.log(run_id)).state

    async def listen(self, app: Any) -> int:
        """Serve an app beside it, until it ends; on which port."""
        config = uvicorn.Config(app, port=0, log_level="warning", lifespan="off", ws="none")
        server = uvicorn.Server(config)
        self._beside.append((server, asyncio.ensure_future(server.serve())))
        while not server.started:
            await asyncio.sleep(0.01)
        return server.servers[0].sockets[0].getsockname()[1]

    # What it serves.

    def _serve(self) -> None:
        engine = self.engine

        @engine.workflow("/orders", retries=0)
        async def orders(context: AsyncWorkflowContext[Any]) -> Any:
            order = context.request_payload
            stock = await context.run("reserve stock", lambda: {"sku": "A-17", "left": 3})

            def charge() -> Any:
                if order.get("amount", 0) > 500:
                    raise WorkflowNonRetryableError("the card was declined: limit of 500 exceeded")
                self.paid.append(order["amount"])
                return {"paid": order["amount"]}

            paid = await context.run("charge card", charge)

            async def mail() -> Any:
                await context.sleep("let it settle", 0.2)
                return await context.run("send mail", lambda: "sent <b>mail</b>")

            async def pack() -> Any:
                await context.run("pick", lambda: [1, 2])
                return await context.run("pack", lambda: "packed")

            await asyncio.gather(mail(), pack())
            return {"stock": stock, **paid}

        @engine.workflow("/approval", retries=0)
        async def approval(context: AsyncWorkflowContext[Any]) -> Any:
            await context.run("draft", lambda: "a draft")
            said = await context.wait_for_event(
                "manager's approval", f"approve-{context.workflow_run_id}", timeout="3d"
            )
            return said.event_data

        @engine.workflow("/details", retries=0)
        async def details(context: AsyncWorkflowContext[Any]) -> Any:
            asked = context.request_payload
            told = {"timeout": "1d", "details": asked["details"]}
            return (await context.wait_for_event("asks", asked["event"], **told)).event_data

        @engine.workflow("/hook", retries=0)
        async def hook(context: AsyncWorkflowContext[Any]) -> Any:
            made = await context.create_webhook("make a webhook")
            got = await context.wait_for_webhook("payment arrives", made, timeout="1d")
            return got.timeout

        @engine.workflow("/flaky", retries=0)
        async def flaky(context: AsyncWorkflowContext[Any]) -> Any:
            def fetch() -> str:
                if self.broken:
                    raise ConnectionError("503 from the bank")
                return "fetched"

            return await context.run("fetch rates", fetch, retries=5, retry_delay="3600000")

        @engine.workflow("/fails", retries=0)
        async def fails(context: AsyncWorkflowContext[Any]) -> Any:
            await context.run("read feed", list)
            if self.broken:
                kind = ValueError if context.request_payload else KeyError
                raise WorkflowNonRetryableError("the feed is empty") from kind("items")
            return "mended"

        @engine.workflow("/parent", retries=0)
        async def parent(context: AsyncWorkflowContext[Any]) -> Any:
            found = await context.invoke("order it", orders, {"amount": 20})
            return found.body

        @engine.workflow("/nap", retries=0)
        async def nap(context: AsyncWorkflowContext[Any]) -> Any:
            await context.run("before", lambda: 1)
            await context.sleep("three days", "3d")
            return await context.run("after", lambda: 2)

        @engine.workflow("/long", retries=0)
        async def long(context: AsyncWorkflowContext[Any]) -> Any:
            for number in range(context.request_payload):
                await context.run(f"step {number}", lambda number=number: number)
            return "long"

        async def refund(order: int, amount: int = 10) -> str:
            """Refund an order."""
            self.refunds.append((order, amount))
            return f"refunded {amount}"

        async def clerk(context: AsyncWorkflowContext[Any], approvers: int) -> str:
            assert self.model is not None
            agents = agent_workflow(context)
            llm = agents.openai("gpt-4o", base_url=self.model.base_url, api_key="sk-t0p-s3cret")
            clerk = agents.agent(
                model=llm,
                name="clerk",
                background="You are a clerk of a shop. Be kind.",
                tools=[tool(needs_approval=True, approvers=approvers)(refund)],
            )
            task = agents.task(agent=clerk, prompt="Order 7 came broken. Refund 25, please.")
            return (await task.run()).text

        @engine.workflow("/desk", retries=0)
        async def desk(context: AsyncWorkflowContext[Any]) -> Any:
            return await clerk(context, 1)

        @engine.workflow("/vault", retries=0)
        async def vault(context: AsyncWorkflowContext[Any]) -> Any:
            return await clerk(context, 2)

        @engine.workflow("/advice", retries=0)
        async def advice(context: AsyncWorkflowContext[Any]) -> Any:
            assert self.model is not None
            agents = agent_workflow(context)
            llm = agents.openai(
                "gpt-4o", base_url=self.model.base_url, api_key="sk-none", stream=True
            )
            await context.wait_for_event("somebody asks", f"go-{context.workflow_run_id}")
            clerk = agents.agent(model=llm, name="adviser", background="You give advice.")
            return (await agents.task(agent=clerk, prompt="An umbrella?").run()).text

    # Its life.

    def _turn(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            self._serve()
            async with self.engine:
                core = self.engine.core
                await core.wire.credentials.load_keys()
                accounts = (
                    Account("ada", digest_of(TOKEN)),
                    Account("rita", digest_of(READER), Scope.READ),
                )
                settings = ServerSettings(port=self.port, accounts=accounts, dev=self._dev)
                app = Starlette(
                    routes=[
                        Mount("/x/y", Dashboard(core)),
                        Mount("/", create_app(core, settings)),
                    ]
                )
                self._server = uvicorn.Server(
                    uvicorn.Config(
                        app,
                        log_level="warning",
                        lifespan="off",
                        ws="none",
                        timeout_graceful_shutdown=1,
                    )
                )
                self._loop.call_later(0, self._ready.set_result, None)
                await self._server.serve(sockets=[self._socket])
                for server, serving in self._beside:
                    server.should_exit = True
                    await serving
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(error)
            raise

    def fill(self) -> None:
        """Something of everything."""
        held = FlowControl("bank", parallelism=1)
        runs = self.runs
        runs["done"] = self.trigger("/orders", {"amount": 30}, label="vip")
        runs["failed"] = self.trigger("/orders", {"amount": 900}, label="vip")
        runs["waits"] = self.trigger("/approval", {"text": "hello"})
        runs["hook"] = self.trigger("/hook")
        runs["flaky"] = self.trigger("/flaky", flow_control=held)
        runs["held"] = self.trigger("/flaky", flow_control=held)
        runs["parent"] = self.trigger("/parent")
        runs["nap"] = self.trigger("/nap")
        for number in range(3):
            runs[f"fails {number}"] = self.trigger("/fails", number)
        if self.model is not None:
            self.model.call_tools(("refund", {"order": 7, "amount": 25}))
            runs["agent"] = self.trigger("/desk")
            self.waits(runs["agent"], step="Approve tool refund")
        self.ended(runs["done"])
        self.ended(runs["failed"])
        self.ended(runs["parent"])
        for number in range(3):
            self.ended(runs[f"fails {number}"])
        self.waits(runs["waits"])
        self.waits(runs["hook"])
        self.waits(runs["nap"])
        self.waits(runs["flaky"], "STEP_RETRY")
        self.call(self._resources())

    async def _resources(self) -> None:
        import httpx2

        head = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx2.AsyncClient(base_url=self.url, headers=head, trust_env=False) as http:
            for name, cron in (
                ("nightly", "CRON_TZ=Europe/Berlin 0 3 * * *"),
                ("often", "*/5 * * * *"),
            ):
                given = {"Upstash-Cron": cron, "Upstash-Schedule-Id": name}
                answer = await http.post(
                    "/v2/schedules/http://127.0.0.1:9/tick", headers=given, content=b"{}"
                )
                answer.raise_for_status()
            made = {"queueName": "mails", "parallelism": 2}
            (await http.post("/v2/queues", json=made)).raise_for_status()


async def _asked(ask: Callable[[], Any]) -> Any:
    return ask()
