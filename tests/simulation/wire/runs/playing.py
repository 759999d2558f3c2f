"""Programs of remote runs: played on the context of an SDK, as `programs` are on ours.

A visit plays the program from its beginning, as far as its list of steps goes. Branches are
groups of single steps, which is all that the protocol knows.
"""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from tests.journeys.js_endpoint import Context, Failing
from tests.journeys.js_endpoint import Step as Asked
from tests.simulation.model import TIMED_OUT, call_value
from tests.simulation.programs import (
    Call,
    Hook,
    Invoke,
    Node,
    Notify,
    Par,
    Run,
    Seq,
    Sleep,
    Step,
    Wait,
    steps_of,
    value_of,
)

RETRY_MS = "50"
MANY_RETRIES = 30
"""So many that faults never use them up."""

FINAL = {"upstash-nonretryable-error": "true"}


class Around(Protocol):
    """What programs need of the world."""

    def body_starts(self, run_id: str, step: Run) -> int:
        """A body starts; how often it has."""
        ...

    async def notify(self, event: str, data: bytes, run_id: str) -> object: ...

    def payload(self, program: Node) -> dict[str, Any]:
        """What a run of the program is started with."""
        ...


async def play(node: Node, context: Context, around: Around) -> Any:
    """What the program returns, as `model.expected_end` has it."""
    match node:
        case Seq(parts):
            return [await play(part, context, around) for part in parts]
        case Par(parts):
            steps: list[Any] = [*parts]
            found = await context.all(*(_asked(step, context, around) for step in steps))
            return [_value(*pair) for pair in zip(steps, found, strict=True)]
        case Hook():
            return await _hook(node, context)
        case _:
            step: Any = node
            [found] = await context.all(_asked(step, context, around))
            return _value(step, found)


def event_of(run_id: str, step: Hook) -> str:
    """The event of a webhook."""
    return f"evt_{run_id}_{step.name}"


async def _hook(step: Hook, context: Context) -> Any:
    event = event_of(context.run_id, step)
    made = {"webhookUrl": f"http://here/hooks/{context.run_id}/{event}", "eventId": event}
    await context.all(Asked(step.name, "CreateWebhook", lambda: made))
    bodies: list[Any] = []
    for i in range(step.times):
        request = await context.wait_for_webhook(f"{step.name}.{i}", event, "30d")
        bodies.append(None if request is None else json.loads(base64.b64decode(request["body"])))
    return bodies


def _asked(step: Step, context: Context, around: Around) -> Asked:
    match step:
        case Run():
            return Asked(step.name, "Run", _body(step, context.run_id, around))
        case Sleep():
            return Asked(step.name, "SleepFor", extra={"sleepFor": step.ms // 1000})
        case Call():
            call = {
                "url": f"http://service/third/{step.answer}/{step.name}",
                "body": {"run": context.run_id},
                "retries": step.retries,
            }
            return Asked(step.name, "Call", extra={"call": call})
        case Wait():
            extra = {"waitEventId": step.event, "timeout": f"{step.timeout_ms}ms"}
            return Asked(step.name, "Wait", extra=extra)
        case Notify():
            return Asked(step.name, "Run", _notify(step, context.run_id, around))
        case Invoke():
            invoke = {
                "path": "main",
                "body": around.payload(step.child),
                "retries": retries_of(step.child),
                "retry_delay": RETRY_MS,
            }
            return Asked(step.name, "Invoke", extra={"invoke": invoke})
        case _:
            raise AssertionError(step)


def retries_of(program: Node) -> int:
    """Of each visit: few, where a run is to fail."""
    fails = any(isinstance(step, Run) and step.fails < 0 for step in steps_of(program))
    return 1 if fails else MANY_RETRIES


def _body(step: Run, run_id: str, around: Around) -> Callable[[], Awaitable[Any]]:
    async def body() -> Any:
        times = around.body_starts(run_id, step)
        await asyncio.sleep(step.ms / 1000)
        if step.how == "final" and step.fails:
            raise Failing(489, step.name, FINAL)
        if step.fails < 0 or times <= step.fails:
            raise Failing(500, step.name)
        return value_of(step)

    return body


def _notify(step: Notify, run_id: str, around: Around) -> Callable[[], Awaitable[Any]]:
    async def body() -> Any:
        await around.notify(step.event, json.dumps({"event": step.event}).encode(), run_id)
        return {"event": step.event}

    return body


def _value(step: Step, found: Any) -> Any:
    match step:
        case Call():
            return _call_value(step, found)
        case Wait():
            if found["timeout"]:
                return TIMED_OUT
            return {"data": json.loads(found["data"]), "timeout": False}
        case Invoke():
            body = found.get("body")
            return {
                "body": None if body is None else json.loads(body)["value"],
                "failed": found["isFailed"],
                "canceled": found["isCanceled"],
            }
        case _:
            return found


def _call_value(step: Call, found: Any) -> Any:
    """Bytes that are no text are told as `model.GARBAGE` tells them."""
    raw = found["body"].encode("latin-1")
    try:
        body = raw.decode() if step.answer == "down" else json.loads(raw)
    except ValueError:
        body = raw.hex()
    return {"status": found["status"], "body": body}


def third_answer(step: Call) -> tuple[int, bytes]:
    """What a third party answers."""
    value = call_value(step)
    body = value["body"]
    return value["status"], body.encode() if isinstance(body, str) else json.dumps(body).encode()
