"""The OpenAI chat completions API: transcripts to its JSON, and its JSON to turns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

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
from workflow_agents.agents.models.output import OutputMode
from workflow_agents.agents.models.port import ModelSettings, Turn
from workflow_agents.agents.models.reading import Answer, detail
from workflow_agents.protocol.results import CallResponse

if TYPE_CHECKING:
    from workflow_agents.agents.tools import Tool

PATH = "/chat/completions"
NEEDED = ("choices",)
"""What an answer that is a completion has."""

LimitName = Literal["max_completion_tokens", "max_tokens"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """Where providers of this API differ.

    Attributes:
        limit_name: the name of the limit: OpenAI's own, or the older one that all know.
        output_mode: what it knows of the shape of an answer.
    """

    limit_name: LimitName = "max_completion_tokens"
    output_mode: OutputMode = "json_schema"


def body(model: str, turn: Turn, dialect: Dialect, *, stream: bool) -> dict[str, Any]:
    """The request body for a turn; what is not given is left out.

    Messages come last: requests of one conversation then begin with the same bytes.
    """
    request: dict[str, Any] = {"model": model, **_settings(turn.settings, dialect)}
    if stream:
        request |= {"stream": True, "stream_options": {"include_usage": True}}
    if turn.tools:
        request |= _tools(turn)
    transcript = turn.transcript
    if turn.output is not None:
        wanted = _format(turn.output, dialect.output_mode)
        request |= wanted
        if wanted.get("response_format", {}).get("type") != "json_schema":
            transcript = output.told(transcript, turn.output)
    request |= turn.settings.extra_body
    request["messages"] = [_message(m) for m in transcript]
    return request


def read(response: CallResponse[Any], *, model: str, agent: str) -> ModelReply:
    """The turn that an answer holds.

    Raises:
        RemoteError: WA703, with the provider's words, the status and the start of the body.
    """
    answer = Answer(response, "a chat completion", model, agent)
    members = answer.members()
    choices = answer.array("'choices'", members.get("choices"))
    if not choices:
        answer.fail("expected 'choices' with at least one, found empty list")
    choice = answer.mapping("'choices[0]'", choices[0])
    usage = _usage(answer, members.get("usage"))
    return ModelReply(_read_message(answer, choice), usage, answer.answered_as(members))


def _settings(settings: ModelSettings, dialect: Dialect) -> dict[str, Any]:
    named = {
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        dialect.limit_name: settings.max_tokens,
        "reasoning_effort": settings.reasoning_effort,
        "stop": list(settings.stop) or None,
        "seed": settings.seed,
    }
    return {name: value for name, value in named.items() if value is not None}


def _tools(turn: Turn) -> dict[str, Any]:
    made: dict[str, Any] = {"tools": [_tool(tool) for tool in turn.tools]}
    choice = turn.settings.tool_choice
    if choice in ("auto", "none", "required"):
        made["tool_choice"] = choice
    elif choice is not None:
        made["tool_choice"] = {"type": "function", "function": {"name": choice}}
    if turn.settings.parallel_tool_calls is not None:
        made["parallel_tool_calls"] = turn.settings.parallel_tool_calls
    return made


def _format(wanted: output.OutputSchema, mode: OutputMode) -> dict[str, Any]:
    if mode == "json_object":
        return {"response_format": {"type": "json_object"}}
    named = output.named_schema(wanted) if mode == "json_schema" else None
    if named is None:
        return {}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _message(message: ChatMessage) -> dict[str, Any]:
    match message:
        case SystemMessage(content):
            return {"role": "system", "content": content}
        case UserMessage(content):
            return {"role": "user", "content": content}
        case ToolMessage(tool_call_id=call_id, content=content):
            return {"role": "tool", "tool_call_id": call_id, "content": content}
        case AssistantMessage(content, ()):
            return {"role": "assistant", "content": content}
        case AssistantMessage(content, calls):
            wire_calls = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for call in calls
            ]
            return {"role": "assistant", "content": content or None, "tool_calls": wire_calls}


def _tool(tool: "Tool") -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": dict(tool.parameters),
            **({"strict": True} if tool.strict else {}),
        },
    }


def _read_message(answer: Answer, choice: Mapping[str, Any]) -> AssistantMessage:
    message = answer.mapping("'message'", choice.get("message"))
    content = message.get("content")
    if content is None:
        content = message.get("refusal") or ""
    content = answer.text("'content'", content)
    given = message.get("tool_calls")
    calls = [] if given is None else answer.array("'tool_calls'", given)
    wanted = tuple(_tool_call(answer, call) for call in calls)
    if len({call.id for call in wanted}) < len(wanted):
        answer.fail("expected tool calls with ids of their own, found one id twice")
    return AssistantMessage(content, wanted, str(choice.get("finish_reason") or "stop"))


def _tool_call(answer: Answer, value: Any) -> ToolCall:
    call = answer.mapping("'tool call'", value)
    function = answer.mapping("'function' of a tool call", call.get("function"))
    return ToolCall(
        answer.text("'id' of a tool call", call.get("id"), empty=False),
        answer.text("'function.name' of a tool call", function.get("name")),
        answer.text("'function.arguments' of a tool call", function.get("arguments")),
    )


def _usage(answer: Answer, value: Any) -> Usage:
    if value is None:
        return Usage()
    usage = answer.mapping("'usage'", value)
    return Usage(
        answer.count(usage, "prompt_tokens"),
        answer.count(usage, "completion_tokens"),
        answer.count(usage, "total_tokens"),
        detail(usage, "prompt_tokens_details", "cached_tokens"),
        detail(usage, "completion_tokens_details", "reasoning_tokens"),
    )
