"""What goes wrong on the wire: code, servers, signatures; and who does what about it."""

import base64
import json
from typing import Any

import pytest
from fastapi import FastAPI

from tests.wire.conftest import AppOnLoopback
from tests.wire.stand_in import CURRENT_KEY, NEXT_KEY, TOKEN
from workflow_agents import (
    AsyncWorkflowContext,
    StateError,
    WorkflowNonRetryableError,
    WorkflowRetryAfterError,
)
from workflow_agents.fastapi import Serve
from workflow_agents.qstash.connection import Connection

Context = AsyncWorkflowContext[Any]


def statuses(server: Any) -> list[int]:
    return [visit.status for visit in server.visits]


class Failing:
    """A body that fails so often, and counts."""

    def __init__(self, times: int, error: BaseException | None = None) -> None:
        self.times = times
        self.error = error or ValueError("card declined")
        self.ran = 0

    def __call__(self) -> str:
        self.ran += 1
        if self.ran <= self.times:
            raise self.error
        return "charged"


async def test_a_step_that_fails_is_visited_again(site, serve, server) -> None:
    body = Failing(2)

    @serve.post("/pay", retry_delay="60000")
    async def pay(context: Context) -> str:
        await context.run("before", lambda: 1)
        return await context.run("charge\n", body)

    run_id = await site.trigger("/pay")
    await server.settle()

    assert statuses(server) == [200, 500]
    failed = server.visits[-1]
    assert failed.answer_headers["upstash-error-step-name"] == "percent:charge%0A"
    assert failed.json()["error"] == "ValueError"
    assert failed.json()["message"] == "card declined"
    assert "test_failures_on_the_wire.py" in failed.json()["stack"]
    await server.pass_time("59s")
    assert body.ran == 1
    await server.pass_time("1s")
    assert body.ran == 2
    run = await server.ended(run_id)
    assert (run.result, body.ran) == (b'"charged"', 3)


@pytest.mark.parametrize(
    ("options", "route", "ran"),
    [({}, {}, 4), ({}, {"retries": 5}, 6), ({"retries": 0}, {}, 1), ({"retries": 1}, {}, 2)],
)
async def test_whose_retries_count(site, serve, options, route, ran) -> None:
    """The run's are the server's; a step's own can only be fewer."""
    body = Failing(100)

    @serve.post("/pay", **route)
    async def pay(context: Context) -> str:
        return await context.run("charge", body, **options)

    run = await site.run("/pay")

    assert (run.state, body.ran) == ("RUN_FAILED", ran)


async def test_not_to_be_retried(site, serve, server) -> None:
    body = Failing(1, WorkflowNonRetryableError("stolen card"))

    @serve.post("/pay")
    async def pay(context: Context) -> str:
        return await context.run("charge", body)

    run = await site.run("/pay")

    assert (run.state, body.ran) == ("RUN_FAILED", 1)
    assert statuses(server) == [489]
    assert server.visits[0].answer_headers["upstash-nonretryable-error"] == "true"


async def test_to_be_retried_later(site, serve, server) -> None:
    body = Failing(1, WorkflowRetryAfterError("busy", "5m"))

    @serve.post("/pay")
    async def pay(context: Context) -> str:
        return await context.run("charge", body)

    began = server.now_ms
    run = await site.run("/pay")

    assert (run.state, statuses(server)) == ("RUN_SUCCESS", [429, 200, 200])
    assert server.visits[0].answer_headers["retry-after"] == "300"
    assert server.now_ms - began == 300_000


async def test_failure_function(site, serve, server) -> None:
    told: list[Any] = []

    async def on_failure(context: Context, status: int, response: str, headers: dict) -> str:
        told.append((context.workflow_run_id, context.request_payload, context.headers["x-user"]))
        told.append((status, response, headers["Content-Type"]))
        return "ticket opened"

    @serve.post("/pay", retries=0, failure_function=on_failure)
    async def pay(context: Context) -> str:
        return await context.run("charge", Failing(1))

    run = await site.run("/pay", {"order": 1}, headers={"X-User": "ada"})

    assert told == [
        (run.id, {"order": 1}, "ada"),
        (500, "card declined", "application/json"),
    ]
    assert run.callback_state == "CALLBACK_SUCCESS"
    assert json.loads(run.failure_answer) == {"result": "ticket opened"}


