"""Flask, with a QStash server that keeps the runs: plain functions, visited like any."""

import asyncio
import json
from typing import Any

from flask import Flask

from tests.wire.stand_in import StandIn
from workflow_agents import WorkflowContext
from workflow_agents.flask import Serve
from workflow_agents.testing._http import HttpAnswer, HttpServer


async def test_a_plain_function_is_visited(server: StandIn, variables: None) -> None:
    app = Flask("shop")
    serve = Serve(app)
    failures: list[Any] = []

    def on_failure(context: WorkflowContext[Any], status: int, response: str, _h: Any) -> str:
        failures.append((context.request_payload, status, response))
        return "noted"

    @serve.route("/order", retries=0, failure_function=on_failure)
    def order(context: WorkflowContext[Any]) -> Any:
        first = context.run("first", lambda: context.request_payload["id"])
        context.sleep("nap", "1d")
        if first == 13:
            context.run("charge", lambda: 1 / 0)
        return [first, context.headers["x-tenant"]]

    def answer(method: str, path: str, headers: Any, body: bytes) -> HttpAnswer:
        with app.test_client() as client:
            response = client.open(path, method=method, headers=dict(headers), data=body)
            return HttpAnswer(response.status_code, response.data, dict(response.headers))

    site = HttpServer(answer)
    site.start()
    url = f"http://127.0.0.1:{site.server_address[1]}/order"
    client = serve.client
    headers = {"X-Tenant": "acme"}
    good = await asyncio.to_thread(client.trigger, url, {"id": 7}, headers=headers)
    bad = await asyncio.to_thread(client.trigger, url, {"id": 13}, headers=headers, retries=0)
    run = await server.ended(good.run_id)
    failed = await server.ended(bad.run_id)
    await asyncio.to_thread(serve.stop)
    await asyncio.to_thread(client.close)
    site.stop()

    assert json.loads(run.result or b"") == [7, "acme"]
    assert failed.state == "RUN_FAILED"
    assert failures == [({"id": 13}, 500, "division by zero")]
    assert json.loads(failed.failure_answer) == {"result": "noted"}
