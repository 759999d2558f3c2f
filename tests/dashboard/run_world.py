"""Runs that the tests of their page look at, beside those of `world`."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
from pydantic import BaseModel, Field

from tests.dashboard.world import TOKEN, World
from workflow_agents import AsyncWorkflowContext
from workflow_agents.core.lifecycle import Phase
from workflow_agents.protocol.codec import encode
from workflow_agents.protocol.history import EntryKind, StepKind

DAY = 86_400_000
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGA"
    "WjR9awAAAABJRU5ErkJggg=="
)
SECRETS = ("s3cret-token", "s3cret-key", "s3cret-session")


class Item(BaseModel):
    """A line of an order."""

    sku: str
    count: int = Field(ge=1)


class Order(BaseModel):
    """The payload of `/typed`."""

    customer: str
    items: list[Item] = Field(min_length=1)


class Bank:
    """Answers twice that it is busy, and then."""

    def __init__(self) -> None:
        asked: list[str] = []

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked.append(self.path)
                self.rfile.read(int(self.headers["content-length"] or 0))
                good = len(asked) > 2
                body = json.dumps({"paid": True} if good else {"error": "busy"}).encode()
                self.send_response(200 if good else 503)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.send_header("set-cookie", "id=s3cret-session")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self._server.server_port}/charges"

    def __enter__(self) -> "Bank":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def add(world: World, bank: Bank) -> None:
    """Serve what these runs are of, and start them."""
    world.call(_serve(world, bank))
    runs = world.runs
    runs["bill"] = world.trigger("/billing")
    runs["typed"] = world.trigger(
        "/typed", {"customer": "ada", "items": [{"sku": "A", "count": 1}]}
    )
    if world.model is not None:
        world.model.say("## Sums\n\n1. **first** `code`\n2. [a link](http://127.0.0.1:1/leak)")
        runs["talk"] = world.call(_talk(world))
    runs["trip"] = world.call(_trip(world))
    for name in ("bill", "typed"):
        world.ended(runs[name])


async def _serve(world: World, bank: Bank) -> None:
    engine = world.engine

    @engine.workflow("/billing", retries=0)
    async def billing(context: AsyncWorkflowContext[Any]) -> Any:
        answer = await context.call(
            "charge the bank",
            url=bank.url,
            method="POST",
            body={
                "amount": 3,
                "lines": [{"sku": f"A-{n}", "note": "n" * 40} for n in range(2_000)],
            },
            headers={"Authorization": "Bearer s3cret-token", "X-Api-Key": "s3cret-key"},
            retries=3,
            retry_delay="20",
        )
        return answer.body

    @engine.workflow("/typed", retries=0)
    async def typed(context: AsyncWorkflowContext[Order]) -> Any:
        order = context.request_payload
        return await context.run("count", lambda: sum(item.count for item in order.items))


async def _talk(world: World) -> str:
    """A run of a workflow that an official SDK serves: it asks a model, and ends."""
    from fastapi import FastAPI
    from qstash import AsyncQStash
    from upstash_workflow.fastapi import Serve as OfficialServe

    assert world.model is not None
    app = FastAPI()
    port = await world.listen(app)
    url = f"http://127.0.0.1:{port}/talk"
    address = f"{world.model.base_url}/chat/completions"

    @OfficialServe(app).post(
        "/talk", qstash_client=AsyncQStash(TOKEN, base_url=world.url), url=url, retries=0
    )
    async def talk(context: Any) -> None:
        async def greet() -> str:
            return "hello"

        await context.run("greet", greet)
        await context.call(
            "Call Agent scribe",
            url=address,
            method="POST",
            body={"model": "gpt-4o", "messages": _said()},
            headers={"upstash-agent-name": "scribe", "authorization": "Bearer s3cret-token"},
        )

    head = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx2.AsyncClient(trust_env=False) as http:
        answer = await http.post(f"{world.url}/v2/trigger/{url}", headers=head, content=b"{}")
        answer.raise_for_status()
        return answer.json()["workflowRunId"]


def _said() -> list[dict[str, Any]]:
    """199 messages: the answer is the last of 200."""
    said: list[dict[str, Any]] = [{"role": "system", "content": "You sum up."}]
    for number in range(49):
        function = {"name": "look", "arguments": f'{{"page": {number}}}'}
        call = {"id": f"c{number}", "type": "function", "function": function}
        said += [
            {"role": "user", "content": f"Look at page {number}."},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"c{number}", "content": f"page {number} " * 40},
            {"role": "assistant", "content": f"Page {number} is **long**."},
        ]
    picture = {"type": "image_url", "image_url": {"url": PIXEL}}
    remote = {"type": "image_url", "image_url": {"url": "http://127.0.0.1:1/leak.png"}}
    parts = [{"type": "text", "text": "And this?"}, picture, remote]
    return [*said, {"role": "user", "content": "Thanks."}, {"role": "user", "content": parts}]


async def _trip(world: World) -> str:
    """A run that has slept for three days: as the feed has it, for nobody waits so long."""
    store = world.engine.core.store
    success, retry = int(EntryKind.STEP_SUCCESS), int(EntryKind.STEP_RETRY)
    run, sleep = int(StepKind.RUN), int(StepKind.SLEEP)
    until = 3 * DAY + 10_000
    waits, failed = {"until": until}, {"error": "E", "message": "full"}
    entries: list[tuple[Any, ...]] = [
        *(
            (at, retry, run, 1, "book", encode({**failed, "until": at + 900}), None)
            for at in (1_000, 3_000, 5_000)
        ),
        (7_000, success, run, 1, "book", b'"booked"', 0),
        (10_000, int(EntryKind.STEP_WAITING), sleep, 2, "three days", encode(waits), None),
        (until, success, sleep, 2, "three days", b"null", 0),
        (until + 2_000, success, run, 3, "go", b"1", 0),
    ]
    with store.mutex:  # type: ignore[attr-defined]
        db = store.db  # type: ignore[attr-defined]
        columns = "run_id, workflow, phase, token, wakes, attempt, created_at, ended_at"
        db.execute("BEGIN")
        [row] = db.execute(
            f"INSERT INTO runs ({columns}) VALUES"
            f" ('wfr_trip', '/trip', {Phase.SUCCESS:d}, 1, 0, 0, 0, ?) RETURNING id",
            (until + 2_000,),
        ).fetchone()
        db.executemany(
            "INSERT INTO feed (run, at, kind, type, step, name, data, mark)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(row, *entry) for entry in entries],
        )
        db.execute("COMMIT")
    return "wfr_trip"
