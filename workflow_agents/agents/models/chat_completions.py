"""The OpenAI chat completions API: transcripts to its JSON, and its JSON to turns.

Reading is strict: whatever is not a chat completion is told with what was found, because
gateways and other providers answer with much else under status 200.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, cast

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
from workflow_agents.agents.models.port import Turn
from workflow_agents.errors import RemoteError
from workflow_agents.protocol.results import CallResponse

if TYPE_CHECKING:
    from workflow_agents.agents.tools import Tool

_SHOWN = 300
_SHOWN_IN_MESSAGE = 70


def body(model: str, turn: Turn) -> dict[str, Any]:
    """The request body for a turn; what is not given is left out.

    Messages come last: requests of one conversation then begin with the same bytes.
    """
    request: dict[str, Any] = {"model": model}
    if turn.settings.temperature is not None:
        request["temperature"] = turn.settings.temperature
    if turn.tools:
        request["tools"] = [_tool(tool) for tool in turn.tools]
    request["messages"] = [_message(m) for m in turn.transcript]
    return request


def read(response: CallResponse[Any], *, model: str, agent: str) -> ModelReply:
    """The turn that an answer holds.

    Raises:
        RemoteError: WA703, with the provider's words, the status and the start of the body.
    """
    return _Reader(model, agent, response).reply()


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


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one answer, and words what is wrong with it."""

    model: str
    agent: str
    response: CallResponse[Any]

    def reply(self) -> ModelReply:
        body = self.response.body
        answer = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
        error = answer.get("error")
        if not 200 <= self.response.status < 300 or error:
            self._refused(error)
        if not answer:
            self._fail(f"expected a JSON object, found {_kind(cast('object', body))}")
        choices = answer.get("choices")
        if not isinstance(choices, list) or not choices:
            found = _kind(cast("object", choices))
            self._fail(f"expected 'choices' with at least one, found {found}")
        choice = self._object("choices[0]", cast("list[Any]", choices)[0])
        return ModelReply(self._message(choice), self._usage(answer.get("usage")))

    def _message(self, choice: dict[str, Any]) -> AssistantMessage:
        message = self._object("message", choice.get("message"))
        content = message.get("content")
        if content is None:
            content = message.get("refusal")
        if content is not None and not isinstance(content, str):
            self._fail(f"expected 'content' to be text or null, found {_kind(content)}")
        calls = message.get("tool_calls")
        if calls is not None and not isinstance(calls, list):
            self._fail(f"expected 'tool_calls' to be a list, found {_kind(calls)}")
        wanted = tuple(self._tool_call(call) for call in cast("list[Any]", calls or []))
        if len({call.id for call in wanted}) < len(wanted):
            self._fail("expected tool calls with ids of their own, found one id twice")
        return AssistantMessage(content or "", wanted, str(choice.get("finish_reason") or "stop"))

    def _tool_call(self, value: Any) -> ToolCall:
        call = self._object("tool call", value)
        function = self._object("function of a tool call", call.get("function"))
        parts = (call.get("id"), function.get("name"), function.get("arguments"))
        names = ("id", "function.name", "function.arguments")
        for name, part in zip(names, parts, strict=True):
            if not isinstance(part, str) or (name == "id" and not part):
                self._fail(f"expected '{name}' of a tool call to be text, found {_kind(part)}")
        return ToolCall(*cast("tuple[str, str, str]", parts))

    def _usage(self, value: Any) -> Usage:
        if value is None:
            return Usage()
        usage = self._object("usage", value)
        names = ("prompt_tokens", "completion_tokens", "total_tokens")
        counts = [usage.get(name) for name in names]
        for name, count in zip(names, counts, strict=True):
            if not isinstance(count, int):
                self._fail(f"expected 'usage.{name}' to be a number, found {_kind(count)}")
        return Usage(*cast("list[int]", counts))

    def _object(self, name: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            self._fail(f"expected '{name}' to be an object, found {_kind(value)}")
        return cast("dict[str, Any]", value)

    def _refused(self, error: Any) -> NoReturn:
        """The provider says no: with an error object, with a text, or with the status alone."""
        details = cast("dict[str, Any]", error) if isinstance(error, dict) else {}
        said = details.get("message") or (error if isinstance(error, str) else "")
        found = f"expected a chat completion, found status {self.response.status}"
        if details.get("param") == "temperature":
            self._fail(found, said, fix=("pass temperature=None for models that choose it",))
        self._fail(found, said)

    def _fail(self, found: str, said: object = "", fix: Sequence[str] = ()) -> NoReturn:
        body = self.response.body
        text = body if isinstance(body, str) else json.dumps(body, default=repr)
        status = self.response.status
        raise RemoteError(
            "WA703",
            f"the model {self.model!r} gave no usable answer" + (f": {said}" if said else ""),
            status=status,
            body=text[:_SHOWN],
            where=f"agent {self.agent!r}",
            found=(found, f"status {status}, body {text[:_SHOWN_IN_MESSAGE]!r}"),
            fix=fix,
        )


def _kind(value: object) -> str:
    names = {dict: "object", list: "list", str: "text", bytes: "bytes", bool: "boolean"}
    name = next((name for kind, name in names.items() if isinstance(value, kind)), "number")
    if value is None:
        return "nothing"
    return f"empty {name}" if value in ("", [], {}) else name
