"""The list of raw steps that a visit delivers, and the steps that the server itself adds to it.

Source: protocol 1.2 and 1.3; 4.4, 4.6 and 4.7 for the steps of waits and invocations.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

from workflow_agents.protocol.codec import Undecodable, decode, encode


def raw_step(message_id: str, body: bytes, call_type: str = "step") -> bytes:
    """One element of the list, as JSON."""
    text = base64.b64encode(body).decode()
    element = {"messageId": message_id, "body": text, "callType": call_type}
    return json.dumps(element, separators=(",", ":")).encode()


def raw_steps(elements: Iterable[bytes]) -> bytes:
    """The list of them, as a visit delivers it."""
    return b"[" + b",".join(elements) + b"]"


def settled_step(asked: bytes, event: str | None, outcome: bytes) -> tuple[bytes, bytes]:
    """The result step of a wait or an invocation, and how it is delivered.

    Args:
        asked: JSON: `step` of the request that began the wait, and the `spec` of its visit.
        event: the id of what was waited for.
        outcome: JSON of what the step has beside: `out`, `waitTimeout`.
    """
    given = json.loads(asked)
    step: dict[str, Any] = {**given["step"], **json.loads(outcome)}
    if event is not None:
        step["waitEventId"] = event
    return encode(step), encode(given["spec"])


def notified(body: bytes) -> bytes:
    """The outcome of a wait for an event that was notified with this body."""
    out = {"out": base64.b64encode(body).decode()} if body else {}
    return encode({**out, "waitTimeout": False})


def notification(outcome: bytes) -> bytes:
    """What `notified` made of a body, as our own context reads it."""
    return notified_here(base64.b64decode(json.loads(outcome).get("out", "")))


def notified_here(body: bytes) -> bytes:
    """The outcome of a wait that was notified with this body, as our own context reads it."""
    value: Any = None
    if body:
        try:
            value = decode(body)
        except Undecodable:
            value = body.decode("utf-8", "replace")
    return encode({"data": value, "timeout": False})


def timed_out() -> bytes:
    """The outcome of a wait whose time is over."""
    return encode({"waitTimeout": True})


def invoked(body: str | None, *, failed: bool = False, canceled: bool = False) -> bytes:
    """The outcome of an invocation: what the invoked run returned, or how it ended."""
    result: dict[str, Any] = {} if body is None else {"body": body}
    result |= {"isCanceled": canceled, "isFailed": failed}
    return encode({"out": encode(result).decode()})


def called_webhook(request: Mapping[str, Any]) -> bytes:
    """The outcome of a wait for a webhook.

    Args:
        request: that called it: `method`, `header` with lists of values, `body` in base64,
            `proto`, `host` and `url`, which together are its address.
    """
    told = {name: value for name, value in request.items() if name != "body" or value}
    return encode({"out": base64.b64encode(encode(told)).decode()})
