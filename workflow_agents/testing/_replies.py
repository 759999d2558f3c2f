"""What a scripted model answers: values, and the HTTP response that each becomes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from workflow_agents.testing._http import HttpAnswer

BrokenKind = Literal["dropped", "truncated", "html", "empty"]

_CREATED = 1_700_000_000
_GARBAGE = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


@dataclass(frozen=True, slots=True)
class Say:
    """An answer in text.

    Attributes:
        text: what the model says.
        finish_reason: "stop"; "length" for an answer that was cut off.
        usage: prompt and completion tokens; default: the words of both.
    """

    text: str
    finish_reason: str = "stop"
    usage: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class CallTools:
    """A turn that calls tools.

    Attributes:
        calls: names with their arguments; text as arguments is sent as it is, valid or not.
        text: what the model says beside.
        usage: prompt and completion tokens; default: the words of both.
    """

    calls: tuple[tuple[str, Mapping[str, Any] | str], ...]
    text: str | None = None
    usage: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Error:
    """An error of the API.

    Attributes:
        status: the HTTP status.
        message: what it says.
        kind: its type.
        code: its code.
        param: the parameter that it means.
        retry_after: seconds, as header.
    """

    status: int
    message: str
    kind: str = "server_error"
    code: str | None = None
    param: str | None = None
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """No usable answer.

    Attributes:
        kind: "dropped": the connection is closed without one. "truncated": its JSON ends in
            the middle. "html": the page of a gateway. "empty": nothing, under status 200.
    """

    kind: BrokenKind


@dataclass(frozen=True, slots=True)
class Slow:
    """An answer that takes its time.

    Attributes:
        seconds: how long; the end of the server cuts it short.
        then: what is answered.
    """

    seconds: float
    then: "Reply"


Reply = Say | CallTools | Error | Broken | Slow


def answer(reply: Say | CallTools | Error | Broken, request: Any, number: str) -> HttpAnswer | None:
    """The response for a reply; None to drop the connection.

    Args:
        reply: what was scripted.
        request: the body of the request.
        number: of the reply in the script; the ids are made of it, so that they are the same
            in every run, whichever request comes first.
    """
    match reply:
        case Error():
            return _error(reply)
        case Broken("dropped"):
            return None
        case Broken("html"):
            return HttpAnswer(200, _GARBAGE.encode(), {"content-type": "text/html"})
        case Broken("empty"):
            return HttpAnswer(200, b"", {"content-type": "application/json"})
        case Broken():
            whole = _completion(Say("This sentence will never be"), request, number)
            return as_json(200, whole, cut=True)
        case _:
            return as_json(200, _completion(reply, request, number))


def as_json(
    status: int, value: object, headers: Mapping[str, str] | None = None, *, cut: bool = False
) -> HttpAnswer:
    """A JSON response; `cut`: only the first half of it."""
    body = json.dumps(value).encode()
    if cut:
        body = body[: len(body) // 2]
    return HttpAnswer(status, body, {"content-type": "application/json", **(headers or {})})


def _error(reply: Error) -> HttpAnswer:
    error = {
        "message": reply.message,
        "type": reply.kind,
        "param": reply.param,
        "code": reply.code,
    }
    headers = {} if reply.retry_after is None else {"retry-after": str(reply.retry_after)}
    return as_json(reply.status, {"error": error}, headers)


def _completion(reply: Say | CallTools, request: Any, number: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text, "refusal": None}
    if isinstance(reply, CallTools):
        message["tool_calls"] = [
            {
                "id": f"call_{number}_{index}",
                "type": "function",
                "function": {"name": name, "arguments": _as_text(arguments)},
            }
            for index, (name, arguments) in enumerate(reply.calls, 1)
        ]
        reason = "tool_calls"
    else:
        reason = reply.finish_reason
    read, written = reply.usage or (_words(request["messages"]), _words([message]))
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": _CREATED,
        "model": request["model"],
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}],
        "usage": {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
        },
    }


def _as_text(arguments: Mapping[str, Any] | str) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments)


def _words(messages: Sequence[Mapping[str, Any]]) -> int:
    """A stand-in for tokens: the words of the texts, and one for each tool call."""
    texts = [m["content"] for m in messages if isinstance(m.get("content"), str)]
    calls = sum(len(m.get("tool_calls") or ()) for m in messages)
    return sum(len(text.split()) for text in texts) + calls
