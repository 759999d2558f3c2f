"""Outbound HTTP: the only way by which the engine reaches other machines.

`HttpOut` is the seam at which simulations and tests put their own; the real one is in
`http_client`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from workflow_agents.errors import WorkflowAgentsError


class BodyReader(Protocol):
    """Reads the body of an answer while it arrives."""

    def begins(self, status: int, headers: dict[str, list[str]]) -> bool:
        """The head has come. True: the body is given to `feed`, and is not kept."""
        ...

    def feed(self, received: bytes) -> bool:
        """More of the body has come. True: what is to be known of it is known.

        Raises:
            NoAnswer: it cannot be used.
        """
        ...


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as it is sent.

    Attributes:
        method: in upper case.
        url: http or https.
        headers: as they are sent.
        body: as it is sent.
        timeout_ms: until the end of the answer.
        reader: is offered the body as it arrives. Whoever answers in memory may leave it
            alone and give the whole body.
        may_repeat: asked before it is sent once more because a kept connection turned out to be
            closed; None: it may.
    """

    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    timeout_ms: int
    reader: BodyReader | None = None
    may_repeat: Callable[[], bool] | None = None


class Timing(NamedTuple):
    """How long the parts of an exchange took, in milliseconds.

    Attributes:
        connect: until there was a connection, name and TLS included; None: one was kept.
        first: from then until the head of the answer.
        body: from then until its end.
    """

    connect: int | None
    first: int
    body: int

    def told(self) -> dict[str, int]:
        """As it is recorded."""
        kept = {} if self.connect is None else {"connect": self.connect}
        return {**kept, "first": self.first, "body": self.body}


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An answer as it was received; header names in lower case.

    Attributes:
        timing: how long it took; None: whoever answered does not know.
    """

    status: int
    headers: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    body: bytes = b""
    timing: Timing | None = None


class NoAnswer(Exception):
    """No usable answer came; the text says why.

    Attributes:
        final: it will not come another time.
        error: says it in full, where the user has to act.
        unsent: nobody was reached, and so nobody has begun anything.
    """

    def __init__(
        self,
        reason: str,
        *,
        final: bool = False,
        error: WorkflowAgentsError | None = None,
        unsent: bool = False,
    ) -> None:
        super().__init__(reason)
        self.final = final
        self.error = error
        self.unsent = unsent


class HttpOut(Protocol):
    """Sends requests."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send it once.

        Raises:
            NoAnswer: no answer, or one that cannot be used.
        """
        ...

    async def close(self) -> None:
        """Close its connections."""
        ...
