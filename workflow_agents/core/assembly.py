"""From the events of a streamed reply to the JSON that the provider gives without streaming.

One `Assembly` for each format, fed with events in order. It says what each event adds, for
those who listen, and holds what was said so far, for those who come later. Nothing here does
I/O; how the events are cut into bytes is `protocol.sse`'s.

Source: the streaming references of OpenAI (chat completions, Responses) and Anthropic
(Messages). Events that are not known are passed over, as both ask of their clients.
"""

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, cast

from workflow_agents.protocol.sse import ServerSentEvent

StreamFormat = Literal["chat.completions", "responses", "anthropic.messages"]
"""How a streamed reply is written."""

_Json = dict[str, Any]


class BrokenStream(Exception):
    """The stream holds no whole reply; the text says why."""


class Text(NamedTuple):
    """A piece of what the model says."""

    text: str


@dataclass(slots=True)
class ToolCall:
    """A tool call, or a piece of it.

    Attributes:
        index: its place among the tool calls of the reply, from 0.
        id: the provider's.
        tool: the name of the tool.
        arguments: JSON text, or a piece of that.
    """

    index: int
    id: str
    tool: str
    arguments: str


Delta = Text | ToolCall


class Assembly(ABC):
    """A reply that is coming about."""

    def __init__(self) -> None:
        self._ended = False
        self._said: list[str] = []
        self._calls: dict[Any, ToolCall] = {}

    @property
    def said(self) -> str:
        """The text so far, of all parts of the reply."""
        return "".join(self._said)

    @property
    def calls(self) -> list[ToolCall]:
        """The tool calls so far, with their arguments so far."""
        return [*self._calls.values()]

    @property
    @abstractmethod
    def complete(self) -> bool:
        """Whether the provider has said that this is all."""

    @abstractmethod
    def result(self) -> _Json:
        """The whole reply.

        Raises:
            BrokenStream: it is not complete.
        """

    def add(self, event: ServerSentEvent) -> list[Delta]:
        """What this event adds.

        Raises:
            BrokenStream: it tells of an error, or cannot be read.
        """
        if event.data == "[DONE]":
            self._ended = True
            return []
        try:
            data = json.loads(event.data)
        except ValueError as error:
            raise BrokenStream(f"an event is no JSON: {event.data[:100]!r}") from error
        if not isinstance(data, dict):
            raise BrokenStream(f"an event is no JSON object: {event.data[:100]!r}")
        told = cast("_Json", data)
        try:
            return self._add(str(told.get("type") or event.kind), told)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise BrokenStream(f"an event cannot be read: {event.data[:100]!r}") from error

    @abstractmethod
    def _add(self, kind: str, data: _Json) -> list[Delta]: ...

    @property
    def over(self) -> bool:
        """Whether nothing more of it will come."""
        return self.complete

    def _say(self, text: str) -> list[Delta]:
        if not text:
            return []
        self._said.append(text)
        return [Text(text)]

    def _call(self, key: Any, id: str, tool: str, arguments: str = "") -> list[Delta]:
        """A tool call begins."""
        call = ToolCall(len(self._calls), id, tool, arguments)
        self._calls[key] = call
        return [ToolCall(call.index, id, tool, arguments)]

    def _argue(self, key: Any, arguments: str) -> list[Delta]:
        """The arguments of a tool call go on."""
        call = self._calls[key]
        if not arguments:
            return []
        call.arguments += arguments
        return [ToolCall(call.index, call.id, call.tool, arguments)]


