"""Anthropic's Messages API: transcripts to its JSON, and its JSON to turns."""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, cast

from workflow_agents.agents.messages import (
    AssistantMessage,
    ChatMessage,
    ModelReply,
    SystemMessage,
    ToolCall,
    ToolMessage,
    Usage,
    UserMessage,
)
from workflow_agents.agents.models import output
from workflow_agents.agents.models.port import ModelSettings, Turn
from workflow_agents.agents.models.reading import Answer, detail
from workflow_agents.agents.models.strict_schema import BOUNDS, strict
from workflow_agents.protocol.results import CallResponse

PATH = "/v1/messages"
NEEDED = ("content",)
"""What an answer that is a message has."""

_CHOICES = {"auto": "auto", "none": "none", "required": "any"}
_SAMPLING = ("temperature", "top_p")
_THOUGHTS = ("thinking", "redacted_thinking")
_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}


def body(
    model: str, turn: Turn, *, max_tokens: int, sampling: bool, stream: bool, holds: bool
) -> dict[str, Any]:
    """The request body for a turn; the conversation comes last.

    Args:
        model: its name.
        turn: what is asked; `seed` does not exist in this API and is not sent.
        max_tokens: what the answer may have where the turn does not say; it must be said.
        sampling: whether this version of the API takes a temperature.
        stream: whether the answer is to be a stream.
        holds: whether the model can be held to a schema; else it is told in words.
    """
    settings = turn.settings
    request: dict[str, Any] = {"model": model, "max_tokens": settings.max_tokens or max_tokens}
    if stream:
        request["stream"] = True
    request |= _settings(settings, sampling=sampling)
    transcript = turn.transcript
    if turn.output is not None:
        schema = strict(turn.output.schema, without=BOUNDS) if holds else None
        if schema is None:
            transcript = output.told(transcript, turn.output)
        else:
            config: dict[str, Any] = request.setdefault("output_config", {})
            config["format"] = {"type": "json_schema", "schema": schema}
    request |= _tools(turn)
    request |= settings.extra_body
    if request.get("thinking", {}).get("type") in ("enabled", "adaptive"):
        # Who thinks takes no temperature.
        request = {name: value for name, value in request.items() if name not in _SAMPLING}
    told = [m.content for m in transcript if isinstance(m, SystemMessage)]
    if told:
        request["system"] = "\n\n".join(told)
    request["messages"] = list(_messages(transcript))
    return request


def read(response: CallResponse[Any], *, model: str, agent: str) -> ModelReply:
    """The turn that an answer holds.

    Raises:
        RemoteError: WA703, with the provider's words, the status and the start of the body.
    """
    answer = Answer(response, "a message", model, agent)
    members = answer.members()
    texts: list[str] = []
    calls: list[ToolCall] = []
    kept: list[dict[str, Any]] = []
    for value in answer.array("'content'", members.get("content")):
        block = answer.mapping("'content block'", value)
        match block.get("type"):
            case "text":
                texts.append(answer.text("'text'", block.get("text")))
            case "tool_use":
                given = answer.mapping("'input' of a tool use", block.get("input"))
                calls.append(
                    ToolCall(
                        answer.text("'id' of a tool use", block.get("id"), empty=False),
                        answer.text("'name' of a tool use", block.get("name")),
                        json.dumps(given, ensure_ascii=False),
                    )
                )
            case "thinking" | "redacted_thinking":
                kept.append(block)
            case _:
                pass
    said = str(members.get("stop_reason") or "end_turn")
    message = AssistantMessage("".join(texts), tuple(calls), _REASONS.get(said, said), tuple(kept))
    usage = _usage(answer, members.get("usage"))
    return ModelReply(message, usage, answer.answered_as(members))


def _settings(settings: ModelSettings, *, sampling: bool) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if sampling and settings.temperature is not None:
        made["temperature"] = settings.temperature
    if sampling and settings.top_p is not None:
        made["top_p"] = settings.top_p
    if settings.stop:
        made["stop_sequences"] = list(settings.stop)
    effort = settings.reasoning_effort
    if effort == "none":
        made["thinking"] = {"type": "disabled"}
    elif effort is not None:
        made["output_config"] = {"effort": "low" if effort == "minimal" else effort}
    return made


def _tools(turn: Turn) -> dict[str, Any]:
    """The tools and their choice. A conversation that used tools has to show some again."""
    if not turn.tools:
        names = sorted({call.name for message in turn.transcript for call in _calls(message)})
        schema: dict[str, Any] = {"type": "object", "properties": {}}
        past = [{"name": name, "input_schema": schema} for name in names]
        return {"tools": past, "tool_choice": {"type": "none"}} if past else {}
    tools = [
        {"name": tool.name, "description": tool.description, "input_schema": dict(tool.parameters)}
        for tool in turn.tools
    ]
    wanted, parallel = turn.settings.tool_choice, turn.settings.parallel_tool_calls
    if wanted is None and parallel is not False:
        return {"tools": tools}
    choice: dict[str, Any] = {"type": _CHOICES.get(wanted or "auto", "tool")}
    if choice["type"] == "tool":
        choice["name"] = wanted
    if parallel is False and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = True
    return {"tools": tools, "tool_choice": choice}


def _calls(message: ChatMessage) -> tuple[ToolCall, ...]:
    return message.tool_calls if isinstance(message, AssistantMessage) else ()


def _messages(transcript: Sequence[ChatMessage]) -> Iterator[dict[str, Any]]:
    """Results that follow each other answer one turn, and go into one message."""
    for kind, group in groupby(transcript, key=type):
        if kind is ToolMessage:
            results = [_result(m) for m in group if isinstance(m, ToolMessage)]
            yield {"role": "user", "content": results}
            continue
        for message in group:
            if isinstance(message, UserMessage):
                yield {"role": "user", "content": message.content}
            elif isinstance(message, AssistantMessage) and (blocks := _blocks(message)):
                # A turn without a word is not taken back; the turns around it are joined.
                yield {"role": "assistant", "content": blocks}


def _result(message: ToolMessage) -> dict[str, Any]:
    result = {"type": "tool_result", "tool_use_id": message.tool_call_id}
    failed = {"is_error": True} if message.is_error else {}
    return {**result, "content": message.content, **failed}


def _blocks(message: AssistantMessage) -> list[dict[str, Any]]:
    said = message.content.rstrip()
    return [
        *(dict(block) for block in message.kept if block.get("type") in _THOUGHTS),
        *([{"type": "text", "text": said}] if said else []),
        *(
            {"type": "tool_use", "id": call.id, "name": call.name, "input": _input(call)}
            for call in message.tool_calls
        ),
    ]


def _input(call: ToolCall) -> dict[str, Any]:
    """The arguments as an object, also those that another provider's model wrote wrongly."""
    try:
        given = json.loads(call.arguments or "{}")
    except ValueError:
        given = None
    return cast("dict[str, Any]", given) if isinstance(given, dict) else {"text": call.arguments}


def _usage(answer: Answer, value: Any) -> Usage:
    """What was read from or written to the cache is counted apart, and was read all the same."""
    if value is None:
        return Usage()
    usage = answer.mapping("'usage'", value)
    cached = usage.get("cache_read_input_tokens") or 0
    new = answer.count(usage, "input_tokens") + (usage.get("cache_creation_input_tokens") or 0)
    written = answer.count(usage, "output_tokens")
    thought = detail(usage, "output_tokens_details", "thinking_tokens")
    return Usage(new + cached, written, new + cached + written, cached, thought)
