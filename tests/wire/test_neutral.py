"""`serve` and `async_serve`: workflows on a framework that has no adapter."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from workflow_agents import (
    AsyncWorkflowContext,
    ConfigurationError,
    Engine,
    WorkflowContext,
    async_serve,
    async_serve_many,
    create_workflow,
    serve,
    serve_many,
)

Context = AsyncWorkflowContext[Any]


@dataclass
class PlainRequest:
    """As a framework may have it: everything at hand."""

    url: str = "http://localhost/orders"
    body: Any = b""
    headers: Any = field(default_factory=dict)
    method: str = "POST"


class StarletteLike(PlainRequest):
    """A body that is awaited, headers as pairs of bytes."""

    def __init__(self, **given: Any) -> None:
        body = given.pop("body", b"")
        super().__init__(**given)
        self.headers = [(n.encode(), v.encode()) for n, v in dict(self.headers).items()]

        async def read() -> bytes:
            return body

        self.body = read


async def orders(context: Context) -> Any:
    seen = context.request_payload, context.headers.get("x-tenant")
    return await context.run("see", lambda: list(seen))


@pytest.mark.parametrize("shape", [PlainRequest, StarletteLike])
async def test_embedded(shape) -> None:
    async with Engine(":memory:") as engine:
        served = async_serve(orders, path="/orders", engine=engine)
        request = shape(body=b'{"id": 1}', headers={"X-Tenant": "acme"})
        response = await served["handler"](request)

        assert response.status == 200
        run_id = json.loads(response.body)["workflowRunId"]
        assert await engine.client.handle(run_id).result() == [{"id": 1}, "acme"]
        again = await engine.client.trigger(served["workflow"], {"id": 2})
        assert await again.result() == [{"id": 2}, None]


async def test_embedded_on_the_engine_of_the_process(tmp_path, monkeypatch) -> None:
    from workflow_agents.serve import neutral

    monkeypatch.setenv("WORKFLOW_AGENTS_STORE", str(tmp_path / "own.db"))
    monkeypatch.setattr(neutral, "_of_the_process", [])

    def plain(context: WorkflowContext[Any]) -> str:
        return context.run("one", lambda: "plain")

    handler = serve(plain)["handler"]
    awaited = async_serve(orders)["handler"]
    [routes] = neutral._of_the_process
    responses = await asyncio.gather(
        asyncio.to_thread(handler, PlainRequest(body="")), awaited(PlainRequest(body="text"))
    )
    results = [
        await routes.client.handle(response.data["workflowRunId"]).result()
        for response in responses
    ]
    await asyncio.to_thread(routes.engine.close)

    assert results == ["plain", ["text", None]]


async def test_on_the_wire(server, variables) -> None:
    """The same handlers take the visits of a server."""
    from tests.wire.conftest import AppOnLoopback

    def plain(context: WorkflowContext[Any]) -> Any:
        first = context.run("one", lambda: context.request_payload)
        context.sleep("nap", "1h")
        return context.run("two", lambda: first + 1)

    called, awaited = serve(plain), async_serve(orders)
    handlers = {"/plain": called["handler"], "/orders": awaited["handler"]}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        """A web framework in ten lines."""
        if scope["type"] != "http":
            return
        body = (await receive())["body"]
        url = f"{site.url}{scope['path']}"
        handler = handlers[scope["path"]]
        request = PlainRequest(url, body, scope["headers"], scope["method"])
        answer = (
            await asyncio.to_thread(handler, request)
            if scope["path"] == "/plain"
            else await handler(request)
        )
        headers = [(n.encode(), v.encode()) for n, v in answer.headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    site = AppOnLoopback(app)
    for path, body, result in (("/plain", b"1", b"2"), ("/orders", b"2", b"[2,null]")):
        signature = {"upstash-signature": server.sign(f"{site.url}{path}", body)}
        answer = await site.post(path, body, headers=signature)
        assert answer.status_code == 200, answer.text
        run = await server.ended(answer.json()["workflowRunId"])
        assert run.result == result
    await site.stop()
    await awaited["close"]()
    await asyncio.to_thread(called["close"])


def test_options_are_checked() -> None:
    with pytest.raises(ConfigurationError, match=r"WA101(?s:.*)did you mean 'retries'"):
        async_serve(orders, retrys=1)  # type: ignore[call-arg]
    with pytest.raises(ConfigurationError, match="WA102"):
        serve(orders, engine=object())  # type: ignore[typeddict-item]
    with pytest.raises(ConfigurationError, match="WA102"):
        serve(orders, path="orders")


def family() -> dict[str, Any]:
    @create_workflow
    async def parent(context: Context) -> Any:
        one = await context.invoke("object", child, context.request_payload)
        two = await context.invoke("name", "child", one.body)
        return [one.body, two.body]

    @create_workflow(retries=7)
    async def child(context: Context) -> int:
        return await context.run("double", lambda: 2 * context.request_payload)

    return {"parent": parent, "child": child}


async def test_several_embedded() -> None:
    async with Engine(":memory:") as engine:
        served = async_serve_many(family(), path="/family", engine=engine, retries=1)
        assert served["workflows"]["child"].path == "/family/child"
        retries = {name: served["workflows"][name].options.retries for name in ("parent", "child")}
        assert retries == {"parent": 1, "child": 7}
        handler = served["handler"]
        response = await handler(PlainRequest("http://localhost/family/parent?x=/", b"3"))
        run_id = response.data["workflowRunId"]
        assert await engine.client.handle(run_id).result() == [6, 12]

        unknown = await handler(PlainRequest("http://localhost/family/uncle", b"3"))
        assert (unknown.status, unknown.headers["Upstash-Workflow-Sdk-Version"]) == (404, "1")


async def test_several_on_the_wire(server, variables) -> None:
    """Also a sync handler; what is invoked is found by the last part of its address."""
    from tests.wire.conftest import AppOnLoopback

    served = serve_many(family(), path="/family")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = (await receive())["body"]
        request = PlainRequest(f"{site.url}{scope['path']}", body, scope["headers"])
        answer = await asyncio.to_thread(served["handler"], request)
        headers = [(n.encode(), v.encode()) for n, v in answer.headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    site = AppOnLoopback(app)
    signature = {"upstash-signature": server.sign(f"{site.url}/family/parent", b"3")}
    answer = await site.post("/family/parent", b"3", headers=signature)
    run = await server.ended(answer.json()["workflowRunId"])
    assert run.result == b"[6,12]"
    await site.stop()
    await asyncio.to_thread(served["close"])


def test_members_are_checked() -> None:
    members = family()
    with pytest.raises(ConfigurationError, match="WA107"):
        _ = members["parent"].path
    with Engine(":memory:") as engine:
        async_serve_many(members, path="/one", engine=engine)
        async_serve_many({"child": members["child"]}, path="/one", engine=Engine(":memory:"))
        with pytest.raises(ConfigurationError, match="WA110"):
            async_serve_many(members, path="/two", engine=engine)
        for wrong in ({}, {"a/b": orders}, {"": orders}, [orders]):
            with pytest.raises(ConfigurationError, match="WA102"):
                async_serve_many(wrong, engine=engine)  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="base_url"):
            serve_many({"a": orders}, url="https://here", engine=engine)
        with pytest.raises(ConfigurationError, match=r"WA101(?s:.*)did you mean 'retries'"):
            create_workflow(orders, retrys=1)  # type: ignore[call-overload]
