"""LangChain's chat models, told by their shape: LangChain itself is never imported here.

A chat model is an object in this process and no HTTP request, so its turn is a `run` step. What
is recorded is the reply and its usage, as JSON.
"""

import inspect
import json
from collections.abc import Coroutine, Mapping, Sequence
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
from workflow_agents.agents.models.port import Turn
from workflow_agents.agents.ports import AgentContext
from workflow_agents.errors import (
    ConfigurationError,
    RemoteError,
    StepFailed,
    WorkflowNonRetryableError,
    WorkflowRetryAfterError,
)

_SHAPE = ("ainvoke", "bind_tools", "_llm_type")
_LATER = (408, 409, 425, 429)


def is_chat_model(value: Any) -> bool:
    """Whether it has the attributes of a LangChain chat model."""
    return not inspect.isclass(value) and all(hasattr(value, part) for part in _SHAPE)


class LangChainModel:
    """A chat model of LangChain, asked in a `run` step of the workflow.

    How it samples, and where and how often it asks, is the chat model's own affair: of an
    agent's settings it gets `tool_choice`, `parallel_tool_calls`, `stop` and `extra_body`. A
    request that was made while the process died is made again.

    Args:
        chat_model: a `BaseChatModel`: `ChatOpenAI(...)`, `init_chat_model(...)`.

    Raises:
        ConfigurationError: WA702, it is none.
    """

    def __init__(self, chat_model: Any) -> None:
        if not is_chat_model(chat_model):
            raise ConfigurationError(
                "WA702",
                "it is no chat model of LangChain",
                where="LangChainModel",
                found=f"expected a BaseChatModel, found {chat_model!r}"[:200],
                fix=('LangChainModel(ChatOpenAI(model="gpt-4o"))',),
            )
        self._model = chat_model

    def __repr__(self) -> str:
        return f"LangChainModel({type(self._model).__name__}, {self.name!r})"

    @property
    def name(self) -> str:
        """The name of the model, as far as the chat model says it."""
        named = getattr(self._model, "model_name", None) or getattr(self._model, "model", None)
        return str(named or self._model._llm_type)  # noqa: SLF001  # part of LangChain's interface

    def ask(self, context: AgentContext, turn: Turn) -> Coroutine[Any, Any, ModelReply]:
        """See `Model.ask`."""

        async def ask() -> dict[str, Any]:
            return await _asked(self._model, turn)

        return self._read(turn, context.run(f"Call Agent {turn.agent}", ask))

    async def _read(self, turn: Turn, step: Coroutine[Any, Any, Any]) -> ModelReply:
        try:
            return read(await step)
        except StepFailed as failed:
            raise RemoteError(
                "WA703",
                f"the model {self.name!r} gave no usable answer: {failed.message}",
                where=f"agent {turn.agent!r}",
                found=f"expected an answer, found {failed.error}: {failed.message}",
                status=failed.status,
            ) from failed


async def _asked(model: Any, turn: Turn) -> dict[str, Any]:
    """Ask the chat model; what it said, as JSON."""
    settings, transcript = turn.settings, turn.transcript
    if turn.output is not None:
        transcript = output.told(transcript, turn.output)
    asked: Any = model
    if turn.tools:
        choice: dict[str, Any] = {}
        if settings.tool_choice:
            choice["tool_choice"] = settings.tool_choice
        if settings.parallel_tool_calls is not None:
            choice["parallel_tool_calls"] = settings.parallel_tool_calls
        asked = asked.bind_tools([_tool(tool) for tool in turn.tools], **choice)
    more = {**settings.extra_body, **({"stop": list(settings.stop)} if settings.stop else {})}
    if more:
        asked = asked.bind(**more)
    try:
        return recorded(await asked.ainvoke(messages(transcript)))
    except Exception as error:
        taken = _as_a_step_takes_it(error)
        if taken is error:
            raise
        raise taken from error


