"""The workflows of the official Python SDK, on Flask."""

import threading
import time
from datetime import UTC, datetime
from typing import Any

from common import listening, parse, post, say
from flask import Flask
from upstash_workflow import WorkflowContext
from upstash_workflow.flask import Serve
from werkzeug.serving import make_server

app = Flask(__name__)
serve = Serve(app)


@serve.route("/run-values")
def run_values(context: WorkflowContext[dict[str, Any]]) -> None:
    results = []
    for number, value in enumerate(context.request_payload["values"]):
        results.append(context.run(f"value {number}", lambda value=value: value))
    tell(context, results)


@serve.route("/sleeps")
def sleeps(context: WorkflowContext[dict[str, Any]]) -> None:
    begun = context.run("begun", time.time)
    context.sleep("by number", 1)
    context.sleep("by text", "1s")
    context.sleep_until("by seconds", begun + 3)
    context.sleep_until("by date, past", datetime.fromtimestamp(begun, UTC))
    ended = context.run("ended", time.time)
    tell(context, ended - begun)


@serve.route("/calls")
def calls(context: WorkflowContext[dict[str, Any]]) -> None:
    # In a step: the visit with the answer of a call has that answer as its payload.
    asked = context.run("asked", lambda: context.request_payload)
    results = []
    for number, settings in enumerate(asked["calls"]):
        answer = context.call(f"call {number}", **settings)
        results.append({"status": answer.status, "body": answer.body})
    tell(context, results)


@serve.route("/tells")
def tells(context: WorkflowContext[Any]) -> None:
    first = context.run("first", lambda: told(context))
    second = context.run("second", lambda: told(context))
    tell(context, [first, second])


@serve.route("/parsed", initial_payload_parser=parse)
def parsed(context: WorkflowContext[dict[str, str]]) -> None:
    tell(context, context.request_payload)


def on_failure(
    context: WorkflowContext[Any], status: int, message: str, header: dict[str, str]
) -> None:
    payload = context.request_payload
    told = {"status": status, "message": message, "payload": payload, "headers": bool(header)}
    post(payload["sink"], {"runId": context.workflow_run_id, **told})


@serve.route("/fails", retries=0, failure_function=on_failure)
def fails(context: WorkflowContext[Any]) -> None:
    context.run("good", lambda: "kept")

    def bad() -> None:
        raise ValueError("it always fails")

    context.run("bad", bad)


@serve.route("/refuses", retries=0)
def refuses(_context: WorkflowContext[Any]) -> None:
    return


def told(context: WorkflowContext[Any]) -> dict[str, Any]:
    headers = {name.lower(): value for name, value in dict(context.headers).items()}
    return {
        "runId": context.workflow_run_id,
        "url": context.url,
        "payload": context.request_payload,
        "tenant": headers.get("x-tenant"),
    }


def tell(context: WorkflowContext[Any], result: Any) -> None:
    """The result as that of a step: the SDK drops what a workflow function returns."""
    context.run("result", lambda: result)


if __name__ == "__main__":
    listener = listening()
    host, port = listener.getsockname()
    server = make_server(host, port, app, threaded=True, fd=listener.fileno())
    say("flask", listener)
    threading.Thread(target=server.serve_forever).start()
