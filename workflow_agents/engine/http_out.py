"""Outbound HTTP: the only way by which the engine reaches other machines.

`HttpOut` is the seam at which simulations and tests put their own. The real one bounds time,
size and headers, follows no redirects, and uses no proxy settings of the environment.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from workflow_agents.errors import WorkflowAgentsError

if TYPE_CHECKING:
    from workflow_agents.engine.egress import EgressPolicy
    from workflow_agents.engine.exchange import Exchange


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
    """

    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    timeout_ms: int
    reader: BodyReader | None = None


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An answer as it was received; header names in lower case."""

    status: int
    headers: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    body: bytes = b""


class NoAnswer(Exception):
    """No usable answer came; the text says why.

    Attributes:
        final: it will not come another time.
        error: says it in full, where the user has to act.
    """

    def __init__(
        self, reason: str, *, final: bool = False, error: WorkflowAgentsError | None = None
    ) -> None:
        super().__init__(reason)
        self.final = final
        self.error = error


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


class AiohttpOut:
    """`HttpOut` over aiohttp, which is imported with the first request.

    Args:
        max_bytes: of an answer's body, before decompression and after it.
        policy: whom it may call; default: everybody.
        connect_ms: until there is a connection, name and TLS included.
    """

    def __init__(
        self, max_bytes: int, policy: "EgressPolicy | None" = None, *, connect_ms: int = 10_000
    ) -> None:
        self._max_bytes = max_bytes
        self._policy = policy
        self._connect_ms = connect_ms
        self._exchange: Exchange | None = None

    async def send(self, request: HttpRequest) -> HttpResponse:
        """See `HttpOut.send`."""
        if self._exchange is None:
            from workflow_agents.engine.exchange import Exchange

            self._exchange = Exchange(self._max_bytes, self._policy, self._connect_ms)
        return await self._exchange.send(request)

    async def close(self) -> None:
        """See `HttpOut.close`."""
        if self._exchange is not None:
            exchange, self._exchange = self._exchange, None
            await exchange.close()
