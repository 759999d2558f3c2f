"""A request to our own server that goes on: a batch is a line of its body, the answer another.

It spares the head of a request for each step. Whether it works depends on who is between: a proxy
may wait for the end of a body before it hands it on. So it is opened beside the requests that go
on meanwhile, and used once the server was heard over it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aiohttp

PATIENCE_S = 10.0
"""How long an answer may take before the channel is given up."""


class Channel:
    """One such request, once the server has answered it.

    Attributes:
        broken: an answer did not come, though the request did not end: do not use another one.
    """

    def __init__(self, answer: aiohttp.ClientResponse, out: "asyncio.Queue[bytes | None]") -> None:
        self._answer = answer
        self._out = out
        self._received = b""
        self.broken = False

    @classmethod
    async def open(
        cls, session: aiohttp.ClientSession, url: str, headers: dict[str, str]
    ) -> "Channel | None":
        """Open one; None: there is none to be had."""
        out: asyncio.Queue[bytes | None] = asyncio.Queue()
        async with AsyncExitStack() as opening:
            opening.callback(out.put_nowait, None)
            try:
                answer = await session.post(
                    url,
                    data=_body(out),
                    headers=headers,
                    timeout=aiohttp.ClientTimeout(),
                    allow_redirects=False,
                )
                channel = cls(answer, out)
                opening.callback(channel.close)
                if answer.status == 200 and await channel._line() is not None:
                    opening.pop_all()
                    return channel
            except (aiohttp.ClientError, OSError):
                pass
        return None

    async def exchange(self, batch: bytes) -> bytes | None:
        """Say it; what is answered. None: the channel has ended, and it may not have been heard."""
        self._out.put_nowait(batch + b"\n")
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._line()
        except TimeoutError:
            self.broken = True
        except (aiohttp.ClientError, OSError):
            pass
        return None

    async def _line(self) -> bytes | None:
        while b"\n" not in self._received:
            received = await self._answer.content.readany()
            if not received:
                return None
            self._received += received
        line, _, self._received = self._received.partition(b"\n")
        return line

    def close(self) -> None:
        """End it."""
        self._out.put_nowait(None)
        self._answer.close()


async def _body(out: "asyncio.Queue[bytes | None]") -> AsyncIterator[bytes]:
    yield b"\n"  # the client sends the head of a request with the first part of its body
    while (line := await out.get()) is not None:
        yield line
