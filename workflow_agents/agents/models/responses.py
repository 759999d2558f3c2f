"""The OpenAI Responses API, asked without state: transcripts to its JSON, and its JSON to turns.

Each request holds the whole conversation and asks the provider to keep nothing. The thoughts of
a model come back encrypted, and are sent again with the conversation.
"""

from typing import TYPE_CHECKING, Any

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
from workflow_agents.protocol.results import CallResponse

if TYPE_CHECKING:
    from workflow_agents.agents.tools import Tool

PATH = "/responses"
NEEDED = ("output",)
"""What an answer that is a response has."""

_CUT_OFF = {"max_output_tokens": "length", "content_filter": "content_filter"}


def body(model: str, turn: Turn, *, reasons: bool, stream: bool) -> dict[str, Any]:
    """The request body for a turn; the conversation comes last.

    Args:
        model: its name.
        turn: what is asked; `stop` and `seed` do not exist in this API and are not sent.
        reasons: whether the model thinks before it speaks, and its thoughts are wanted back.
        stream: whether the answer is to be a stream.
    """
    request: dict[str, Any] = {"model": model, "store": False, **_settings(turn.settings)}
    if stream:
        request["stream"] = True
    if reasons:
        request["include"] = ["reasoning.encrypted_content"]
    if turn.tools:
        request |= _tools(turn)
    transcript = turn.transcript
    if turn.output is not None:
        named = output.named_schema(turn.output)
        if named is None:
            transcript = output.told(transcript, turn.output)
        else:
            request["text"] = {"format": {"type": "json_schema", **named}}
    request |= turn.settings.extra_body
    request["input"] = [item for message in transcript for item in _items(message)]
    return request


def read(response: CallResponse[Any], *, model: str, agent: str) -> ModelReply:
    """The turn that an answer holds.

    Raises:
        RemoteError: WA703, with the provider's words, the status and the start of the body.
    """
    answer = Answer(response, "a response", model, agent)
    members = answer.members()
    texts: list[str] = []
    calls: list[ToolCall] = []
    kept: list[dict[str, Any]] = []
    for value in answer.array("'output'", members.get("output")):
        item = answer.mapping("'output item'", value)
        match item.get("type"):
            case "message":
                texts += _texts(answer, item)
            case "function_call":
                calls.append(
                    ToolCall(
                        answer.text("'call_id' of a call", item.get("call_id"), empty=False),
                        answer.text("'name' of a call", item.get("name")),
                        answer.text("'arguments' of a call", item.get("arguments")),
                    )
                )
            case "reasoning" if item.get("encrypted_content"):
                known = ("type", "id", "summary", "encrypted_content")
                kept.append({name: item[name] for name in known if name in item})
            case _:
                pass
    reason = "tool_calls" if calls else "stop"
    if members.get("status") == "incomplete":
        details: dict[str, Any] = members.get("incomplete_details") or {}
        reason = _CUT_OFF.get(str(details.get("reason")), "length")
    message = AssistantMessage("".join(texts), tuple(calls), reason, tuple(kept))
    usage = _usage(answer, members.get("usage"))
    return ModelReply(message, usage, answer.answered_as(members))


def _settings(settings: ModelSettings) -> dict[str, Any]:
    effort = settings.reasoning_effort
    named = {
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "max_output_tokens": settings.max_tokens,
        "reasoning": None if effort is None else {"effort": effort},
    }
    return {name: value for name, value in named.items() if value is not None}


def _tools(turn: Turn) -> dict[str, Any]:
    made: dict[str, Any] = {"tools": [_tool(tool) for tool in turn.tools]}
    choice = turn.settings.tool_choice
    if choice in ("auto", "none", "required"):
        made["tool_choice"] = choice
    elif choice is not None:
        made["tool_choice"] = {"type": "function", "name": choice}
    if turn.settings.parallel_tool_calls is not None:
        made["parallel_tool_calls"] = turn.settings.parallel_tool_calls
    return made


def _tool(tool: "Tool") -> dict[str, Any]:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
        "strict": False,  # arguments that have a default may be left out
    }


def _items(message: ChatMessage) -> list[dict[str, Any]]:
    match message:
        case SystemMessage(content):
            return [{"role": "system", "content": content}]
        case UserMessage(content):
            return [{"role": "user", "content": content}]
        case ToolMessage(tool_call_id=call_id, content=content):
            return [{"type": "function_call_output", "call_id": call_id, "output": content}]
        case AssistantMessage(content, calls, _, kept):
            said = [{"role": "assistant", "content": content}] if content else []
            return [
                *(dict(item) for item in kept if item.get("type") == "reasoning"),
                *said,
                *(
                    {
                        "type": "function_call",
                        "call_id": call.id,
                        "name": call.name,
                        "arguments": call.arguments,
                    }
                    for call in calls
                ),
            ]


def _texts(answer: Answer, item: dict[str, Any]) -> list[str]:
    parts = [answer.mapping("'content'", p) for p in answer.array("'content'", item.get("content"))]
    return [answer.text("'text'", part.get("text", part.get("refusal"))) for part in parts]


def _usage(answer: Answer, value: Any) -> Usage:
    if value is None:
        return Usage()
    usage = answer.mapping("'usage'", value)
    return Usage(
        answer.count(usage, "input_tokens"),
        answer.count(usage, "output_tokens"),
        answer.count(usage, "total_tokens"),
        detail(usage, "input_tokens_details", "cached_tokens"),
        detail(usage, "output_tokens_details", "reasoning_tokens"),
    )
