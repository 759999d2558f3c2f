"""Server-sent events: from bytes, as they arrive in pieces of any size, to events.

What is kept is bounded: an event that grows over the limit is refused, not collected. Of the
fields, `event` and `data` are read; `id` and `retry` are for clients that reconnect, which a
durable step does by its own policy.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from typing import NamedTuple

MAX_EVENT_BYTES = 4 * 2**20
"""Of one event, its field names and line ends included."""

_BOM = b"\xef\xbb\xbf"


class ServerSentEvent(NamedTuple):
    """One event; `kind` is "message" where the stream does not name it."""

    kind: str
    data: str


class EventTooLarge(ValueError):
    """An event has grown over the limit."""


class EventParser:
    """Reads one stream.

    Args:
        max_bytes: of one event.
    """

    def __init__(self, max_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_bytes = max_bytes
        self._line = bytearray()
        self._after_return = False
        self._began = False
        self._kind = ""
        self._data: list[str] = []
        self._size = 0

    @property
    def has_begun(self) -> bool:
        """Whether a line has come."""
        return self._began

    def feed(self, received: bytes) -> list[ServerSentEvent]:
        """The events that these bytes complete.

        Raises:
            EventTooLarge: one of them is too large; the stream cannot be read on.
        """
        if not received:
            return []
        if self._after_return:
            # A line may end in "\r\n"; its end was taken at the "\r".
            received = received.removeprefix(b"\n")
        self._after_return = received.endswith(b"\r")
        *ended, rest = received.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        events: list[ServerSentEvent] = []
        for part in ended:
            self._line += part
            event = self._end_line()
            if event is not None:
                events.append(event)
        self._line += rest
        self._check_size(len(self._line))
        return events

    def _end_line(self) -> ServerSentEvent | None:
        line = bytes(self._line)
        self._line.clear()
        if not self._began:
            line, self._began = line.removeprefix(_BOM), True
        if not line:
            return self._end_event()
        self._check_size(len(line))
        self._size += len(line) + 1
        name, _, value = line.partition(b":")
        text = value.removeprefix(b" ").decode("utf-8", "replace")
        if name == b"data":
            self._data.append(text)
        elif name == b"event":
            self._kind = text
        return None

    def _end_event(self) -> ServerSentEvent | None:
        """An empty line: what was collected is an event, if it has data."""
        kind, data = self._kind or "message", self._data
        self._kind, self._data, self._size = "", [], 0
        return ServerSentEvent(kind, "\n".join(data)) if data else None

    def _check_size(self, more: int) -> None:
        if self._size + more > self._max_bytes:
            raise EventTooLarge(f"an event of the stream is over {self._max_bytes:,} bytes")
