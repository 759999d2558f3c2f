"""Replies as the Responses API sends them: whole, or as a stream of events."""

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

from workflow_agents.testing._chat_wire import error as error
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
_CUT_OFF = {"length": "max_output_tokens", "content_filter": "content_filter"}
_Item = dict[str, Any]


def whole(reply: Say | CallTools, request: dict[str, Any], number: str) -> dict[str, Any]:
    """The response, with all its items."""
    return _response(reply, request, number, _items(reply, number))


def events(reply: Say | CallTools, request: dict[str, Any], number: str) -> Iterator[bytes]:
    """The response as it comes about, item by item, and then as a whole."""
    numbers = count()

    def event(kind: str, **data: Any) -> bytes:
        numbered = {"type": kind, **data, "sequence_number": next(numbers)}
        return b"event: %s\ndata: %s\n\n" % (kind.encode(), json.dumps(numbered).encode())

    begun = _response(reply, request, number, [])
    begun |= {"status": "in_progress", "usage": None, "incomplete_details": None}
    yield event("response.created", response=begun)
    yield event("response.in_progress", response=begun)
    for index, item in enumerate(_items(reply, number)):
        steps = _message_events if item["type"] == "message" else _call_events
        for kind, data in steps(item):
            yield event(kind, output_index=index, **data)
    done = whole(reply, request, number)
    yield event(f"response.{done['status']}", response=done)


def error_event(problem: Error) -> bytes:
    """An error in the middle of a stream."""
    data = {
        "type": "error",
        "code": problem.code,
        "message": problem.message,
        "param": problem.param,
        "sequence_number": 0,
    }
    return b"event: error\ndata: " + json.dumps(data).encode() + b"\n\n"


def _message_events(item: _Item) -> Iterator[tuple[str, dict[str, Any]]]:
    part = item["content"][0]
    place = {"item_id": item["id"], "content_index": 0}
    started: _Item = {**item, "status": "in_progress", "content": []}
    yield "response.output_item.added", {"item": started}
    yield "response.content_part.added", {**place, "part": {**part, "text": ""}}
    for piece in pieces(part["text"]):
        yield "response.output_text.delta", {**place, "delta": piece, "logprobs": []}
    yield "response.output_text.done", {**place, "text": part["text"], "logprobs": []}
    yield "response.content_part.done", {**place, "part": part}
    yield "response.output_item.done", {"item": item}


def _call_events(item: _Item) -> Iterator[tuple[str, dict[str, Any]]]:
    place = {"item_id": item["id"]}
    started = {**item, "status": "in_progress", "arguments": ""}
    yield "response.output_item.added", {"item": started}
    for piece in argument_pieces(item["arguments"]):
        yield "response.function_call_arguments.delta", {**place, "delta": piece}
    done = {**place, "name": item["name"], "arguments": item["arguments"]}
    yield "response.function_call_arguments.done", done
    yield "response.output_item.done", {"item": item}


def _items(reply: Say | CallTools, number: str) -> list[_Item]:
    items: list[_Item] = []
    if isinstance(reply, Say) or reply.text is not None:
        part: _Item = {"type": "output_text", "text": reply.text, "annotations": [], "logprobs": []}
        items.append(
            {
                "id": f"msg_{number}",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [part],
            }
        )
    if isinstance(reply, CallTools):
        items += [
            {
                "id": f"fc_{number}_{index}",
                "type": "function_call",
                "call_id": f"call_{number}_{index}",
                "name": name,
                "arguments": as_text(arguments),
                "status": "completed",
            }
            for index, (name, arguments) in enumerate(reply.calls, 1)
        ]
    return items


def _response(
    reply: Say | CallTools, request: dict[str, Any], number: str, items: list[_Item]
) -> dict[str, Any]:
    cut_off = _CUT_OFF.get(reply.finish_reason) if isinstance(reply, Say) else None
    return {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": _CREATED,
        "status": "incomplete" if cut_off else "completed",
        "error": None,
        "incomplete_details": {"reason": cut_off} if cut_off else None,
        "instructions": request.get("instructions"),
        "max_output_tokens": request.get("max_output_tokens"),
        "metadata": {},
        "model": request["model"],
        "output": items,
        "parallel_tool_calls": request.get("parallel_tool_calls", True),
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": request.get("store", True),
        "temperature": request.get("temperature", 1.0),
        "text": request.get("text") or {"format": {"type": "text"}},
        "tool_choice": request.get("tool_choice", "auto"),
        "tools": request.get("tools") or [],
        "top_p": request.get("top_p", 1.0),
        "truncation": "disabled",
        "usage": _usage(reply, request),
        "user": None,
    }


def _usage(reply: Say | CallTools, request: dict[str, Any]) -> dict[str, Any]:
    told = request["input"]
    if not isinstance(told, str):
        told = [item.get("content", item.get("output")) for item in told]
    read, written = spent(reply, words(request.get("instructions")) + words(told))
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": reply.cached, "cache_write_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": reply.reasoning},
        "total_tokens": read + written,
    }