class ChatCompletion(Assembly):
    """Chunks with deltas, which are put together by a rule and not field by field.

    Providers add fields of their own (`reasoning_content`, `annotations`): text is appended,
    lists are joined by `index` where their items have one, whatever else comes last stands.
    """

    _WHOLE: ClassVar = frozenset({"id", "type", "role"})
    """Texts that come in one piece, though some providers repeat them in each."""

    _APART: ClassVar = frozenset({"choices", "obfuscation"})
    """Of a chunk: what does not belong to the head of the completion."""

    def __init__(self) -> None:
        super().__init__()
        self._head: _Json = {}
        self._choices: dict[int, _Json] = {}

    @property
    def complete(self) -> bool:
        """See `Assembly.complete`."""
        choices = self._choices.values()
        return bool(choices) and (self._ended or all(c["finish_reason"] for c in choices))

    @property
    def over(self) -> bool:
        """See `Assembly.over`. Behind the last choice, the usage may come."""
        return self._ended

    def _add(self, kind: str, data: _Json) -> list[Delta]:  # noqa: ARG002  # chunks have no kind
        if data.get("error"):
            raise BrokenStream(_told(data["error"]))
        for name, value in data.items():
            if name not in self._APART and (value is not None or name not in self._head):
                self._head[name] = value
        return [delta for choice in data.get("choices") or () for delta in self._choose(choice)]

    def _choose(self, choice: _Json) -> list[Delta]:
        at = int(choice.get("index") or 0)
        whole = self._choices.setdefault(at, {"message": {}, "finish_reason": None})
        for name, value in choice.items():
            if name == "delta":
                self._merge(whole["message"], value or {})
            elif name == "logprobs" and value and whole.get(name):
                self._merge(whole[name], value)
            elif value is not None or name not in whole:
                whole[name] = value
        return [] if at else self._deltas(choice.get("delta") or {})

    def _deltas(self, delta: _Json) -> list[Delta]:
        """Of the first choice; more than one is asked for by hardly anyone."""
        deltas = self._say(delta.get("content") or "")
        for place, call in enumerate(delta.get("tool_calls") or ()):
            key = call.get("index", place)
            function = call.get("function") or {}
            arguments = function.get("arguments") or ""
            if key in self._calls:
                deltas += self._argue(key, arguments)
            else:
                name = function.get("name") or ""
                deltas += self._call(key, call.get("id") or "", name, arguments)
        return deltas

    def _merge(self, into: _Json, delta: _Json) -> None:
        for name, value in delta.items():
            known = into.get(name)
            if value is None or known is None:
                if name not in into or value is not None:
                    into[name] = self._copied(value)
            elif isinstance(value, str) and isinstance(known, str):
                into[name] = value or known if name in self._WHOLE else known + value
            elif isinstance(value, dict) and isinstance(known, dict):
                self._merge(cast("_Json", known), cast("_Json", value))
            elif isinstance(value, list) and isinstance(known, list):
                self._join(cast("list[Any]", known), cast("list[Any]", value))
            else:
                into[name] = value

    def _join(self, into: list[Any], items: list[Any]) -> None:
        for item in items:
            at = item.get("index") if isinstance(item, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] -- JSON
            same = next((known for known in into if at is not None and known["index"] == at), None)
            if same is None:
                into.append(self._copied(item))
            else:
                self._merge(same, cast("_Json", item))

    def _copied(self, value: Any) -> Any:
        return json.loads(json.dumps(value)) if isinstance(value, dict | list) else value

    def result(self) -> _Json:
        """See `Assembly.result`."""
        if not self.complete:
            raise BrokenStream("it ended before the reply did")
        choices = [self._whole(at, self._choices[at]) for at in sorted(self._choices)]
        return {**self._head, "object": "chat.completion", "choices": choices}

    def _whole(self, at: int, choice: _Json) -> _Json:
        message: _Json = {"role": "assistant", "content": None, **choice["message"]}
        if message.get("tool_calls"):
            # A stream begins with empty text, whether or not any follows.
            message["content"] = message["content"] or None
            for call in message["tool_calls"]:
                call.pop("index", None)
        return {**choice, "index": at, "message": message}


