"""`HttpOut` over httpx2.

It bounds time, size and headers, follows no redirects, and uses no proxy settings of the
environment. Every engine has one, and most processes send nothing, so what it needs is loaded
when it sends.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workflow_agents.engine.http_out import BodyReader, HttpRequest, HttpResponse

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "content-length",
        "host",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


_STREAM_TIMES = 50
"""A stream wraps each word in JSON: so much larger than the reply it may be."""

_LINGER_S = 1.0
"""How long the end of a body is waited for when what it says is known."""


class Httpx2Out:
    """`HttpOut` over httpx2, which is imported with the first request.

    Args:
        max_bytes: of an answer's body, after decompression.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._client: Any = None

    async def send(self, request: "HttpRequest") -> "HttpResponse":
        """See `HttpOut.send`."""
        import httpx2

        from workflow_agents.engine.http_out import NoAnswer

        if self._client is None:
            limits = httpx2.Limits(max_connections=None, max_keepalive_connections=100)
            self._client = httpx2.AsyncClient(
                trust_env=False, follow_redirects=False, limits=limits
            )
        headers = [
            (name.encode(), value.encode())
            for name, value in request.headers.items()
            if name.lower() not in _HOP_BY_HOP
        ]
        try:
            async with asyncio.timeout(request.timeout_ms / 1000):
                return await self._exchange(request, headers)
        except TimeoutError as error:
            raise NoAnswer(f"no answer within {request.timeout_ms / 1000:g} s") from error
        except httpx2.InvalidURL as error:
            raise NoAnswer(f"the address cannot be used: {error}", final=True) from error
        except httpx2.LocalProtocolError as error:
            # Its text quotes what it refuses, which may be a key.
            raise NoAnswer("the request breaks the HTTP protocol", final=True) from error
        except httpx2.HTTPError as error:
            raise NoAnswer(f"{type(error).__name__}: {error}"[:500]) from error

    async def _exchange(
        self, request: "HttpRequest", headers: list[tuple[bytes, bytes]]
    ) -> "HttpResponse":
        from workflow_agents.engine.http_out import HttpResponse

        timeout = request.timeout_ms / 1000
        async with self._client.stream(
            request.method, request.url, headers=headers, content=request.body, timeout=timeout
        ) as answer:
            found: dict[str, list[str]] = {}
            for name, value in answer.headers.multi_items():
                found.setdefault(name.lower(), []).append(value)
            reader = request.reader
            if reader is not None and reader.begins(answer.status_code, found):
                await self._feed(answer, reader)
                return HttpResponse(answer.status_code, found)
            parts = [part async for part in self._parts(answer, self._max_bytes)]
            return HttpResponse(answer.status_code, found, b"".join(parts))

    async def _feed(self, answer: Any, reader: "BodyReader") -> None:
        """Hand on a stream. What comes behind its end is not worth failing for."""
        import httpx2

        known = False
        try:
            async with asyncio.timeout(None) as patience:
                async for part in self._parts(answer, self._max_bytes * _STREAM_TIMES):
                    if not known and reader.feed(part):
                        known = True
                        patience.reschedule(asyncio.get_running_loop().time() + _LINGER_S)
        except (TimeoutError, httpx2.HTTPError):
            if not known:
                raise

    async def _parts(self, answer: Any, max_bytes: int) -> AsyncIterator[bytes]:
        from workflow_agents.engine.http_out import NoAnswer

        size = 0
        async for part in answer.aiter_bytes():
            size += len(part)
            if size > max_bytes:
                text = f"the answer is over the limit of {max_bytes:,} bytes"
                raise NoAnswer(text, final=True)
            yield part

    async def close(self) -> None:
        """See `HttpOut.close`."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None
