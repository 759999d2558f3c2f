"""Follows the stream of events of our own server, and comes back to it where it breaks off."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from workflow_agents.core.feed_events import CLOSING, END, ENTRY, OPEN
from workflow_agents.core.workflow_events import WorkflowEvent
from workflow_agents.errors import RemoteError
from workflow_agents.protocol.codec import decode
from workflow_agents.protocol.sse import EventParser, ServerSentEvent

if TYPE_CHECKING:
    from workflow_agents.qstash.connection import Connection

logger = logging.getLogger(__name__)

PATH = "/v2/workflows/stream"
_SILENCE_S = 60.0
"""A server shows that it lives more often than this."""

_AGAIN_S = 1.0
_RETRIES = 5
"""How often in a row it is asked in vain."""


async def follow(
    connection: "Connection", run_id: str | None, label: str | None, after: int | None
) -> AsyncIterator[WorkflowEvent]:
    """What happens, until the run has ended; without a run, until nobody listens any more.

    Raises:
        RemoteError: WA303, the server refuses it, or cannot be reached for a while.
    """
    position, failures = after, 0
    while True:
        try:
            async for event in _once(connection, run_id, label, position):
                failures = 0
                if event.kind == OPEN:
                    position = decode(event.data.encode())["position"]
                elif event.kind == ENTRY:
                    told = WorkflowEvent.from_json(decode(event.data.encode()))
                    position = told.seq
                    yield told
                elif event.kind == END:
                    return
                elif event.kind == CLOSING:
                    break
        except RemoteError as error:
            failures += 1
            if error.status in range(400, 500) or failures > _RETRIES:
                raise
            logger.warning("a stream of events broke off: %s", error)
        await asyncio.sleep(_AGAIN_S)


async def _once(
    connection: "Connection", run_id: str | None, label: str | None, after: int | None
) -> AsyncIterator[ServerSentEvent]:
    query = {"workflowRunId": run_id, "label": label, "after": after}
    given = urlencode({name: value for name, value in query.items() if value is not None})
    parser, ended = EventParser(), False
    async for part in connection.stream(f"{PATH}?{given}", _SILENCE_S):
        for event in parser.feed(part):
            ended = event.kind == END
            yield event
    if not ended and not parser.has_begun:
        # 204: the run has ended, and there is nothing behind what is known.
        yield ServerSentEvent(END, "{}")
