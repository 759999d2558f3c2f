"""Replies as the chat completions API sends them: whole, or as a stream of events."""

import json
from collections.abc import Iterator
from typing import Any

from workflow_agents.testing._replies import (
    CallTools,
    Error,
    Say,
    argument_pieces,
    as_text,
    pieces,
    spent,
    words,
)

_CREATED = 1_700_000_000


def whole(reply: Say | CallTools, request: dict[str, Any], number: str) -> dict[str, Any]:
    """The completion."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text, "refusal": None}
    if isinstance(reply, CallTools):
        message["tool_calls"] = _calls(reply, number)
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _reason(reply)}
    return {
        **_head(request, number, "chat.completion"),
        "choices": [choice],
        "usage": _usage(reply, request),
    }


def events(reply: Say | CallTools, request: dict[str, Any], number: str) -> Iterator[bytes]:
    """The chunks of the completion, and the end."""
    options: dict[str, Any] = request.get("stream_options") or {}
    counted = bool(options.get("include_usage"))
    head = _head(request, number, "chat.completion.chunk")
    usage = {"usage": None} if counted else {}

    def chunk(delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return _event({**head, "choices": [choice], **usage})

    yield chunk({"role": "assistant", "content": "", "refusal": None})
    for piece in pieces(reply.text or ""):
        yield chunk({"content": piece})
    for index, call in enumerate(_calls(reply, number)):
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        named = {**call, "function": {"name": name, "arguments": ""}}
        yield chunk({"tool_calls": [{"index": index, **named}]})
        for piece in argument_pieces(arguments):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield chunk({}, _reason(reply))
    if counted:
        yield _event({**head, "choices": [], "usage": _usage(reply, request)})
    yield b"data: [DONE]\n\n"


def error(problem: Error) -> dict[str, Any]:
    """An error of the API."""
    return {
        "error": {
            "message": problem.message,
            "type": problem.kind,
            "param": problem.param,
            "code": problem.code,
        }
    }


def error_event(problem: Error) -> bytes:
    """An error in the middle of a stream."""
    return _event(error(problem))


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def _head(request: dict[str, Any], number: str, kind: str) -> dict[str, Any]:
    model = request["model"]
    return {"id": f"chatcmpl-{number}", "object": kind, "created": _CREATED, "model": model}


def _calls(reply: Say | CallTools, number: str) -> list[dict[str, Any]]:
    if isinstance(reply, Say):
        return []
    return [
        {
            "id": f"call_{number}_{index}",
            "type": "function",
            "function": {"name": name, "arguments": as_text(arguments)},
        }
        for index, (name, arguments) in enumerate(reply.calls, 1)
    ]


def _reason(reply: Say | CallTools) -> str:
    return reply.finish_reason if isinstance(reply, Say) else "tool_calls"


def _usage(reply: Say | CallTools, request: dict[str, Any]) -> dict[str, Any]:
    messages = request["messages"]
    said = sum(words(message.get("content")) for message in messages)
    called = sum(len(message.get("tool_calls") or ()) for message in messages)
    read, written = spent(reply, said + called)
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
        "prompt_tokens_details": {"cached_tokens": reply.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": reply.reasoning, "audio_tokens": 0},
    }
