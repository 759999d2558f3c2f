"""The documented examples of `Serve`: its options, authentication, calls to one's own app.

The pages are named in `test_documented_examples.py`, which checks that none is left out.
"""
# ruff: noqa: A001  # `input` is what the documentation calls the payload

import asyncio
import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from typing import Any, TypedDict

import pytest
from qstash import Receiver

from tests.wire.conftest import AppOnLoopback
from tests.wire.stand_in import TOKEN
from workflow_agents import (
    AsyncWorkflowContext,
    CallResponse,
    Client,
    Secret,
    WorkflowContext,
)

CURRENT, NEXT, OTHER = (f"sig_{letter * 28}" for letter in "abc")


def signed(key: str, body: bytes, **claims: Any) -> str:
    """A signature as QStash makes it: a JWT over the hash of the body."""

    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    now = int(time.time())
    header = {"alg": "HS256", "typ": "JWT"}
    payload = {"iss": "Upstash", "iat": now, "nbf": now, "exp": now + 300} | claims
    payload["body"] = part(hashlib.sha256(body).digest())
    text = f"{part(json.dumps(header).encode())}.{part(json.dumps(payload).encode())}"
    return f"{text}.{part(hmac.digest(key.encode(), text.encode(), 'sha256'))}"


async def test_payload_parser_gets_the_text_of_the_body(site, serve) -> None:
    """Source: howto/use-webhooks, "Initialize Webhook Endpoint"."""
    parsed: list[Any] = []

    def initial_payload_parser(payload):
        parsed.append(payload)
        return payload

    @serve.post("/api/example", initial_payload_parser=initial_payload_parser)
    async def example(context: AsyncWorkflowContext[str]) -> str:
        # Your webhook handling logic here
        return await context.run("handle", lambda: context.request_payload)

    as_json = await site.run("/api/example", {"id": "evt_1"})
    as_text = await site.run("/api/example", "plain text")

    assert parsed == ['{"id":"evt_1"}', "plain text"]
    assert as_json.result == '{"id":"evt_1"}'
    assert as_text.result == "plain text"


async def test_payload_parser_makes_an_object_of_the_text(site, serve) -> None:
    """Source: howto/use-webhooks; a parser that reads the event of a webhook."""

    @dataclass
    class Event:
        kind: str
        email: str

    def initial_payload_parser(payload: str) -> Event:
        event = json.loads(payload)
        return Event(event["type"], event["data"]["email"])

    @serve.post("/api/webhook", initial_payload_parser=initial_payload_parser)
    async def webhook(context: AsyncWorkflowContext[Event]) -> str:
        event = context.request_payload
        return await context.run("handle", lambda: f"{event.kind} of {event.email}")

    body = {"type": "user.created", "data": {"email": "ada@example.com"}}

    assert (await site.run("/api/webhook", body)).result == "user.created of ada@example.com"


async def test_environment_of_a_workflow(site, serve) -> None:
    """Source: basics/serve/advanced, "Configuring Environment Variables in Workflows"."""
    env = {"QSTASH_CURRENT_SIGNING_KEY": "sig_1", "QSTASH_NEXT_SIGNING_KEY": "sig_2"}

    @serve.post("/api/example", env=env)
    async def example(context: AsyncWorkflowContext[str]) -> dict:
        return await context.run("read", lambda: dict(context.env))

    assert (await site.run("/api/example")).result == env


async def test_receiver_takes_signed_requests_only(site, serve, caplog) -> None:
    """Source: howto/security and basics/serve/advanced, the explicit Receiver."""

    @serve.post(
        "/api/example",
        receiver=Receiver(current_signing_key=CURRENT, next_signing_key=NEXT),
    )
    async def example(context: AsyncWorkflowContext[str]) -> str:
        return await context.run("echo", lambda: context.request_payload)

    await site.start()
    where = {"sub": f"{site.url}/api/example"}

    unsigned = await site.post("/api/example", "hello")
    assert unsigned.status_code == 500
    assert unsigned.json()["code"] == "WA402"
    assert "missing" not in unsigned.text  # what failed is for the log only
    assert "the header is missing" in caplog.text

    for key, url, body in [
        (OTHER, where, b"hello"),
        (CURRENT, {"sub": "https://elsewhere.example.com/"}, b"hello"),
        (CURRENT, where, b"something else"),
    ]:
        forged = {"upstash-signature": signed(key, body, **url)}
        assert (await site.post("/api/example", "hello", headers=forged)).status_code == 500

    for key in (CURRENT, NEXT):
        good = {"upstash-signature": signed(key, b"hello", **where)}
        log = await site.run("/api/example", "hello", headers=good)
        assert log.result == "hello"

    assert len(await site.client.logs()) == 2