async def test_failure_function_that_fails_is_called_again(site, serve, server) -> None:
    calls: list[int] = []

    def on_failure(*_: Any) -> None:
        calls.append(1)
        if len(calls) < 3:
            raise OSError("no network")

    @serve.post("/pay", retries=0, failure_function=on_failure)
    async def pay(context: Context) -> str:
        return await context.run("charge", Failing(1))

    run = await site.run("/pay")
    assert run.callback_state == "CALLBACK_FAIL"
    client = serve.client
    [letter] = await client.dlq.list()
    assert letter.failure_function_state == "CALLBACK_FAIL"

    await client.dlq.retry_failure_function(letter.dlq_id)
    await server.settle()
    assert (await client.dlq.get(letter.dlq_id)).failure_function_state == "CALLBACK_FAIL"
    await client.dlq.retry_failure_function(letter.dlq_id)
    await server.settle()
    assert (await client.dlq.get(letter.dlq_id)).failure_function_state == "CALLBACK_SUCCESS"
    assert len(calls) == 3
    with pytest.raises(StateError, match="WA608"):
        await client.dlq.retry_failure_function(letter.dlq_id)


async def test_failure_url(site, serve, server, web) -> None:
    web.answer("https://alarm.example.com/", {})

    @serve.post("/pay", retries=0, failure_url="https://alarm.example.com/")
    async def pay(context: Context) -> str:
        return await context.run("charge", Failing(1))

    run = await site.run("/pay", {"order": 1})

    [request] = web.requests
    assert request.json()["workflowRunId"] == run.id
    assert base64.b64decode(request.json()["sourceBody"]) == b'{"order": 1}'


async def test_failure_callback_without_a_function(site, serve, server) -> None:
    """A client always asks for the workflow's own failure function; there may be none."""

    @serve.post("/pay")
    async def pay(context: Context) -> str:
        return await context.run("charge", Failing(1))

    await site.start()
    run = await serve.client.trigger(f"{site.url}/pay", retries=0)
    await server.ended(run.run_id)

    notice = server.visits[-1]
    assert notice.json()["finishCondition"] == "failure-callback-undefined"
    assert notice.answer_headers["upstash-workflow-failure-callback-notfound"] == "true"


async def test_code_that_changed(site, serve, server) -> None:
    changed = False

    @serve.post("/pay", retries=0)
    async def pay(context: Context) -> str:
        await context.run("new name" if changed else "charge", lambda: 1)
        await context.sleep("wait", "1h")
        return "done"

    await site.trigger("/pay")
    await server.settle()
    changed = True
    await server.pass_time("1h")

    assert server.visits[-1].status == 500
    assert server.visits[-1].json()["detail"]["code"] == "WA201"
    assert "run 'charge'" in str(server.visits[-1].json()["detail"]["found"])


async def test_code_that_returns_too_early(site, serve, server) -> None:
    changed = False

    @serve.post("/pay", retries=0)
    async def pay(context: Context) -> str:
        await context.run("charge", lambda: 1)
        if not changed:
            await context.sleep("wait", "1h")
        return "done"

    await site.trigger("/pay")
    await server.settle()
    changed = True
    await server.pass_time("1h")

    assert server.visits[-1].json()["detail"]["code"] == "WA201"


async def test_function_that_refuses_its_request(site, serve, server) -> None:
    @serve.post("/guarded", retries=0)
    async def guarded(context: Context) -> None:
        if context.headers.get("authorization") != "Bearer right":
            return
        await context.run("work", lambda: 1)

    refused = await site.post("/guarded")
    assert refused.status_code == 400
    assert refused.json()["workflowRunId"] == "no-workflow-id"
    assert not server.runs

    run = await site.run("/guarded", headers={"authorization": "Bearer right"})
    assert run.state == "RUN_SUCCESS"

    wrong = await serve.client.trigger(f"{site.url}/guarded")
    await server.ended(wrong.run_id)
    assert server.visits[-2].status == 400
    assert server.runs[wrong.run_id].failed_status == 400