def messages(transcript: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    """The transcript in the form of dicts, which every chat model takes."""
    return [_message(message) for message in transcript]


def recorded(reply: Any) -> dict[str, Any]:
    """What an `AIMessage` says, as JSON: {"message": {...}, "usage": {...}, "model": "..."}."""
    made = [
        {
            "id": str(call.get("id") or f"call_{number}"),
            "name": str(call["name"]),
            "arguments": json.dumps(call["args"], ensure_ascii=False),
        }
        for number, call in enumerate(reply.tool_calls, 1)
    ]
    # Calls whose arguments are no JSON: the model is told by whoever checks them.
    made += [
        {
            "id": str(call.get("id") or f"call_invalid_{number}"),
            "name": str(call.get("name")),
            "arguments": str(call.get("args") or ""),
        }
        for number, call in enumerate(getattr(reply, "invalid_tool_calls", ()), 1)
    ]
    told: Mapping[str, Any] = getattr(reply, "response_metadata", None) or {}
    reason = told.get("finish_reason") or told.get("stop_reason") or told.get("done_reason")
    usage: Mapping[str, Any] = getattr(reply, "usage_metadata", None) or {}
    read, written = int(usage.get("input_tokens", 0)), int(usage.get("output_tokens", 0))
    return {
        "message": {
            "content": _text(reply.content),
            "tool_calls": made,
            "finish_reason": _REASONS.get(str(reason), str(reason or "stop")),
        },
        "usage": {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": int(usage.get("total_tokens", read + written)),
            "cached_prompt_tokens": _detail(usage, "input_token_details", "cache_read"),
            "reasoning_tokens": _detail(usage, "output_token_details", "reasoning"),
        },
        "model": str(told.get("model_name") or told.get("model") or ""),
    }


def read(data: dict[str, Any]) -> ModelReply:
    """The reply that was recorded."""
    message = data["message"]
    calls = tuple(ToolCall(c["id"], c["name"], c["arguments"]) for c in message["tool_calls"])
    said = AssistantMessage(message["content"], calls, message["finish_reason"])
    return ModelReply(said, Usage(**data["usage"]), data["model"])


_REASONS = {"end_turn": "stop", "tool_use": "tool_calls", "max_tokens": "length"}


def _message(message: ChatMessage) -> dict[str, Any]:
    match message:
        case SystemMessage(content):
            return {"role": "system", "content": content}
        case UserMessage(content):
            return {"role": "user", "content": content}
        case ToolMessage(call_id, name, content):
            return {"role": "tool", "tool_call_id": call_id, "name": name, "content": content}
        case AssistantMessage(content, calls):
            made = [
                {"type": "tool_call", "id": c.id, "name": c.name, "args": _args(c)} for c in calls
            ]
            return {
                "role": "assistant",
                "content": content,
                **({"tool_calls": made} if made else {}),
            }


def _args(call: ToolCall) -> dict[str, Any]:
    try:
        given = json.loads(call.arguments or "{}")
    except ValueError:
        given = None
    return cast("dict[str, Any]", given) if isinstance(given, dict) else {"text": call.arguments}


def _tool(tool: Any) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": dict(tool.parameters),
        },
    }


def _text(content: Any) -> str:
    """A text, or the texts among the blocks that some providers answer in."""
    if isinstance(content, str):
        return content
    blocks = cast("list[Any]", content)
    texts = [b if isinstance(b, str) else b.get("text", "") for b in blocks]
    return "".join(str(text) for text in texts)


def _detail(usage: Mapping[str, Any], holder: str, name: str) -> int:
    details: Mapping[str, Any] = usage.get(holder) or {}
    return int(details.get(name) or 0)


def _as_a_step_takes_it(error: Exception) -> Exception:
    """What a provider's package raised: try again later, never, or as usual."""
    status = getattr(error, "status_code", None)
    if status == 429:
        headers: Any = getattr(getattr(error, "response", None), "headers", {})
        after = str(headers.get("retry-after", ""))
        if after.isdigit():
            return WorkflowRetryAfterError(str(error), int(after))
    if isinstance(status, int) and 400 <= status < 500 and status not in _LATER:
        return WorkflowNonRetryableError(f"{type(error).__name__}: {error}")
    return error
