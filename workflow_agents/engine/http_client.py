"""`HttpOut` over aiohttp.

It bounds time, size and headers, follows no redirects, and uses no proxy settings of the
environment. Every engine has one, and most processes send nothing, so what it needs is loaded
when it sends: `exchange`, `dialing`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workflow_agents.engine.egress import EgressPolicy
    from workflow_agents.engine.exchange import Exchange
    from workflow_agents.engine.http_out import HttpRequest, HttpResponse


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

    async def send(self, request: "HttpRequest") -> "HttpResponse":
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