async def test_payload_that_does_not_fit(site, serve, server) -> None:
    @serve.post("/typed", schema=dict[str, int])
    async def typed(context: Context) -> None:
        await context.run("work", lambda: 1)

    refused = await site.post("/typed", {"n": "many"})

    assert refused.status_code == 422
    assert refused.json()["detail"]["code"] == "WA205"
    assert not server.runs


async def test_requests_are_signed(site, serve, server) -> None:
    @serve.post("/signed")
    async def signed(context: Context) -> str:
        return await context.run("work", lambda: "done")

    await site.start()
    for headers in ({}, {"upstash-signature": "a.b.c"}, {"upstash-signature": "é"}):
        encoded = {n: v.encode() for n, v in headers.items()}
        refused = await site.http.post("/signed", content=b"{}", headers=encoded)
        assert refused.status_code == 500
        assert refused.json()["code"] == "WA402"
        assert refused.headers["upstash-workflow-sdk-version"] == "1"
    assert not server.runs


@pytest.mark.parametrize(
    ("refusal", "status", "condition"),
    [
        ((400, "the run was cancelled"), 200, "success"),
        ((412, "quota"), 489, None),
        ((401, "who are you"), 500, None),
        ((503, "later"), 500, None),
    ],
)
async def test_a_submission_that_is_refused(
    site, serve, server, refusal, status, condition
) -> None:
    @serve.post("/work", retries=0)
    async def work(context: Context) -> str:
        return await context.run("one", lambda: "done")

    run_id = await site.trigger("/work")
    server.refuse = lambda _m, p: refusal if p == "/v2/batch" else None
    await server.settle()

    [visit] = server.visits
    assert visit.status == status
    assert visit.json().get("finishCondition") == condition
    if status == 489:
        assert "quota" in str(visit.json())
    assert server.runs[run_id].steps == []


async def test_a_server_that_cannot_be_reached(monkeypatch) -> None:
    monkeypatch.setattr("workflow_agents.qstash.connection._RETRIES", 1)
    app = FastAPI()
    serve = Serve(app)

    @serve.post("/work", qstash_client=Connection(TOKEN, "http://127.0.0.1:9"))
    async def work(context: Context) -> str:
        return await context.run("one", lambda: "done")

    site = AppOnLoopback(app)
    answer = await site.post("/work")
    await site.stop()

    assert answer.status_code == 500
    assert answer.json()["code"] == "WA303"


async def visit_of(site: Any, server: Any, path: str, body: bytes, **headers: str) -> Any:
    """A delivery that the test makes up itself."""
    given = {n.replace("_", "-"): v for n, v in headers.items()}
    return await site.post(path, body, headers=given)


def listed(*steps: dict[str, Any], payload: bytes = b"") -> bytes:
    bodies = [payload, *(json.dumps(s).encode() for s in steps)]
    return json.dumps(
        [
            {"messageId": f"msg_{i}", "body": base64.b64encode(b).decode(), "callType": "step"}
            for i, b in enumerate(bodies)
        ]
    ).encode()


STEP = {"stepId": 1, "stepName": "one", "stepType": "Run", "out": "1", "concurrent": 1}
NORMAL = {"upstash_workflow_sdk_version": "1", "upstash_workflow_runid": "wfr_x"}


@pytest.fixture
def one(serve) -> Any:
    @serve.post("/one")
    async def one(context: Context) -> int:
        return await context.run("one", lambda: 1)

    return one


async def test_a_step_that_is_delivered_twice(site, server, one) -> None:
    answer = await visit_of(site, server, "/one", listed(STEP, STEP), **NORMAL)

    assert answer.json() == {"workflowRunId": "wfr_x", "finishCondition": "duplicate-step"}
    assert server.submitted == []


@pytest.mark.parametrize(
    "body", [b"no json", b"[]", b"{}", b'[{"body": "?"}]', listed({**STEP, "stepId": "1"})]
)
async def test_a_visit_that_cannot_be_read(site, server, one, body) -> None:
    answer = await visit_of(site, server, "/one", body, **NORMAL)

    assert answer.status_code == 500
    assert answer.json()["error"] == "NotWire"


