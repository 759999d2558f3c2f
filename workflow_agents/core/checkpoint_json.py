"""Checkpoints as JSON: frames, news, and what they travel in.

Each frame and each of the news is an array, its tag first. Results are the JSON that is
stored, as text; bodies of requests are base64. What is read is checked: whoever writes it may
be another version.
"""

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any, TypeVar, cast

from workflow_agents.core.checkpoints import (
    Adoption,
    Batch,
    Cancel,
    End,
    Frame,
    News,
    Notified,
    Offer,
    Planned,
    Recall,
    Recalled,
    Record,
    Refused,
    Remember,
    Rest,
    Said,
    Taken,
    Told,
    Visit,
    Withdrawn,
    Yield,
)
from workflow_agents.core.flow_control import FlowControl
from workflow_agents.core.journal import (
    Admission,
    Again,
    Call,
    Completed,
    Failed,
    Failure,
    History,
    Invoke,
    Plan,
    Sleep,
    WaitForEvent,
)
from workflow_agents.core.retry import RetryPolicy, delay_of
from workflow_agents.errors import ConfigurationError, StepUsageError
from workflow_agents.protocol.codec import Undecodable, decode
from workflow_agents.protocol.history import Recorded, StepKey, StepKind, Waiting

T = TypeVar("T")


class NotFrames(StepUsageError):
    """What came is not what this module writes."""

    def __init__(self, found: str) -> None:
        super().__init__(
            "WA204",
            "the body is no list of checkpoints",
            where="the body",
            found=found,
            why="endpoint and server speak different versions, or somebody else has written it",
            fix=("use the same version of workflow-agents on both sides",),
        )


# What they travel in.


def write_batch(batch: Batch) -> bytes:
    """As the body of a request to `PATH`."""
    runs = [
        [
            said.run_id,
            said.by if isinstance(said.by, int) else [*said.by],
            said.seen,
            said.first,
            [_frame_out(frame) for frame in said.frames],
        ]
        for said in batch.said
    ]
    return _compact({"endpoint": batch.endpoint, "runs": runs})


def read_batch(body: bytes) -> Batch:
    """The reverse.

    Raises:
        NotFrames: it is none.
    """
    return _read(body, lambda data: Batch(_text(data["endpoint"]), [*map(_said, data["runs"])]))


def _said(data: Any) -> Said:
    run_id, by, seen, first, frames = data
    whose = Adoption(_text(by[0]), _int(by[1])) if isinstance(by, list) else _int(by)
    return Said(_text(run_id), whose, _int(seen), _int(first), [*map(_frame_in, frames)])


def write_answer(told: list[Told]) -> bytes:
    """The answer to a batch, in the order of what it said."""
    return _compact([[t.token, t.first, [*map(_news_out, t.news)], t.closed] for t in told])


def read_answer(body: bytes) -> list[Told]:
    """The reverse.

    Raises:
        NotFrames: it is none.
    """
    return _read(body, lambda found: [*map(_told, found)])


def _told(data: Any) -> Told:
    token, first, news, closed = data
    return Told(_int(token), _int(first), [*map(_news_in, news)], bool(closed))


def write_visit(visit: Visit) -> bytes:
    """As the body of a visit."""
    return _compact(
        {
            "run": visit.run_id,
            "token": visit.token,
            "createdAt": visit.created_at,
            "payload": _base64(visit.payload),
            "offer": [*visit.offer],
            "labels": [*visit.labels],
            "recorded": [_news_out(one) for one in visit.history.recorded],
            "waiting": [_news_out(one) for one in visit.history.waiting],
        }
    )


def read_visit(body: bytes) -> Visit:
    """The reverse.

    Raises:
        NotFrames: it is none.
    """
    return _read(body, _visit)


def _visit(data: Any) -> Visit:
    attempt, retries, delay, origin = data["offer"]
    offer = Offer(_int(attempt), _maybe(_int, retries), _maybe(_text, delay), _maybe(_text, origin))
    recorded = [one for one in map(_news_in, data["recorded"]) if isinstance(one, Recorded)]
    waiting = [one for one in map(_news_in, data["waiting"]) if isinstance(one, Waiting)]
    return Visit(
        _text(data["run"]),
        _int(data["token"]),
        _int(data["createdAt"]),
        _unbase64(data["payload"]),
        offer,
        tuple(map(_text, data["labels"])),
        History(recorded, waiting),
    )


