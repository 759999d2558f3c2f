"""Workflows of a Flask app: what it answers, what its functions meet, and several threads."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx2
import pytest
from flask import Flask, current_app, has_request_context

from tests.journeys.flask_site import FlaskSite, flask_site, threads_end, told
from workflow_agents import (
    AsyncWorkflowContext,
    Client,
    ConfigurationError,
    Engine,
    Limits,
    StoreError,
    WorkflowContext,
)
from workflow_agents.flask import Serve


@pytest.fixture
def site(tmp_path) -> Iterator[FlaskSite]:
    with flask_site(tmp_path / "workflows.db", limits=Limits(payload_bytes=1_000)) as site:
        yield site


@dataclass
class Order:
    item: str
    count: int = 1


def test_the_payload_is_what_the_annotation_says(site) -> None:
    @site.serve.route("/orders")
    def orders(context: WorkflowContext[Order]) -> str:
        order = context.request_payload
        return context.run("pack", lambda: f"{order.count} {order.item}")

    assert site.run("/orders", {"item": "chairs", "count": 4}).result == "4 chairs"

    refused = site.post("/orders", {"item": "chairs", "count": "many"})
    assert refused.status_code == 422
    assert refused.json()["detail"]["code"] == "WA205"


def test_async_functions_are_served_too(site) -> None:
    @site.serve.route("/both")
    async def both(context: AsyncWorkflowContext[int]) -> list[int]:
        async def one() -> int:
            assert current_app.name == "site"
            return 1

        return await asyncio.gather(context.run("a", one), context.run("b", lambda: 2))

    assert site.run("/both").result == [1, 2]


def test_functions_run_in_the_apps_context_and_in_no_request(site) -> None:
    @site.serve.route("/where")
    def where(context: WorkflowContext[None]) -> list[object]:
        thread = threading.current_thread()
        inside = context.run(
            "inside", lambda: [current_app.name, threading.current_thread() is thread]
        )
        return [*inside, current_app.name, has_request_context()]

    assert site.run("/where").result == ["site", True, "site", False]


def test_the_failure_function_of_a_route(site) -> None:
    heard = threading.Event()
    told_of: list[object] = []

    def failed(context, status, response, headers) -> None:
        told_of.extend([context.workflow_run_id, context.request_payload, status, response])
        told_of.append(current_app.name)
        heard.set()

    @site.serve.route("/fails", failure_function=failed, retries=0)
    def fails(context: WorkflowContext[str]) -> None:
        context.run("step", lambda: 1)
        raise ValueError("no")

    run = site.trigger("/fails", "hello")
    assert heard.wait(20)
    assert told_of == [run.run_id, "hello", 500, "no", "site"]
    assert run.status() == "RUN_FAILED"


def test_webhooks_reach_their_run(site) -> None:
    @site.serve.route("/hooked")
    def hooked(context: WorkflowContext[None]) -> list[object]:
        webhook = context.create_webhook("make")
        called = context.wait_for_webhook("wait", webhook, timeout="1h")
        assert called.request is not None
        return [called.request.method, called.request.body.decode(), webhook.webhook_url]

    run = site.trigger("/hooked")
    told(run, "STEP_WAITING", "wait")
    url = run.log().steps[0].out["webhookUrl"]
    assert url.startswith(site.url)
    assert httpx2.post(url, content="paid", trust_env=False).json() == {}
    assert run.result() == ["POST", "paid", url]

    unknown = site.post("/v2/workflows/hooks/local/wfr_none/evt_none", {})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "WA606")


def test_a_body_that_is_too_large_is_refused(site) -> None:
    @site.serve.route("/small")
    def small(context: WorkflowContext[str]) -> int:
        return context.run("length", lambda: len(context.request_payload))

    refused = site.post("/small", "x" * 1_001)
    assert (refused.status_code, refused.json()["code"]) == (413, "WA501")
    assert site.run("/small", "x" * 1_000).result == 1_000


def test_other_methods_than_post_are_not_for_workflows(site) -> None:
    @site.serve.route("/only-post")
    def only_post(context: WorkflowContext[str]) -> None: ...

    assert site.http.get("/only-post").status_code == 405


def test_many_threads_start_runs_at_once(site) -> None:
    @site.serve.route("/many")
    def many(context: WorkflowContext[int]) -> int:
        first = context.run("first", lambda: context.request_payload)
        context.sleep("nap", 0.01)
        return context.run("last", lambda: first * 2)

    with ThreadPoolExecutor(16) as pool:
        runs = [*pool.map(lambda n: site.trigger("/many", str(n)), range(60))]
    assert [run.result() for run in runs] == [2 * n for n in range(60)]
    threads_end()


def test_a_view_of_the_app_uses_the_client(site) -> None:
    @site.serve.route("/waits")
    def waits(context: WorkflowContext[None]) -> object:
        return context.wait_for_event("wait", "paid").event_data

    @site.app.post("/pay")
    def pay() -> dict[str, int]:
        return {"woken": len(site.serve.client.notify("paid", 30))}

    run = site.trigger("/waits")
    told(run, "STEP_WAITING", "wait")
    assert site.post("/pay").json() == {"woken": 1}
    assert run.result() == 30
    assert isinstance(site.serve.client, Client)


def test_any_request_starts_the_engine_and_stored_runs_go_on(tmp_path) -> None:
    def serve_on(site: FlaskSite) -> None:
        @site.app.get("/health")
        def health() -> str:
            return "ok"

        @site.serve.route("/naps")
        def naps(context: WorkflowContext[None]) -> int:
            context.sleep("nap", 0.05)
            return context.run("woken", lambda: 1)

    with flask_site(tmp_path / "w.db") as site:
        serve_on(site)
        run = site.trigger("/naps")
        told(run, "STEP_WAITING", "nap")
    with flask_site(tmp_path / "w.db") as site:
        serve_on(site)
        assert not site.engine.running
        assert site.http.get("/health").text == "ok"
        assert site.serve.client.handle(run.run_id).result() == 1


def test_a_store_that_another_engine_owns_is_told_and_the_rest_of_the_app_works(
    tmp_path, site
) -> None:
    site.serve.start()
    with flask_site(tmp_path / "workflows.db") as second:

        @second.app.get("/")
        def index() -> str:
            return "ok"

        @second.serve.route("/x")
        def x(context: WorkflowContext[None]) -> None: ...

        assert second.http.get("/").text == "ok"
        refused = second.post("/x")
        assert (refused.status_code, refused.json()["code"]) == (503, "WA601")
        with pytest.raises(StoreError, match="WA601"):
            second.serve.start()


def test_what_only_watches_files_leaves_the_store_alone(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "true")
    monkeypatch.setenv("FLASK_DEBUG", "1")
    watching = Serve(Flask("watching"), store=str(tmp_path / "w.db"))
    watching.start()
    assert not watching.engine.running

    monkeypatch.setenv("WERKZEUG_RUN_MAIN", "true")
    serving = Serve(Flask("serving"), store=str(tmp_path / "w.db"))
    serving.start()
    assert serving.engine.running
    serving.stop()


@pytest.mark.parametrize(
    ("code", "mistake"),
    [
        ("WA101", lambda serve: serve.route("/x", retrys=1)),
        ("WA102", lambda serve: serve.route("orders")),
        ("WA102", lambda serve: serve.route("/x", receiver="sig_key")),
        ("WA102", lambda serve: serve.route("/x", failure_function="f")(lambda context: 1)),
        ("WA102", lambda serve: serve.route("/x")("not a function")),
        ("WA102", lambda _serve: Serve("app")),
        ("WA102", lambda serve: serve.route("/x", qstash_client=object())),
    ],
)
def test_mistakes_are_told_where_they_are_made(code, mistake) -> None:
    with pytest.raises(ConfigurationError) as raised:
        mistake(Serve(Flask("app"), engine=Engine(":memory:")))
    assert raised.value.code == code