async def test_qstash_client_of_a_route(site, serve, qstash) -> None:
    """Source: basics/serve/advanced, "Inject Custom QStash Client"."""
    import os

    from qstash import AsyncQStash, Receiver

    @serve.post(
        "/api/example",
        qstash_client=AsyncQStash(os.environ["QSTASH_TOKEN"]),
        receiver=Receiver(
            current_signing_key=os.environ["QSTASH_CURRENT_SIGNING_KEY"],
            next_signing_key=os.environ["QSTASH_NEXT_SIGNING_KEY"],
        ),
    )
    async def example(context: AsyncWorkflowContext[str]) -> str:
        return await context.run("echo", lambda: context.request_payload)

    assert (await site.post("/api/example", "hello")).status_code == 500
    signature = {"upstash-signature": qstash.sign(f"{site.url}/api/example", b"hello")}
    answer = await site.post("/api/example", "hello", headers=signature)
    run = await qstash.ended(answer.json()["workflowRunId"])

    assert run.result == b'"hello"'
    assert [visit.status for visit in qstash.visits] == [200, 200]


async def test_redacted_trigger(site, serve) -> None:
    """Source: howto/redact-fields, "Redact Workflow Run Data (Python)"; embedded."""

    @serve.post("/api/workflow")
    async def workflow(context: AsyncWorkflowContext[dict]) -> dict:
        seen = {"body": context.request_payload, "auth": context.headers["authorization"]}
        return await context.run("read", lambda: {k: str(v) for k, v in seen.items()})

    await site.start()
    await site.post("/api/workflow")  # the app is up when this is answered
    run = await site.client.trigger(
        "https://my-app.com/api/workflow",
        body={"hello": "world"},
        headers={"Authorization": "Bearer secret"},
        redact={"body": True, "header": ["Authorization"]},
    )

    assert await run.result() == {"body": "{'hello': 'world'}", "auth": "Bearer secret"}
    log = await run.log()
    assert log.payload.startswith("REDACTED:")
    assert "world" not in str(log.payload)


async def test_redacted_trigger_by_a_client_with_a_token(qstash) -> None:
    """Source: howto/redact-fields, "Redact Workflow Run Data (Python)", as it stands there."""

    def documented() -> str:
        client = Client(TOKEN)
        run = client.trigger(
            url="https://my-app.com/api/workflow",
            body={"hello": "world"},
            redact={"body": True, "header": ["Authorization"]},
        )
        client.close()
        return run.run_id

    run_id = await asyncio.to_thread(documented)

    run = qstash.runs[run_id]
    assert run.url == "https://my-app.com/api/workflow"
    assert run.payload == b'{"hello":"world"}'
    assert run.configuration["upstash-redact-fields"] == "body,header[Authorization]"
    qstash._due.clear()


@pytest.mark.parametrize("kind", ["serve", "async_serve"])
async def test_platforms_without_an_adapter(qstash, kind) -> None:
    """Source: quickstarts/platforms: `from upstash_workflow import serve, async_serve`."""
    from workflow_agents import async_serve, serve

    def plain(context: WorkflowContext[str]) -> str:
        return context.run("echo", lambda: f"plain {context.request_payload}")

    async def awaited(context: AsyncWorkflowContext[str]) -> str:
        return await context.run("echo", lambda: f"awaited {context.request_payload}")

    served: Any = serve(plain) if kind == "serve" else async_serve(awaited)
    handler = served.get("handler")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        request = PlatformRequest((await receive())["body"], scope["headers"], f"{url}/")
        response = (
            await asyncio.to_thread(handler, request) if kind == "serve" else await handler(request)
        )
        headers = [(n.encode(), v.encode()) for n, v in response.headers.items()]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})

    platform = AppOnLoopback(app, lifespan="off")
    url = platform.url
    signature = {"upstash-signature": qstash.sign(f"{url}/", b"hello")}
    answer = await platform.post("/", "hello", headers=signature)
    run = await qstash.ended(answer.json()["workflowRunId"])
    await platform.stop()
    closed = served["close"]()
    if closed is not None:
        await closed

    assert run.result == b'"%s hello"' % {"serve": b"plain", "async_serve": b"awaited"}[kind]


@dataclass
class PlatformRequest:
    """A request as some web framework has it."""

    body: bytes
    headers: Any
    url: str
    method: str = "POST"


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer secret_password"])
async def test_authentication_by_header(site, serve, capsys, header) -> None:
    """Source: quickstarts/fastapi, "Add Authentication to Workflow Endpoints"."""

    @serve.post("/auth")
    async def auth(context: AsyncWorkflowContext[str]) -> None:
        if context.headers.get("authentication") != "Bearer secret_password":
            print("Authentication failed.")
            return

        async def _step1() -> str:
            return "output 1"

        await context.run("step1", _step1)

        async def _step2() -> str:
            return "output 2"

        await context.run("step2", _step2)

    headers = {} if header is None else {"Authentication": header}
    answer = await site.post("/auth", "input", headers=headers)

    if header == "Bearer secret_password":
        log = await site.ended(site.client.handle(answer.json()["workflowRunId"]))
        assert [step.out for step in log.steps] == ["output 1", "output 2"]
        assert capsys.readouterr().out == ""
    else:
        assert answer.status_code == 400
        assert capsys.readouterr().out == "Authentication failed.\n"
        assert await site.client.logs() == []


