"""Reads an answer that is streamed: events in, deltas to who listens, the whole JSON out."""

from collections.abc import Callable
from dataclasses import replace

from workflow_agents.core.assembly import Assembly, BrokenStream, assembly
from workflow_agents.engine.http_out import HttpResponse, NoAnswer
from workflow_agents.engine.listening import Reply
from workflow_agents.protocol.codec import encode
from workflow_agents.protocol.sse import EventParser, EventTooLarge

_OF_THE_STREAM = frozenset({"content-type", "content-length", "content-encoding"})


class StreamReader:
    """Reads the answer to one attempt; see `http_out.BodyReader`.

    Args:
        stream_format: how the reply is written.
        begin: called when it begins.
        max_bytes: of the reply as JSON.
    """

    def __init__(
        self, stream_format: str, begin: Callable[[Assembly], Reply], max_bytes: int
    ) -> None:
        self._assembly = assembly(stream_format)
        self._begin = begin
        self._max_bytes = max_bytes
        self._parser = EventParser()
        self._reply: Reply | None = None

    def begins(self, status: int, headers: dict[str, list[str]]) -> bool:
        """Whether this answer is a stream. A refusal is not, nor is what ignores the request."""
        kind = ",".join(headers.get("content-type", ())).lower()
        if not 200 <= status < 300 or "text/event-stream" not in kind:
            return False
        self._reply = self._begin(self._assembly)
        return True

    def feed(self, received: bytes) -> bool:
        """Take what came.

        Raises:
            NoAnswer: the stream tells of an error, or cannot be read.
        """
        try:
            for event in self._parser.feed(received):
                deltas = self._assembly.add(event)
                if self._reply is not None and deltas:
                    self._reply.tell(deltas)
        except BrokenStream as error:
            raise NoAnswer(f"the stream broke off: {error}") from error
        except EventTooLarge as error:
            raise NoAnswer(str(error), final=True) from error
        return self._assembly.over

    def whole(self, answer: HttpResponse) -> HttpResponse:
        """The answer as it is without streaming.

        Raises:
            NoAnswer: the stream has ended too soon, or is too large.
        """
        if self._reply is None:
            # Whoever makes requests in memory gives the body in one piece.
            if not self.begins(answer.status, answer.headers):
                return answer
            self.feed(answer.body)
        try:
            body = encode(self._assembly.result())
        except BrokenStream as error:
            raise NoAnswer(f"the stream broke off: {error}") from error
        if len(body) > self._max_bytes:
            raise NoAnswer(f"the answer is over the limit of {self._max_bytes:,} bytes", final=True)
        kept = {n: v for n, v in answer.headers.items() if n not in _OF_THE_STREAM}
        return replace(answer, body=body, headers={**kept, "content-type": ["application/json"]})

    def ended(self, *, ok: bool) -> None:
        """Tell who listens, once."""
        if self._reply is not None:
            self._reply.ended(ok=ok)
