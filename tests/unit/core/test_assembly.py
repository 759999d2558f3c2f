"""Streamed replies put together: what the provider gives whole, whatever the stream is cut into."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_agents.core.assembly import (
    STREAM_FORMATS,
    Assembly,
    BrokenStream,
    Text,
    ToolCall,
    assembly,
)
from workflow_agents.protocol.sse import EventParser, ServerSentEvent
from workflow_agents.testing import _chat_wire, _messages_wire, _responses_wire
from workflow_agents.testing._replies import CallTools, Error, Say

WIRES: dict[str, Any] = {
    "chat.completions": _chat_wire,
    "responses": _responses_wire,
    "anthropic.messages": _messages_wire,
}
REQUESTS: dict[str, Any] = {
    "chat.completions": {
        "model": "m",
        "messages": [{"role": "user", "content": "Hm?"}],
        "stream_options": {"include_usage": True},
    },
    "responses": {"model": "m", "input": "Hm?"},
    "anthropic.messages": {"model": "m", "messages": [{"role": "user", "content": "Hm?"}]},
}

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
arguments = st.dictionaries(texts, st.integers() | texts, max_size=3)
replies = st.builds(Say, texts, st.sampled_from(["stop", "length"])) | st.builds(
    CallTools,
    st.lists(st.tuples(texts, arguments), min_size=1, max_size=3).map(tuple),
    st.none() | texts,
)


def fed(stream_format: str, *pieces: bytes) -> tuple[Assembly, list[Text | ToolCall]]:
    parser, made = EventParser(), assembly(stream_format)
    events = [event for piece in pieces for event in parser.feed(piece)]
    return made, [delta for event in events for delta in made.add(event)]


def add(made: Assembly, kind: str, **data: Any) -> list[Text | ToolCall]:
    return made.add(ServerSentEvent(kind, json.dumps({"type": kind, **data})))


@pytest.mark.parametrize("stream_format", STREAM_FORMATS)
@given(replies, st.lists(st.integers(0, 3_000), max_size=20))
def test_a_stream_is_assembled_to_the_reply_that_is_not_streamed(
    stream_format: str, reply: Say | CallTools, cuts: list[int]
) -> None:
    wire, request = WIRES[stream_format], REQUESTS[stream_format]
    stream = b"".join(wire.events(reply, request, "1"))
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = [stream[a:b] for a, b in itertools.pairwise(places)]

    made, deltas = fed(stream_format, *pieces)

    assert made.complete
    assert made.result() == wire.whole(reply, request, "1")
    assert made.said == (reply.text or "") == "".join(d.text for d in deltas if type(d) is Text)
    calls = reply.calls if isinstance(reply, CallTools) else ()
    assert [(call.tool, json.loads(call.arguments)) for call in made.calls] == [*calls]
    for call in made.calls:
        told = [d for d in deltas if isinstance(d, ToolCall) and d.index == call.index]
        assert "".join(d.arguments for d in told) == call.arguments
        assert {(d.id, d.tool) for d in told} == {(call.id, call.tool)}


@pytest.mark.parametrize("stream_format", STREAM_FORMATS)
def test_a_stream_that_is_cut_anywhere_gives_no_reply(stream_format: str) -> None:
    wire, request = WIRES[stream_format], REQUESTS[stream_format]
    events = [*wire.events(Say("It is very cold."), request, "1")]
    complete = [fed(stream_format, *events[:n])[0].complete for n in range(len(events) + 1)]
    assert complete[-1]
    first = complete.index(True)
    for n in range(first):
        with pytest.raises(BrokenStream, match="ended before"):
            fed(stream_format, *events[:n])[0].result()


@pytest.mark.parametrize("stream_format", STREAM_FORMATS)
def test_an_error_in_the_stream(stream_format: str) -> None:
    wire, request = WIRES[stream_format], REQUESTS[stream_format]
    first = next(iter(wire.events(Say("It is"), request, "1")))
    with pytest.raises(BrokenStream, match="Overloaded"):
        fed(stream_format, first, wire.error_event(Error(529, "Overloaded", "overloaded_error")))


@pytest.mark.parametrize("data", ["{broken", "[]", "7"])
@pytest.mark.parametrize("stream_format", STREAM_FORMATS)
def test_events_that_are_no_json_objects(stream_format: str, data: str) -> None:
    with pytest.raises(BrokenStream, match="an event is no JSON"):
        assembly(stream_format).add(ServerSentEvent("message", data))


@pytest.mark.parametrize(
    ("stream_format", "data"),
    [
        ("chat.completions", '{"choices": [7]}'),
        ("responses", '{"type": "response.output_text.delta"}'),
        ("anthropic.messages", '{"type": "content_block_delta", "index": 3, "delta": {}}'),
    ],
)
def test_events_that_are_not_as_documented(stream_format: str, data: str) -> None:
    with pytest.raises(BrokenStream, match="cannot be read"):
        assembly(stream_format).add(ServerSentEvent("message", data))


def test_chat_with_a_refusal_log_probabilities_and_fields_of_a_provider() -> None:
    made = assembly("chat.completions")
    chunks: list[dict[str, Any]] = [
        {"delta": {"role": "assistant", "content": "", "refusal": None}},
        {"delta": {"reasoning_content": "Let me "}, "logprobs": {"content": [1], "refusal": None}},
        {"delta": {"reasoning_content": "see."}, "logprobs": {"content": [2], "refusal": None}},
        {"delta": {"refusal": "I "}},
        {"delta": {"refusal": "cannot."}},
        {"delta": {}, "finish_reason": "stop"},
    ]
    for chunk in chunks:
        add(made, "message", id="c", obfuscation="x", choices=[{"index": 0, **chunk}])
    [choice] = made.result()["choices"]
    assert choice["logprobs"]["content"] == [1, 2]
    assert choice["message"] == {
        "role": "assistant",
        "content": "",
        "refusal": "I cannot.",
        "reasoning_content": "Let me see.",
    }
    assert made.result()["object"] == "chat.completion"
    assert "obfuscation" not in made.result()


def test_chat_of_a_provider_that_sends_a_tool_call_in_one_piece_and_no_done() -> None:
    made = assembly("chat.completions")
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    deltas = add(made, "", choices=[{"index": 0, "delta": {"tool_calls": [{"index": 0, **call}]}}])
    add(made, "", choices=[{"index": 0, "delta": {}, "finish_reason": "tool_calls"}])
    assert deltas == [ToolCall(0, "a", "f", "{}")]
    assert made.result()["choices"][0]["message"]["tool_calls"] == [call]


def test_messages_that_think_and_cite() -> None:
    made = assembly("anthropic.messages")
    add(made, "message_start", message={"id": "m", "content": [], "usage": {"input_tokens": 9}})
    add(made, "content_block_start", index=0, content_block={"type": "thinking", "thinking": ""})
    for piece in ("Let me ", "see."):
        delta = {"type": "thinking_delta", "thinking": piece}
        assert add(made, "content_block_delta", index=0, delta=delta) == []
    delta = {"type": "signature_delta", "signature": "s"}
    add(made, "content_block_delta", index=0, delta=delta)
    add(made, "content_block_stop", index=0)
    add(made, "content_block_start", index=1, content_block={"type": "text", "text": ""})
    said = {"type": "text_delta", "text": "Cold."}
    assert add(made, "content_block_delta", index=1, delta=said) == [Text("Cold.")]
    delta = {"type": "citations_delta", "citation": {"n": 1}}
    add(made, "content_block_delta", index=1, delta=delta)
    add(made, "content_block_stop", index=1)
    add(made, "ping")
    add(made, "message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 3})
    add(made, "message_stop")
    assert made.result() == {
        "id": "m",
        "content": [
            {"type": "thinking", "thinking": "Let me see.", "signature": "s"},
            {"type": "text", "text": "Cold.", "citations": [{"n": 1}]},
        ],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 9, "output_tokens": 3},
    }


def test_a_response_that_failed() -> None:
    error = {"code": "server_error", "message": "try again"}
    with pytest.raises(BrokenStream, match="server_error: try again"):
        add(assembly("responses"), "response.failed", response={"error": error})
