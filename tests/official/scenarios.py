"""The list of scenarios: each is a coroutine that plays one story on a stage.

`@scenario("run", ...)` names the kinds of steps, options or endpoints that it covers; the tables
of `endpoints.py` and the documentation are made of these names.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.official.site import JS_FRAMEWORKS, Stage

Play = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True)
class Scenario:
    """A story, what it covers, and the frameworks it is played with."""

    name: str
    play: Play
    covers: tuple[str, ...]
    frameworks: tuple[str, ...]


SCENARIOS: list[Scenario] = []

FEATURES = {
    "run": "context.run",
    "sleep": "context.sleep",
    "sleepUntil": "context.sleepUntil",
    "call": "context.call",
    "call: retries": "context.call with retries and retryDelay",
    "call: timeout": "context.call with a timeout",
    "call: flowControl": "context.call with flow control",
    "call: workflow": "context.call of a workflow of the same serveMany",
    "api.openai": "context.api",
    "parallel": "steps side by side in Promise.all",
    "waitForEvent": "context.waitForEvent",
    "waitForEvent: timeout": "context.waitForEvent that times out",
    "notify": "context.notify",
    "notify: look-back": "a notification before the run waits",
    "createWebhook": "context.createWebhook",
    "waitForWebhook": "context.waitForWebhook",
    "invoke": "context.invoke",
    "serveMany": "serveMany",
    "cancel": "context.cancel and client.cancel",
    "failureFunction": "failureFunction",
    "failureUrl": "failureUrl",
    "retries": "retries",
    "retryDelay": "retryDelay",
    "WorkflowNonRetryableError": "WorkflowNonRetryableError",
    "WorkflowRetryAfterError": "WorkflowRetryAfterError",
    "authentication": "a run that is refused before its first step",
    "DLQ: resume": "resume of a failed run",
    "DLQ: restart": "restart of a failed run",
    "DLQ: retryFailureFunction": "a failure function that is called again",
    "history": "code that was changed while runs were under way",
    "run id": "a run id that is used twice",
    "not a workflow": "a destination that is no workflow",
    "schema": "schema",
    "initialPayloadParser": "initialPayloadParser",
    "payload": "a payload that is no JSON",
    "headers": "headers of the trigger on every visit",
    "context": "what the context tells",
    "redact": "redaction",
    "delay": "delay of a trigger",
    "notBefore": "notBefore of a trigger",
    "flowControl": "flow control of runs",
    "middlewares": "middlewares",
    "trigger: many": "many runs in one request",
    "first invocation": "a run that its endpoint starts",
    "agents": "@upstash/workflow-agents",
    "PY first invocation": "Python: a run is started by a message to its endpoint",
    "PY run": "Python: context.run",
    "PY sleep": "Python: context.sleep",
    "PY sleep_until": "Python: context.sleep_until",
    "PY call": "Python: context.call",
    "PY context": "Python: what the context tells",
    "PY initial_payload_parser": "Python: initial_payload_parser",
    "PY failure_function": "Python: failure_function",
    "PY retries": "Python: retries",
    "PY authentication": "Python: a run that is refused before its first step",
}
"""What workflows are documented to know; what a story covers is one of these, or an endpoint."""


def scenario(*covers: str, frameworks: tuple[str, ...] = JS_FRAMEWORKS) -> Callable[[Play], Play]:
    """Put a story into the list."""

    def put(play: Play) -> Play:
        SCENARIOS.append(Scenario(play.__name__, play, covers, frameworks))
        return play

    return put