async def test_another_version_of_the_protocol(site, server, one) -> None:
    headers = NORMAL | {"upstash_workflow_sdk_version": "2"}
    answer = await visit_of(site, server, "/one", listed(STEP), **headers)

    assert answer.status_code == 500
    assert "version 1" in answer.json()["message"]


async def test_a_list_that_is_to_be_fetched(site, serve, server, one) -> None:
    run_id = await site.trigger("/one")
    headers = NORMAL | {"upstash_workflow_runid": run_id}
    answer = await visit_of(site, server, "/one", b"", **headers)
    assert answer.json() == {"workflowRunId": run_id, "finishCondition": "success"}
    assert [s["stepName"] for s in server.runs[run_id].steps] == ["one"]

    server.runs[run_id].state = "RUN_CANCELED"
    answer = await visit_of(site, server, "/one", b"", **headers)
    assert answer.json()["finishCondition"] == "workflow-already-ended"
    server.runs[run_id].state = "RUN_STARTED"
    server.violations.clear()  # the visits of this test were not the server's


async def test_a_run_that_was_begun_without_an_sdk(site, serve, server, one) -> None:
    """Source: protocol 3.4: one more visit, which triggers it again."""
    trigger = {
        "upstash-workflow-init": "true",
        "upstash-workflow-runid": "wfr_rest",
        "upstash-workflow-url": f"{site.url}/one",
        "upstash-feature-set": "LazyFetch,InitialBody,WF_DetectTrigger,WF_TriggerOnConfig",
        "upstash-forward-upstash-workflow-sdk-version": "1",
        "upstash-forward-upstash-workflow-unknown-sdk": "true",
        "upstash-forward-x-tenant": "acme",
    }
    await site.start()
    server._accept_all([(f"{site.url}/one", trigger, b'"payload"')])
    run = await server.ended("wfr_rest")

    assert (run.state, run.result) == ("RUN_SUCCESS", b"1")
    assert len(server.visits) == 3
    assert run.configuration["upstash-forward-x-tenant"] == "acme"


async def test_call_answer_that_will_be_tried_again(site, server, one) -> None:
    body = json.dumps({"status": 500, "header": {}, "body": "", "retried": 0, "maxRetries": 2})
    answer = await visit_of(
        site, server, "/one", body.encode(), upstash_workflow_callback="true",
        upstash_workflow_runid="wfr_x",
    )  # fmt: skip

    assert answer.status_code == 200
    assert answer.json()["finishCondition"] == "fromCallback"
    assert server.submitted == []


async def test_unsigned_callbacks_need_the_functions_own_leave(site, serve, server, web) -> None:
    """Where nothing is signed, a forged answer must pass the check that the function makes."""
    web.answer("https://pay.example.com/", "real")
    told: list[Any] = []

    @serve.post("/guarded", receiver=False, retries=0, failure_function=lambda *a: told.append(a))
    async def guarded(context: Context) -> Any:
        if context.request_payload["key"] != "right":
            return None
        if context.headers.get("authorization") != "Bearer right":
            return None
        return (await context.call("charge", url="https://pay.example.com/")).body

    right = {"authorization": "Bearer right"}
    run_id = await site.trigger("/guarded", {"key": "right"}, headers=right)
    forged = json.dumps({"status": 200, "header": {}, "body": base64.b64encode(b"no").decode()})
    step = {
        f"upstash-workflow-{name}": value
        for name, value in {
            "callback": "true", "runid": run_id, "stepid": "1", "stepname": "charge",
            "steptype": "Call", "concurrent": "1", "contenttype": "text/plain",
        }.items()
    }  # fmt: skip
    answer = await site.http.post("/guarded", content=forged.encode(), headers=step)
    assert answer.status_code == 400

    notice = {
        "status": 500,
        "body": "",
        "sourceBody": base64.b64encode(b'{"key":"right"}').decode(),
    }
    failed = {"upstash-workflow-is-failure": "true", "upstash-workflow-runid": run_id}
    answer = await site.http.post("/guarded", content=json.dumps(notice).encode(), headers=failed)
    assert answer.status_code == 500
    assert told == []

    run = await server.ended(run_id)
    assert run.result == b'"real"'
    answer = await site.http.post("/guarded", content=forged.encode(), headers=right | step)
    assert answer.json()["finishCondition"] == "workflow-already-ended"