# One frame.


def _frame_out(frame: Frame) -> list[Any]:
    match frame:
        case Record(key, kind, name, ok, waited, data):
            return ["record", key, kind, name, ok, waited, data.decode()]
        case Planned(key, kind, name, plan):
            return ["plan", key, kind, name, _plan_out(plan)]
        case Withdrawn(key, name):
            return ["withdraw", key, name]
        case Notified(key, name, event_id, data, run_id):
            return ["notify", key, name, event_id, _base64(data), run_id]
        case Recall(conversation, up_to, last):
            return ["recall", conversation, up_to, last]
        case Remember(key, name, conversation, messages):
            return ["remember", key, name, conversation, [m.decode() for m in messages]]
        case Cancel():
            return ["cancel"]
        case Rest(seen):
            return ["rest", seen]
        case Yield():
            return ["yield"]
        case End(ending):
            if isinstance(ending, Completed):
                return ["completed", ending.data.decode()]
            return ["failed", _failure_out(ending.failure)]


def _frame_in(data: Any) -> Frame:
    tag, *rest = data
    match tag, rest:
        case "record", [key, kind, name, bool(ok), bool(waited), text]:
            return Record(_key(key), StepKind(kind), _text(name), ok, waited, _bytes(text))
        case "plan", [key, kind, name, plan]:
            return Planned(_key(key), StepKind(kind), _text(name), _plan_in(plan))
        case "withdraw", [key, name]:
            return Withdrawn(_key(key), _text(name))
        case "notify", [key, name, event_id, body, run_id]:
            told = None if run_id is None else _text(run_id)
            return Notified(_key(key), _text(name), _text(event_id), _unbase64(body), told)
        case "recall", [conversation, up_to, last]:
            return Recall(_text(conversation), _maybe(_int, up_to), _maybe(_int, last))
        case "remember", [key, name, conversation, messages]:
            given = [_bytes(message) for message in messages]
            return Remember(_key(key), _text(name), _text(conversation), given)
        case "cancel", []:
            return Cancel()
        case "rest", [seen]:
            return Rest(_int(seen))
        case "yield", []:
            return Yield()
        case "completed", [text]:
            return End(Completed(_bytes(text)))
        case "failed", [failure]:
            return End(Failed(_failure_in(failure)))
        case _:
            raise NotFrames(f"a frame {str(tag)[:40]!r} that is not known here")


def _plan_out(plan: Plan) -> list[Any]:
    match plan:
        case Sleep(due_at, after_ms):
            return ["sleep", due_at, after_ms]
        case Again(after_ms, attempts, failure, flow):
            return ["again", after_ms, attempts, _failure_out(failure), _flow_out(flow)]
        case Admission(flow):
            return ["admission", _flow_out(flow)]
        case WaitForEvent(event_id, timeout_ms, details):
            return ["event", event_id, timeout_ms, details]
        case Invoke(workflow, body, headers, options, run_id):
            return ["invoke", workflow, _base64(body), dict(headers), dict(options), run_id]
        case Call():
            told = plan._asdict()
            delay = plan.policy.delay
            told["policy"] = [plan.policy.retries, None if delay is None else delay.text]
            told["body"] = _base64(plan.body)
            told["flow_control"] = _flow_out(plan.flow_control)
            return ["call", told | {"headers": dict(plan.headers)}]


def _plan_in(data: Any) -> Plan:
    tag, *rest = data
    match tag, rest:
        case "sleep", [due_at, after_ms]:
            return Sleep(_maybe(_int, due_at), _maybe(_int, after_ms))
        case "again", [after_ms, attempts, failure, flow]:
            return Again(_int(after_ms), _int(attempts), _failure_in(failure), _flow_in(flow))
        case "admission", [flow]:
            admitted = _flow_in(flow)
            if admitted is not None:
                return Admission(admitted)
        case "event", [event_id, timeout_ms, details]:
            return WaitForEvent(_text(event_id), _int(timeout_ms), details)
        case "invoke", [workflow, body, headers, options, run_id]:
            given = cast("dict[str, Any]", {**options})
            chosen = _maybe(_text, run_id)
            return Invoke(_text(workflow), _unbase64(body), _headers(headers), given, chosen)
        case "call", [told]:
            return _call_in({**told})
        case _:
            pass
    raise NotFrames(f"a plan {str(tag)[:40]!r} that is not known here")


