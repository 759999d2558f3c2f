"""The table of routes that every room of the server adds to, and what a handler is given.

A room exports `endpoints`, a tuple of `Endpoint`. `app` makes routes of them, `openapi` a
document. A handler gets a `Call`, asks the engine, and returns an answer; errors of ours that
it raises become answers by themselves.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from workflow_agents.engine.engine import DurableEngine
from workflow_agents.errors import LimitError, StepUsageError
from workflow_agents.protocol.codec import Undecodable, decode, is_deeper
from workflow_agents.server.destinations import Target
from workflow_agents.server.settings import Account, ServerSettings

if TYPE_CHECKING:
    from workflow_agents.operations.metrics import Metrics

MAX_JSON_DEPTH = 64


class TooSlow(Exception):
    """The body did not come in time."""


@dataclass(frozen=True, slots=True)
class Server:
    """What the handlers share; `keys` and such are asked of the engine."""

    engine: DurableEngine
    settings: ServerSettings
    metrics: "Metrics | None" = None
    """None: prometheus-client is not installed."""


@dataclass(slots=True)
class Call:
    """One request, as a handler sees it.

    Attributes:
        server: the engine and the settings.
        account: whose token it carries; of a public endpoint: None.
        target: path and query as they came.
        headers: names in lower case, in order.
    """

    server: Server
    request: Request
    account: Account | None
    target: Target
    headers: list[tuple[str, str]]
    largest: int

    @property
    def engine(self) -> DurableEngine:
        """The engine that is asked."""
        return self.server.engine

    @property
    def query(self) -> dict[str, list[str]]:
        """The query, each name with its values."""
        return self.target.parameters

    def parameter(self, name: str) -> str:
        """A part of the path that the route names, decoded."""
        return str(self.request.path_params[name])

    @property
    def caller_ip(self) -> str | None:
        """Where the request came from."""
        return self.request.client.host if self.request.client else None

    async def body(self) -> bytes:
        """The body.

        Raises:
            LimitError: WA501; what is over the limit is not read.
            TooSlow: it does not come.
        """
        told = self.request.headers.get("content-length", "")
        if told.isascii() and told.isdigit() and (len(told) > 18 or int(told) > self.largest):
            raise _too_large(told, self.largest)
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.server.settings.body_seconds):
                async for part in self.request.stream():
                    size += len(part)
                    if size > self.largest:
                        raise _too_large(f"more than {self.largest}", self.largest)
                    parts.append(part)
        except TimeoutError:
            raise TooSlow from None
        return b"".join(parts)

    async def json(self, default: Any = None) -> Any:
        """The body as JSON; the default where it is empty.

        Raises:
            StepUsageError: WA204, it is not JSON, or nested deeper than is read.
            LimitError: WA501.
            TooSlow: it does not come.
        """
        data = await self.body()
        return default if not data.strip() else read_json(data)


def read_json(data: bytes) -> Any:
    """JSON of a client.

    Raises:
        StepUsageError: WA204, it is not JSON, or nested deeper than is read.
    """
    if is_deeper(data, MAX_JSON_DEPTH):
        raise _not_json(f"it is nested more than {MAX_JSON_DEPTH} deep, or never ends")
    try:
        return decode(data)
    except Undecodable as error:
        raise _not_json(error.reason) from None


def _not_json(reason: str) -> StepUsageError:
    return StepUsageError(
        "WA204",
        "the body is not JSON that can be read",
        where="the body",
        found=reason,
        why="this endpoint takes JSON",
        fix=("send JSON",),
    )


def _too_large(found: str, largest: int) -> LimitError:
    return LimitError(
        "WA501",
        "the body is over the limit",
        where="the body",
        found=f"expected at most {largest} bytes, found {found}",
    )


Handler = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One row of the table.

    Attributes:
        method: or several, with a space between them.
        path: with parameters in braces; "{name:path}" takes the rest of the path.
        handle: answers.
        summary: one line.
        public: no token is needed.
        batch: its body may be as large as a batch's.
        foreign: web pages of any origin may call it.
        lasts: it is answered when there are news; how long that takes says nothing of the server.
    """

    method: str
    path: str
    handle: Handler
    summary: str
    public: bool = False
    batch: bool = False
    foreign: bool = False
    lasts: bool = False

    @property
    def methods(self) -> tuple[str, ...]:
        """Each by itself."""
        return tuple(self.method.split())