class Response(Assembly):
    """Events of the Responses API, the last of which holds the whole reply."""

    _ENDS: ClassVar = frozenset({"response.completed", "response.incomplete"})

    def __init__(self) -> None:
        super().__init__()
        self._response: _Json | None = None

    @property
    def complete(self) -> bool:
        """See `Assembly.complete`."""
        return self._response is not None

    def _add(self, kind: str, data: _Json) -> list[Delta]:
        if kind == "response.output_text.delta":
            return self._say(data["delta"])
        if kind == "response.function_call_arguments.delta":
            return self._argue(data["output_index"], data["delta"])
        if kind == "response.output_item.added" and data["item"]["type"] == "function_call":
            item = data["item"]
            return self._call(data["output_index"], item["call_id"], item["name"])
        if kind in self._ENDS:
            self._response = data["response"]
        elif kind == "response.failed":
            raise BrokenStream(_told(data["response"].get("error") or "the response failed"))
        elif kind == "error":
            raise BrokenStream(_told(data.get("error") or data))
        return []

    def result(self) -> _Json:
        """See `Assembly.result`."""
        if self._response is None:
            raise BrokenStream("it ended before the reply did")
        return self._response


class Message(Assembly):
    """Events of Anthropic's Messages, which build the message block by block."""

    def __init__(self) -> None:
        super().__init__()
        self._message: _Json = {}
        self._blocks: dict[int, _Json] = {}
        self._inputs: dict[int, list[str]] = {}
        self._stopped = False

    @property
    def complete(self) -> bool:
        """See `Assembly.complete`."""
        return self._stopped

    def _add(self, kind: str, data: _Json) -> list[Delta]:
        match kind:
            case "message_start":
                self._message = dict(data["message"])
            case "content_block_start":
                return self._begin(data["index"], dict(data["content_block"]))
            case "content_block_delta":
                return self._go_on(data["index"], data["delta"])
            case "content_block_stop":
                self._end(data["index"])
            case "message_delta":
                usage: _Json = {**(self._message.get("usage") or {}), **(data.get("usage") or {})}
                self._message |= {**data["delta"], "usage": usage}
            case "message_stop":
                self._stopped = True
            case "error":
                raise BrokenStream(_told(data.get("error") or data))
            case _:
                pass
        return []

    def _begin(self, index: int, block: _Json) -> list[Delta]:
        self._blocks[index] = block
        if block["type"] == "text":
            return self._say(block.get("text") or "")
        if block["type"] == "tool_use":
            return self._call(index, block["id"], block["name"])
        return []

    def _go_on(self, index: int, delta: _Json) -> list[Delta]:
        block = self._blocks[index]
        match delta["type"]:
            case "text_delta":
                block["text"] = block.get("text", "") + delta["text"]
                return self._say(delta["text"])
            case "input_json_delta":
                self._inputs.setdefault(index, []).append(delta["partial_json"])
                return self._argue(index, delta["partial_json"]) if index in self._calls else []
            case "thinking_delta":
                block["thinking"] = block.get("thinking", "") + delta["thinking"]
            case "signature_delta":
                block["signature"] = block.get("signature", "") + delta["signature"]
            case "citations_delta":
                block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
            case _:
                pass
        return []

    def _end(self, index: int) -> None:
        text = "".join(self._inputs.pop(index, ()))
        if text:
            self._blocks[index]["input"] = json.loads(text)

    def result(self) -> _Json:
        """See `Assembly.result`."""
        if not self._stopped or not self._message:
            raise BrokenStream("it ended before the reply did")
        return {**self._message, "content": [self._blocks[at] for at in sorted(self._blocks)]}


_FORMATS: dict[str, type[Assembly]] = {
    "chat.completions": ChatCompletion,
    "responses": Response,
    "anthropic.messages": Message,
}

STREAM_FORMATS = tuple(_FORMATS)
"""The names of the formats."""


def assembly(stream_format: str) -> Assembly:
    """An assembly of this format, with nothing in it yet."""
    return _FORMATS[stream_format]()


def _told(error: Any) -> str:
    """What a provider says of an error, in one line."""
    if not isinstance(error, dict):
        return str(error)[:300]
    told = cast("_Json", error)
    kind, message = told.get("code") or told.get("type") or "error", told.get("message") or ""
    return f"{kind}: {message}"[:300]
