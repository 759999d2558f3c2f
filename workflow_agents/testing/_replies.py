"""What a scripted model answers, as values.

What each API makes of them is in `_chat_wire`, `_responses_wire` and `_messages_wire`.
"""

import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

BrokenKind = Literal["dropped", "truncated", "html", "empty", "nonsense"]

_PIECE = re.compile(r"\S*\s*")
_ARGUMENT_PIECE = 8


@dataclass(frozen=True, slots=True)
class Say:
    """An answer in text.

    Attributes:
        text: what the model says.
        finish_reason: "stop"; "length" or "content_filter" for an answer that was cut off.
        usage: prompt and completion tokens; default: the words of both.
        cached: how many of the prompt tokens the provider had kept.
        reasoning: how many of the completion tokens were thought and not said.
    """

    text: str
    finish_reason: str = "stop"
    usage: tuple[int, int] | None = None
    cached: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class CallTools:
    """A turn that calls tools.

    Attributes:
        calls: names with their arguments; text as arguments is sent as it is, valid or not.
        text: what the model says beside.
        usage: prompt and completion tokens; default: the words of both.
        cached: how many of the prompt tokens the provider had kept.
        reasoning: how many of the completion tokens were thought and not said.
    """

    calls: tuple[tuple[str, Mapping[str, Any] | str], ...]
    text: str | None = None
    usage: tuple[int, int] | None = None
    cached: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Error:
    """An error of the API.

    Attributes:
        status: the HTTP status.
        message: what it says.
        kind: its type.
        code: its code.
        param: the parameter that it means.
        retry_after: seconds, as header.
    """

    status: int
    message: str
    kind: str = "server_error"
    code: str | None = None
    param: str | None = None
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """No usable answer.

    Attributes:
        kind: "dropped": the connection is closed without one. "truncated": its JSON ends in
            the middle. "html": the page of a gateway. "empty": nothing, under status 200.
            "nonsense": JSON that has nothing to do with it, under status 200.
    """

    kind: BrokenKind


@dataclass(frozen=True, slots=True)
class Slow:
    """An answer that takes its time.

    Attributes:
        seconds: how long; the end of the server cuts it short.
        then: what is answered.
    """

    seconds: float
    then: "Reply"


@dataclass(frozen=True, slots=True)
class Sent:
    """How an answer travels. What is said of events holds for streams.

    Attributes:
        then: what is answered.
        pace: seconds between the events.
        held: after `after` events the rest waits until this is set; what is not streamed
            waits as a whole.
        cut: after `after` events the connection breaks; what is not streamed breaks in the
            middle.
        failing: after `after` events the provider reports this, and ends.
        after: how many events arrive before what is said above happens.
    """

    then: "Say | CallTools"
    pace: float = 0.0
    held: threading.Event | None = None
    cut: bool = False
    failing: Error | None = None
    after: int = 3


Reply = Say | CallTools | Error | Broken | Slow | Sent


def as_text(arguments: Mapping[str, Any] | str) -> str:
    """The arguments of a call as models send them."""
    return arguments if isinstance(arguments, str) else json.dumps(arguments)


def pieces(text: str) -> list[str]:
    """A text as it is streamed: word by word."""
    return [piece for piece in _PIECE.findall(text) if piece]


def argument_pieces(text: str) -> list[str]:
    """Arguments as they are streamed: a few characters at a time."""
    return [text[i : i + _ARGUMENT_PIECE] for i in range(0, len(text), _ARGUMENT_PIECE)]


def spent(reply: Say | CallTools, read: int) -> tuple[int, int]:
    """Prompt and completion tokens: as scripted, or the words of both; a call is one word."""
    if reply.usage is not None:
        return reply.usage
    calls = len(reply.calls) if isinstance(reply, CallTools) else 0
    return read, words(reply.text) + calls


def words(content: Any) -> int:
    """A stand-in for tokens: the words of all texts in a piece of a conversation."""
    match content:
        case str():
            return len(content.split())
        case list():
            return sum(words(part) for part in content)  # pyright: ignore[reportUnknownVariableType] -- JSON
        case {"text": text}:
            return words(text)
        case _:
            return 0
