"""A request for checkpoints that goes on: batches come as lines of its body, answers go as lines.

What is said of a request (who asks, under which name, by which rate) is looked at once, so a step
costs little more than its frames. A channel is never needed: whatever is said over it may as well
be a request of its own, and is, where there is a proxy that waits for the end of a body.
"""

import asyncio
import logging
from collections.abc import AsyncIterator

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from workflow_agents.core.checkpoint_json import read_batch, write_answer
from workflow_agents.core.checkpoints import CHANNEL
from workflow_agents.engine.checkpoints import Checkpoints
from workflow_agents.errors import WorkflowAgentsError
from workflow_agents.server.answers import refusal
from workflow_agents.server.routing import Call, Endpoint

logger = logging.getLogger(__name__)

IDLE_S = 2.0
"""A channel over which nothing is said for so long is ended; another one opens when needed."""

LIFE_S = 60.0
"""So long a channel lasts at most: a token that was taken back is noticed with the next one."""

_HEADERS = [
    (b"content-type", b"application/x-ndjson"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


async def open_channel(call: Call) -> Response:
    """Answer with a channel, unless requests are counted: then each batch has to be one."""
    if call.server.settings.rate is not None:
        return refusal(409, "requests are counted here: ask for each batch by itself")
    return _Channel(call.engine.wire.checkpoints, call.largest)


class _Channel(Response):
    """The answer; it reads the body of its request while it is sent."""

    def __init__(self, checkpoints: Checkpoints, largest: int) -> None:
        super().__init__()
        self._checkpoints = checkpoints
        self._largest = largest
        self._over = False
        self._patience: asyncio.Timeout | None = None

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """See `Response`."""

        async def say(line: bytes, *, more: bool = True) -> None:
            await send({"type": "http.response.body", "body": line, "more_body": more})

        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        # Whoever sees this knows that nobody on the way waits for the end of either body.
        await say(b"\n")
        self._checkpoints.channels.add(self._end)
        try:
            async for line in self._lines(receive):
                await say(write_answer(await self._checkpoints.take(read_batch(line))) + b"\n")
        except WorkflowAgentsError as error:
            # Said again in a request of its own, it is answered with the error.
            logger.warning("a channel of checkpoints is ended: %s", error)
        finally:
            self._checkpoints.channels.discard(self._end)
        await say(b"", more=False)

    def _end(self) -> None:
        """The engine stops: nothing more is taken."""
        self._over = True
        if self._patience is not None:
            self._patience.reschedule(asyncio.get_running_loop().time())

    async def _lines(self, receive: Receive) -> AsyncIterator[bytes]:
        """The lines that come, until there are no more, or the channel's time is up."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + LIFE_S
        rest = b""
        while loop.time() < ends_at and not self._over:
            try:
                async with asyncio.timeout(IDLE_S) as self._patience:
                    message = await receive()
            except TimeoutError:
                return
            finally:
                self._patience = None
            *lines, rest = (rest + message.get("body", b"")).split(b"\n")
            for line in filter(None, lines):
                yield line
            if len(rest) > self._largest or not message.get("more_body"):
                return


endpoints = (
    Endpoint("POST", CHANNEL, open_channel, "A channel for checkpoints", batch=True, lasts=True),
)