def _call_in(told: dict[str, Any]) -> Call:
    retries, delay = told["policy"]
    return Call(
        _text(told["url"]),
        _text(told["method"]),
        _headers(told["headers"]),
        _unbase64(told["body"]),
        RetryPolicy(_int(retries), delay_of(_maybe(_text, delay))),
        _maybe(_int, told["timeout_ms"]),
        _flow_in(told["flow_control"]),
        bool(told["raise_for_status"]),
        tuple(map(_text, told["expect"])),
        _maybe(_text, told["stream"]),
        _maybe(_text, told["pause_key"]),
    )


def _failure_out(failure: Failure) -> dict[str, Any]:
    told = failure._asdict()
    return {n: v for n, v in told.items() if v != Failure._field_defaults.get(n)}


def _failure_in(data: Any) -> Failure:
    given = cast("dict[str, Any]", {**data})
    if unknown := {*given} - {*Failure._fields}:
        raise NotFrames(f"a failure with {min(unknown)[:40]!r}")
    failure = Failure(**given)
    for text in (failure.error, failure.message):
        _text(text)
    for number in (failure.status, failure.retry_after_ms or 0):
        _int(number)
    return failure


def _flow_out(flow: FlowControl | None) -> list[str] | None:
    return None if flow is None else [flow.key, flow.to_value()]


def _flow_in(data: Any) -> FlowControl | None:
    return None if data is None else FlowControl.from_value(_text(data[0]), _text(data[1]))


# One of the news.


def _news_out(news: News) -> list[Any]:
    match news:
        case Taken(frame):
            return ["taken", frame]
        case Recorded(key, kind, name, ok, data):
            return ["recorded", key, kind, name, ok, data.decode()]
        case Waiting(key, kind, name, attempts, due):
            return ["waiting", key, kind, name, attempts, due]
        case Recalled(frame, up_to, messages):
            return ["recalled", frame, up_to, [m.decode() for m in messages]]
        case Refused(frame, error):
            return ["refused", frame, dict(error)]


def _news_in(data: Any) -> News:
    tag, *rest = data
    match tag, rest:
        case "taken", [frame]:
            return Taken(_int(frame))
        case "recorded", [key, kind, name, bool(ok), text]:
            return Recorded(_key(key), StepKind(kind), _text(name), ok, _bytes(text))
        case "waiting", [key, kind, name, attempts, bool(due)]:
            return Waiting(_key(key), StepKind(kind), _text(name), _int(attempts), due)
        case "recalled", [frame, up_to, messages]:
            return Recalled(_int(frame), _int(up_to), [_bytes(m) for m in messages])
        case "refused", [frame, error]:
            return Refused(_int(frame), {**error})
        case _:
            raise NotFrames(f"news {str(tag)[:40]!r} that are not known here")


# The parts of both.


def _read(body: bytes, make: Callable[[Any], T]) -> T:
    try:
        return make(decode(body))
    except (Undecodable, ValueError, TypeError, KeyError, ConfigurationError) as error:
        raise NotFrames(f"{type(error).__name__}: {error}"[:200]) from error


def _compact(data: Any) -> bytes:
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()


def _key(value: Any) -> StepKey:
    return value if type(value) is int else _text(value)


def _int(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"expected a whole number, found {type(value).__name__}")
    return value


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError(f"expected text, found {type(value).__name__}")
    return value


def _maybe(read: Callable[[Any], T], value: Any) -> T | None:
    return None if value is None else read(value)


def _bytes(value: Any) -> bytes:
    return _text(value).encode()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unbase64(value: Any) -> bytes:
    try:
        return base64.b64decode(_text(value), validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None


def _headers(value: Any) -> dict[str, str]:
    return {_text(name): _text(text) for name, text in {**value}.items()}
