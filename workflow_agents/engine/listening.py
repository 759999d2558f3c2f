"""One who listens to a run, and one reply that comes about in it: see `streams`.

A reply that nobody listens to costs nothing beyond being read. What was said so far is in its
assembly, so that whoever comes in the middle is told all of it at once, and misses and repeats
nothing. Listeners have bounded buffers: one that is too slow is told of a gap, and then again
what the open replies have said; nobody else waits for it.

Feed entries are not buffered: a mark in the buffer says that there are some, in its place
between the words, and the listener reads them from the store.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workflow_agents.core.stream_events import (
    ReplyEvent,
    StreamEnded,
    StreamGap,
    StreamRestarted,
    StreamStarted,
    TextDelta,
    ToolCallDelta,
)
from workflow_agents.protocol.history import StepKey

if TYPE_CHECKING:
    from workflow_agents.core.assembly import Assembly, Delta
    from workflow_agents.engine.streams import Streams

BUFFERED_EVENTS = 10_000
"""How many events a listener may have before it."""


@dataclass(frozen=True, slots=True)
class Committed:
    """Entries of the run's feed were stored, up to this one."""

    seq: int


EVERYTHING = Committed(2**63 - 1)
"""Whatever is in the feed by now."""

Heard = ReplyEvent | StreamGap | Committed


class Reply:
    """One attempt at a streamed reply, from the head of the answer to its end."""

    def __init__(
        self, streams: "Streams", run: int, step: StepKey, name: str, attempt: int, said: "Assembly"
    ) -> None:
        self.assembly = said
        self._streams = streams
        self._run = run
        self._step = step
        self._name = name
        self._attempt = attempt

    def tell(self, deltas: "Sequence[Delta]") -> None:
        """Pass on what came."""
        listeners = self._streams.listeners(self._run)
        for delta in deltas if listeners else ():
            event = self._event(delta)
            for listener in listeners:
                listener.hear(event)

    def ended(self, *, ok: bool) -> None:
        """Nothing more will come."""
        if self._streams.close_reply(self._run, self._step, self):
            for listener in self._streams.listeners(self._run):
                listener.hear(StreamEnded(self._step, self._name, ok))

    def so_far(self) -> list[ReplyEvent]:
        """All that was said, for somebody who has heard nothing."""
        begins = StreamStarted if self._attempt == 1 else StreamRestarted
        events: list[ReplyEvent] = [begins(self._step, self._name, self._attempt)]
        said = self.assembly.said
        events += [TextDelta(self._step, self._name, said)] if said else []
        return events + [self._event(call) for call in self.assembly.calls]

    def _event(self, delta: "Delta") -> ReplyEvent:
        from workflow_agents.core.assembly import Text

        if isinstance(delta, Text):
            return TextDelta(self._step, self._name, delta.text)
        return ToolCallDelta(
            self._step, self._name, delta.index, delta.id, delta.tool, delta.arguments
        )


class Listener:
    """One who listens to a run.

    Args:
        open_replies: tells what the open replies of the run have said so far.
        limit: of the events before it.
    """

    def __init__(
        self, open_replies: Callable[[], list[ReplyEvent]], limit: int = BUFFERED_EVENTS
    ) -> None:
        self._open_replies = open_replies
        self._limit = limit
        self._heard: deque[Heard] = deque(open_replies())
        self._news = asyncio.Event()

    def hear(self, event: ReplyEvent) -> None:
        """Something was said."""
        if len(self._heard) >= self._limit:
            self._overflow()
        else:
            self._heard.append(event)
        self._news.set()

    def committed(self, seq: int) -> None:
        """Something was stored."""
        if self._heard and isinstance(self._heard[-1], Committed):
            self._heard.pop()
        self._heard.append(Committed(seq))
        self._news.set()

    def wake(self) -> None:
        """Look again, whatever there is."""
        self._news.set()

    async def wait(self) -> None:
        """Until there is something to take, or somebody says that there may be."""
        if not self._heard:
            await self._news.wait()
        self._news.clear()

    def take(self) -> Heard | None:
        """The next thing; None: nothing is there."""
        return self._heard.popleft() if self._heard else None

    def _overflow(self) -> None:
        """Throw away what is before it, and begin anew with the open replies.

        The event that came last is in what they have said so far.
        """
        lost = sum(not isinstance(heard, Committed | StreamGap) for heard in self._heard) + 1
        lost += sum(heard.lost for heard in self._heard if isinstance(heard, StreamGap))
        committed = max((h.seq for h in self._heard if isinstance(h, Committed)), default=None)
        self._heard = deque([StreamGap(lost)])
        if committed is not None:
            self._heard.append(Committed(committed))
        self._heard += self._open_replies()
