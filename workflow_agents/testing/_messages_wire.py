"""Replies as the Anthropic Messages API sends them: whole, or as a stream of events."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from workflow_agents.testing._replies import (
    CallTools,
    Error,
    Say,
    argument_pieces,
    pieces,
    spent,
    words,
)

_STOPS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal"}
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def whole(reply: Say | CallTools, request: dict[str, Any], number: str) -> dict[str, Any]:
    """The message."""
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": request["model"],
        "content": _blocks(reply, number),
        "stop_reason": _STOPS.get(reply.finish_reason, reply.finish_reason)
        if isinstance(reply, Say)
        else "tool_use",
        "stop_sequence": None,
        "usage": _usage(reply, request),
    }


def events(reply: Say | CallTools, request: dict[str, Any], number: str) -> Iterator[bytes]:
    """The message as it comes about, block by block."""
    message = whole(reply, request, number)
    usage = {**message["usage"], "output_tokens": 1}
    begun: dict[str, Any] = {**message, "content": [], "stop_reason": None, "usage": usage}
    yield _event("message_start", message=begun)
    yield _event("ping")
    for index, block in enumerate(message["content"]):
        if block["type"] == "text":
            started: dict[str, Any] = {**block, "text": ""}
            deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
        else:
            started = {**block, "input": {}}
            parts = ["", *argument_pieces(json.dumps(block["input"]))]
            deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
        yield _event("content_block_start", index=index, content_block=started)
        for delta in deltas:
            yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    end = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    written = {"output_tokens": message["usage"]["output_tokens"]}
    yield _event("message_delta", delta=end, usage=written)
    yield _event("message_stop")


def error(problem: Error) -> dict[str, Any]:
    """An error of the API."""
    named = problem.kind if problem.kind in _KINDS.values() else None
    kind = named or _KINDS.get(problem.status, "api_error")
    told = {"type": kind, "message": problem.message}
    return {"type": "error", "error": told, "request_id": "req_scripted"}


def error_event(problem: Error) -> bytes:
    """An error in the middle of a stream."""
    return b"event: error\ndata: " + json.dumps(error(problem)).encode() + b"\n\n"


def _event(kind: str, **data: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (
        kind.encode(),
        json.dumps({"type": kind, **data}).encode(),
    )


def _blocks(reply: Say | CallTools, number: str) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = [{"type": "text", "text": reply.text}] if reply.text else []
    if isinstance(reply, CallTools):
        blocks += [
            {"type": "tool_use", "id": f"toolu_{number}_{i}", "name": name, "input": _input(given)}
            for i, (name, given) in enumerate(reply.calls, 1)
        ]
    return blocks


def _input(arguments: Mapping[str, Any] | str) -> Any:
    """This API parses what the model writes; what is no JSON cannot be scripted for it."""
    return json.loads(arguments) if isinstance(arguments, str) else dict(arguments)


def _usage(reply: Say | CallTools, request: dict[str, Any]) -> dict[str, Any]:
    """Tokens that were read from the cache are not among the input tokens."""
    told = [message["content"] for message in request["messages"]]
    read, written = spent(reply, words(request.get("system")) + words(told))
    return {
        "input_tokens": read - reply.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": reply.cached,
        "output_tokens": written,
        "output_tokens_details": {"thinking_tokens": reply.reasoning},
        "service_tier": "standard",
    }