async def test_one_route_on_the_wire_and_one_embedded(server, tmp_path) -> None:
    """Without variables, a client on a route puts that route alone on its server."""
    from qstash import AsyncQStash, QStash, Receiver

    app = FastAPI()
    serve = Serve(app, store=str(tmp_path / "own.db"))
    receiver = Receiver(current_signing_key=CURRENT_KEY, next_signing_key=NEXT_KEY)
    clients = [kind(TOKEN, base_url=server.url) for kind in (AsyncQStash, QStash)]

    @serve.post("/wire", qstash_client=clients[0], receiver=receiver)
    async def wire(context: Context) -> str:
        return await context.run("one", lambda: "on the wire")

    @serve.post("/other", qstash_client=clients[1])
    async def other(context: Context) -> str:
        return await context.run("one", lambda: "unsigned")

    @serve.post("/own")
    async def own(context: Context) -> str:
        return await context.run("one", lambda: "embedded")

    site = AppOnLoopback(app)
    assert (await site.post("/wire")).status_code == 500
    signature = {"upstash-signature": server.sign(f"{site.url}/wire", b"\xff")}
    started = await site.post("/wire", b"\xff", headers=signature)
    run = await server.ended(started.json()["workflowRunId"])
    assert (run.result, run.payload) == (b'"on the wire"', b"\xff")
    started = await site.post("/other")
    assert (await server.ended(started.json()["workflowRunId"])).result == b'"unsigned"'

    answer = await site.post("/own")
    assert await serve.client.handle(answer.json()["workflowRunId"]).result() == "embedded"
    await site.stop()
    clients[1].http._client.close()
    await clients[0].http._client.aclose()


async def test_the_address_from_outside(server, variables, monkeypatch) -> None:
    seen: list[str] = []
    app = FastAPI()
    serve = Serve(app)
    site = AppOnLoopback(app)
    options = {
        "/url": {"url": "https://shop.example.com/elsewhere"},
        "/base": {"base_url": "https://shop.example.com/"},
        "/variable": {},
        "/env": {"env": {"UPSTASH_WORKFLOW_URL": "https://env.example.com"}},
    }
    for path, given in options.items():
        if path == "/variable":
            monkeypatch.setenv("UPSTASH_WORKFLOW_URL", "https://tunnel.example.com")

        @serve.post(path, receiver=False, **given)
        async def workflow(context: Context) -> str:
            seen.append(context.url)
            return await context.run("one", lambda: 1)

        await site.post(f"{path}?a=b")
    server._due.clear()
    await site.stop()

    assert [r.url for r in server.runs.values()] == seen
    assert seen == [
        "https://shop.example.com/elsewhere",
        "https://shop.example.com/base?a=b",
        "https://tunnel.example.com/variable?a=b",
        "https://env.example.com/env?a=b",
    ]


async def test_server_and_keys_of_the_routes_own_environment(server) -> None:
    app = FastAPI()
    serve = Serve(app, store=":memory:")
    env = {
        "QSTASH_URL": server.url,
        "QSTASH_TOKEN": TOKEN,
        "QSTASH_CURRENT_SIGNING_KEY": CURRENT_KEY,
        "QSTASH_NEXT_SIGNING_KEY": NEXT_KEY,
    }

    @serve.post("/one", env=env)
    async def one(context: Context) -> Any:
        return await context.run("one", lambda: context.env["QSTASH_URL"])

    site = AppOnLoopback(app)
    assert (await site.post("/one")).status_code == 500
    signature = {"upstash-signature": server.sign(f"{site.url}/one", b"")}
    started = await site.post("/one", headers=signature)
    run = await server.ended(started.json()["workflowRunId"])
    await site.stop()

    assert json.loads(run.result) == server.url


async def test_no_engine_is_started_where_a_server_keeps_the_runs(
    site, serve, server, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)

    @serve.post("/one")
    async def one(context: Context) -> int:
        return await context.run("one", lambda: 1)

    await site.run("/one")

    assert [*tmp_path.iterdir()] == []