@pytest.mark.parametrize("given", ["env", "default of the code"])
async def test_call_to_the_app_itself(app, site, serve, monkeypatch, given) -> None:
    """Source: quickstarts/fastapi, "Perform External API Calls in Workflows"."""
    default = "http://localhost:8000"
    if given == "env":
        monkeypatch.setenv("UPSTASH_WORKFLOW_URL", site.url)
    else:
        default = site.url

    def some_work(input: str) -> str:
        return f"processed '{input}'"

    bodies: list[Any] = []

    @app.post("/get-data")
    async def get_data(body: dict) -> dict[str, str]:
        bodies.append(body)
        return {"message": "get data response"}

    @serve.post("/call")
    async def call(context: AsyncWorkflowContext[str]) -> None:
        input = context.request_payload

        async def _step1() -> str:
            return some_work(input)

        result1: str = await context.run("step1", _step1)

        response: CallResponse[dict[str, str]] = await context.call(
            "get-data",
            url=f"{context.env.get('UPSTASH_WORKFLOW_URL', default)}/get-data",
            method="POST",
            body={"message": result1},
        )

        async def _step2() -> str:
            return some_work(response.body["message"])

        await context.run("step2", _step2)

    log = await site.run("/call", "hello")

    assert bodies == [{"message": "processed 'hello'"}]
    assert [(step.name, step.type) for step in log.steps] == [
        ("step1", "Run"),
        ("get-data", "Call"),
        ("step2", "Run"),
    ]
    assert log.steps[2].out == "processed 'get data response'"


@dataclass
class Request:
    topic: str


async def test_call_of_a_model_with_a_dataclass_payload(site, serve, web, monkeypatch) -> None:
    """Source: basics/context/call, the long essay. The dataclass is read like a dict."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    web.answer(
        "https://api.openai.com/v1/chat/completions",
        {"choices": [{"message": {"content": "a long essay"}}]},
    )
    results: list[CallResponse[Any]] = []

    @serve.post("/api/example")
    async def example(context: AsyncWorkflowContext[Request]) -> None:
        import os

        request: Request = context.request_payload
        assert request.topic == request["topic"]
        result = await context.call(
            "generate-long-essay",
            url="https://api.openai.com/v1/chat/completions",
            method="POST",
            body={
                "model": "gpt-4o",
                "messages": [
                    {
                        "role": "system",
                        "content": "You are a helpful assistant writing really long essays that "
                        "would cause a normal serverless function to timeout.",
                    },
                    {"role": "user", "content": request["topic"]},
                ],
            },
            headers={
                "authorization": f"Bearer {os.environ['OPENAI_API_KEY']}",
            },
        )
        results.append(result)

    log = await site.run("/api/example", {"topic": "durable execution"})

    [result] = results
    status, headers, body = result.status, result.headers, result.body
    assert status == 200
    assert headers["content-type"] == ["application/json"]
    assert body["choices"][0]["message"]["content"] == "a long essay"
    [request] = web.requests
    assert request.headers["authorization"] == "Bearer sk-test"
    assert request.json()["messages"][1]["content"] == "durable execution"
    assert log.state == "RUN_SUCCESS"


async def test_payload_that_does_not_fit_the_dataclass_is_refused(site, serve) -> None:
    """The counterpart of the long essay: nothing is started, and the field is named."""

    @serve.post("/api/example")
    async def example(context: AsyncWorkflowContext[Request]) -> None: ...

    answer = await site.post("/api/example", {"subject": "?"})

    assert answer.status_code == 422
    assert answer.json()["detail"]["code"] == "WA205"
    assert "topic" in str(answer.json()["detail"]["found"])
    assert await site.client.logs() == []


class Wish(TypedDict):
    item: str
    count: int


async def test_key_by_name_in_place_of_a_key_in_code(site, serve, web, monkeypatch) -> None:
    """The same call with a `Secret`: what our documentation asks for."""
    monkeypatch.setenv("SHOP_KEY", "sk-shop")
    web.answer("https://shop.example.com/", {"ok": True})

    @serve.post("/order")
    async def order(context: AsyncWorkflowContext[Wish]) -> int:
        wish = context.request_payload
        answer = await context.call(
            "order",
            url="https://shop.example.com/orders",
            method="POST",
            body=wish,
            headers={"authorization": Secret("SHOP_KEY", prefix="Bearer ")},
        )
        return answer.status

    assert (await site.run("/order", {"item": "chair", "count": 2})).result == 200
    assert web.requests[0].headers["authorization"] == "Bearer sk-shop"
