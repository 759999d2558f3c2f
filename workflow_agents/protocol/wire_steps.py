"""Steps as a QStash server lists them: raw elements, plans and results, callbacks.

What a visit carries is read here, and a step is written as the wire has it. What a visit
means is `core.lockstep`'s; headers and requests are `qstash.requests`'.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from workflow_agents.protocol.codec import Undecodable, decode, is_text


class NotWire(ValueError):
    """A body that is not what the protocol says; the text tells what is wrong."""


@dataclass(frozen=True, slots=True)
class WireStep:
    """One step of a run: a plan, which announces a member of a group, or a result.

    Source: protocol 1.3.

    Attributes:
        step_id: of a result: its number, from 1; of a plan: 0.
        name: as the code named it.
        type: `stepType`: Run, SleepFor, Call, ...
        concurrent: how many members its group has; 1: it stands alone.
        out: of a result: its value as text. A plan has none.
        target: of a plan: the number that its result will have.
        timed_out: of a wait: the time ran out first.
        extra: further members of the JSON object: sleepFor, waitEventId, ...
    """

    step_id: int
    name: str
    type: str
    concurrent: int
    out: str | None = None
    target: int | None = None
    timed_out: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def number(self) -> int:
        """The number of the step that it plans, or whose result it is."""
        return self.target or self.step_id

    @property
    def is_plan(self) -> bool:
        """Whether it announces a step, and is no result."""
        return bool(self.target)

    def to_json(self) -> dict[str, Any]:
        """As it is submitted."""
        data: dict[str, Any] = {
            "stepId": self.step_id,
            "stepName": self.name,
            "stepType": self.type,
            "concurrent": self.concurrent,
        }
        if self.out is not None:
            data["out"] = self.out
        if self.target is not None:
            data["targetStep"] = self.target
        return data | dict(self.extra)

    @classmethod
    def from_json(cls, data: Any) -> "WireStep":
        """As a server sends it; members that are not known are left out.

        Raises:
            NotWire: a member is missing, or of another type.
        """
        if not isinstance(data, dict):
            raise NotWire("a step is no JSON object")
        found = cast("dict[str, Any]", data)
        try:
            step_id, name, type_ = found["stepId"], found["stepName"], found["stepType"]
        except KeyError as error:
            raise NotWire(f"a step has no {error}") from None
        out, target = found.get("out"), found.get("targetStep")
        concurrent = found.get("concurrent", 1)
        numbers = (step_id, concurrent, target or 0)
        if not all(type(n) is int and n >= 0 for n in numbers):
            raise NotWire("stepId, concurrent and targetStep are whole numbers")
        if not (isinstance(name, str) and isinstance(type_, str) and isinstance(out, str | None)):
            raise NotWire("stepName, stepType and out are text")
        if not (is_text(name) and is_text(type_)):
            raise NotWire("stepName and stepType are text that can be written")
        return cls(
            step_id,
            name,
            type_,
            concurrent,
            out,
            target or None,
            timed_out=bool(found.get("waitTimeout")),
        )


@dataclass(frozen=True, slots=True)
class Visit:
    """What a normal visit brings.

    Attributes:
        payload: what the run was started with.
        steps: plans and results, in the order in which the server took them.
        repeated: the last of them was there before: another visit dealt with it.
    """

    payload: bytes
    steps: list[WireStep]
    repeated: bool


def read_visit(body: bytes, message_id: str | None = None) -> Visit:
    """Read the list of raw steps; it ends with the message that is being delivered.

    Repeated steps are left out: the first one counts. Source: protocol 1.2, 1.6, 1.7.

    Args:
        body: a JSON array.
        message_id: of the message that is delivered; what is listed behind it is not read.

    Raises:
        NotWire: it is no such list.
    """
    elements = _elements(body)
    ids = [e.get("messageId") for e in elements]
    if message_id in ids:
        elements = elements[: ids.index(message_id) + 1]
    payload = unbase64(elements[0].get("body", ""))
    steps = [
        WireStep.from_json(_json(unbase64(e.get("body", ""))))
        for e in elements[1:]
        if e.get("callType", "step") == "step"
    ]
    first: dict[tuple[int, int | None], WireStep] = {}
    for step in steps:
        if step.number:
            first.setdefault((step.step_id, step.target), step)
    last = steps[-1] if steps else None
    repeated = last is not None and first.get((last.step_id, last.target)) is not last
    return Visit(payload, list(first.values()), repeated)


def _elements(body: bytes) -> list[dict[str, Any]]:
    found = _json(body)
    if not isinstance(found, list) or not found:
        raise NotWire("expected an array of raw steps")
    elements = cast("list[Any]", found)
    if not all(isinstance(element, dict) for element in elements):
        raise NotWire("an element of the array is no object")
    return cast("list[dict[str, Any]]", elements)


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """What a third party answered to a call step. Source: protocol 4.3.

    Attributes:
        status: the HTTP status.
        headers: lower-case names, each with its values.
        body: the bytes.
        retries_left: the server will ask the third party again.
    """

    status: int
    headers: dict[str, list[str]]
    body: bytes
    retries_left: bool


def read_call_answer(body: bytes) -> CallAnswer:
    """Read what a callback of a call step brings.

    Raises:
        NotWire: it is no such callback.
    """
    data = _object(body)
    status = data.get("status")
    if type(status) is not int:
        raise NotWire("a callback has no status")
    retries, retried = data.get("maxRetries") or 0, data.get("retried") or 0
    headers = {n.lower(): _values(v) for n, v in _mapping(data.get("header")).items()}
    again = not 200 <= status < 300 and retries > 0 and retried != retries
    return CallAnswer(status, headers, unbase64(data.get("body") or ""), again)


@dataclass(frozen=True, slots=True)
class FailureNotice:
    """What a failure callback brings. Source: protocol 5.3.

    Attributes:
        status: that the last visit answered.
        headers: of that answer.
        message: why the run failed, as far as that answer tells.
        payload: what the run was started with.
        url: of the workflow.
        run_id: of the run.
        created_at: Unix milliseconds.
    """

    status: int
    headers: dict[str, str]
    message: str
    payload: bytes
    url: str
    run_id: str
    created_at: int


def read_failure(body: bytes) -> FailureNotice:
    """Read a failure callback.

    Raises:
        NotWire: it is no such callback.
    """
    data = _object(body)
    text = unbase64(data.get("body") or "").decode("utf-8", "replace")
    try:
        told = decode(text)
        message = str(told["message"])
    except (Undecodable, TypeError, KeyError):
        message = f"Couldn't parse 'failResponse' in 'failureFunction', received: '{text}'"
    created = data.get("workflowCreatedAt")
    return FailureNotice(
        status=data["status"] if type(data.get("status")) is int else 500,
        headers={n: ", ".join(_values(v)) for n, v in _mapping(data.get("header")).items()},
        message=message,
        payload=unbase64(data.get("sourceBody") or ""),
        url=str(data.get("url") or ""),
        run_id=str(data.get("workflowRunId") or ""),
        created_at=int(created) if isinstance(created, int | float | str) and created else 0,
    )


def raw_element(message_id: str, body: bytes, call_type: str = "step") -> dict[str, str]:
    """One element of the list that a visit carries."""
    return {
        "messageId": message_id,
        "body": base64.b64encode(body).decode(),
        "callType": call_type,
    }


def unbase64(text: object) -> bytes:
    """Bytes of padded base64.

    Raises:
        NotWire: it is not.
    """
    try:
        return base64.b64decode(cast("str", text), validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise NotWire("a body is not base64") from None


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise NotWire("expected JSON") from None


def _object(body: bytes) -> dict[str, Any]:
    data = _json(body)
    if not isinstance(data, dict):
        raise NotWire("expected a JSON object")
    return cast("dict[str, Any]", data)


def _mapping(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _values(value: object) -> list[str]:
    if isinstance(value, list):
        return [str(one) for one in cast("list[Any]", value)]
    return [str(value)]
