"""Those who follow the feed, and the one reader of the store that tells them all.

After a commit the broadcast reads what is new in the feed once, writes each entry once, and
hands it to whoever follows the run, its label, or everything. Nobody polls, and what a thousand
readers have before them are the same bytes.

Each has a bounded buffer. One that is full is thrown away, and its reader is *behind*: it reads
the feed from the store, a page at a time, until it has caught up. So a reader who is slow, or
comes back, misses nothing and is told nothing twice; and one that is frozen costs nothing.
"""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from workflow_agents.core.feed_events import ENTRY, FeedEvent, frame, mark, outline, words_frame
from workflow_agents.core.lifecycle import is_ended
from workflow_agents.core.stream_events import ReplyEvent, StreamEnded, StreamGap
from workflow_agents.errors import LimitError, StoreError
from workflow_agents.protocol.history import EntryKind

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine

logger = logging.getLogger(__name__)

MOST_READERS = 10_000
BUFFERED_BYTES = 256 * 1024
"""What one reader may have before it."""

_LEAST_BYTES = 250
_GATHER_S = 0.02
"""How long commits are gathered before they are read; nobody sees the difference."""

_PAGE = 200
_AGAIN_S = 1.0
_KNOWN_LABELS = 10_000
Watcher = Callable[[FeedEvent], None]
_ENDS = frozenset({EntryKind.RUN_SUCCESS, EntryKind.RUN_FAILED, EntryKind.RUN_CANCELED})


class Told:
    """An entry, as all who are told of it share it; written when first asked for.

    Attributes:
        event: the entry.
        size: about how many bytes it takes.
    """

    def __init__(self, event: FeedEvent, message_id: str | None) -> None:
        self.event = event
        self.size = _LEAST_BYTES + len(event.data or b"")
        self._message_id = message_id

    @cached_property
    def json(self) -> dict[str, Any]:
        """As JSON; nobody changes it."""
        return self.event.to_json(self._message_id)

    @cached_property
    def frame(self) -> bytes:
        """As a stream has it."""
        return frame(ENTRY, self.json, self.event.seq)

    @cached_property
    def outline(self) -> bytes:
        """The same for a visitor; of what is none of his business, only its place."""
        told = outline(self.json)
        return mark(self.event.seq) if told is None else frame(ENTRY, told, self.event.seq)


class Broadcast:
    """See the module.

    Attributes:
        position: the place of the last entry that was told.
        reads: how many pages it has read.
        closed: why nobody may follow any more; "": they may.
    """

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine
        self._readers: set[Subscription] = set()
        self._by_topic: dict[int | str | None, set[Subscription]] = {}
        self._labels: OrderedDict[int, tuple[str, ...]] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        self._watchers: list[tuple[Watcher, Callable[[], Awaitable[None]]]] = []
        self.position = 0
        self.reads = 0
        self.closed = ""

    def __len__(self) -> int:
        """How many follow."""
        return len(self._readers)

    def __iter__(self) -> "Iterator[Subscription]":
        """Each who follows."""
        return iter([*self._readers])

    def begin(self) -> None:
        """The engine starts: what is stored by now is nobody's news."""
        self.closed = ""
        self.position = self._engine.store.overview.last_seq()

    def watch(self, told: "Watcher", finish: "Callable[[], Awaitable[None]]") -> None:
        """Call `told` with each entry from now on, and `finish` before the store is closed."""
        if self._engine.running and not self._readers and not self._watchers:
            self.position = self._engine.store.overview.last_seq()
        self._watchers.append((told, finish))

    async def finish(self) -> None:
        """Tell the last entries to those who watch, and wait until they are done with them."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._watchers:
            self.read()
            for _, finish in self._watchers:
                await finish()

    def subscribe(
        self,
        *,
        run: int | None = None,
        label: str | None = None,
        after: int | None = None,
        words: bool = False,
    ) -> "Subscription":
        """Follow a run, the runs with a label, or everything.

        Args:
            run: its row.
            label: of runs.
            after: the last entry that is known already; None: a run from its beginning, anything
                else from now on.
            words: also what is said in the replies of the run while it is said.

        Raises:
            LimitError: WA506, too many follow.
            StoreError: WA111, the engine stops.
        """
        if self.closed:
            raise StoreError("WA111", found=self.closed)
        if len(self._readers) >= MOST_READERS:
            found = f"expected at most {MOST_READERS} streams, found as many"
            raise LimitError("WA506", found=found)
        newest = self._engine.store.overview.last_seq()
        if not self._readers and not self._watchers:
            self.position = newest
        if after is None:
            after = 0 if run is not None else newest
        subscription = Subscription(self, self._engine, run, label, min(after, newest), words)
        self._readers.add(subscription)
        self._by_topic.setdefault(subscription.topic, set()).add(subscription)
        return subscription

    def leave(self, subscription: "Subscription") -> None:
        """It follows no more."""
        self._readers.discard(subscription)
        of_topic = self._by_topic.get(subscription.topic)
        if of_topic is not None:
            of_topic.discard(subscription)
            if not of_topic:
                del self._by_topic[subscription.topic]

    def committed(self) -> None:
        """The feed may have grown."""
        if self._timer is None and (self._readers or self._watchers):
            self._timer = self._engine.loop.call_later(_GATHER_S, self._read_soon)

    def _read_soon(self) -> None:
        self._timer = None
        try:
            self.read()
        except StoreError as error:
            logger.error("the feed cannot be read now: %s", error)
            self._timer = self._engine.loop.call_later(_AGAIN_S, self._read_soon)

    def read(self) -> int:
        """Tell all what is new by now; the place of the last entry that they know.

        Raises:
            StoreError: the store cannot be read.
        """
        if self._readers or self._watchers:
            full = True
            while full:
                page = self._engine.store.overview.events(
                    run=None, label=None, after=self.position, limit=_PAGE
                )
                self.reads += 1
                for event in page:
                    self._tell(event)
                full = len(page) == _PAGE
        return self.position

    def told(self, event: FeedEvent) -> Told:
        """An entry that is to be told."""
        if not event.message or "wire" not in vars(self._engine):
            return Told(event, None)
        return Told(event, self._engine.wire.messages.id_of(event.message))

    def close(self, reason: str) -> None:
        """End all of them; each is told what there is before."""
        if self.closed:
            return
        self.closed = reason
        for subscription in self:
            subscription.wake()

    def _tell(self, event: FeedEvent) -> None:
        self.position = event.seq
        for watcher, _ in self._watchers:
            try:
                watcher(event)
            except Exception:  # whoever looks on must not keep others from being told
                logger.exception("who watches the feed raised")
        if not self._readers:
            return
        told = self.told(event)
        topics: list[int | str | None] = [None]
        if event.run:
            topics.append(event.run)
            topics += self._labels_of(event.run)
        for topic in topics:
            for subscription in self._by_topic.get(topic, ()):
                subscription.tell(told)

    def _labels_of(self, run: int) -> tuple[str, ...]:
        """Those of a run never change."""
        if not any(isinstance(topic, str) for topic in self._by_topic):
            return ()
        known = self._labels.get(run)
        if known is None:
            known = self._labels[run] = self._engine.store.labels(run)
            if len(self._labels) > _KNOWN_LABELS:
                self._labels.popitem(last=False)
        return known


class Subscription:
    """One who follows. What is heard is taken in order, as a stream has it.

    Attributes:
        topic: the row of a run, a label, or None for everything.
        position: the place of the last entry that was taken or is none of its own; who comes
            back with it misses nothing.
        over: the run has ended, and all of it was taken.
        buffered: bytes before it.
    """

    def __init__(
        self,
        broadcast: Broadcast,
        engine: "DurableEngine",
        run: int | None,
        label: str | None,
        after: int,
        words: bool,
    ) -> None:
        self.topic = label if run is None else run
        self.position = after
        self.buffered = 0
        self._broadcast = broadcast
        self._engine = engine
        self._run = run
        self._label = label
        # What is said is here as it is written; of what happened, what all share.
        self._buffer: deque[Told | bytes] = deque()
        self._behind = True
        self._ended = False
        self._news = asyncio.Event()
        self._begun = False
        self._lost = 0
        self._words = words and run is not None
        if self._words and run is not None:
            engine.streams.join(run, self)
        if run is not None:
            row = engine.store.run(run)
            self._ended = row is None or is_ended(row.phase)

    def close(self) -> None:
        """Follow no more."""
        self._broadcast.leave(self)
        if self._words and self._run is not None:
            self._engine.streams.part(self._run, self)

    # What it is told.

    def tell(self, told: Told) -> None:
        """Something happened."""
        seq = told.event.seq
        if not self._behind and seq > self.position:
            self._ended = self._ended or (self._run is not None and told.event.kind in _ENDS)
            self._put(told, told.size)
        self._news.set()

    def hear(self, event: ReplyEvent) -> None:
        """Something is said. What was stored before it comes before it.

        Of a reply that has ended, the entry is just being stored: it comes behind.
        """
        try:
            if not isinstance(event, StreamEnded):
                self._broadcast.read()
        except StoreError:
            self._fall_behind()
        if not self._behind:
            words = words_frame(event)
            self._put(words, len(words))
        elif self._begun:
            self._lost += 1
        self._news.set()

    def committed(self, seq: int) -> None:
        """The broadcast tells of it."""

    def wake(self) -> None:
        """Look again."""
        self._news.set()

    def _put(self, heard: Told | bytes, size: int) -> None:
        if self.buffered + size > BUFFERED_BYTES:
            self._fall_behind()
            self._lost += isinstance(heard, bytes)
            return
        self._buffer.append(heard)
        self.buffered += size

    def _fall_behind(self) -> None:
        self._lost += sum(isinstance(heard, bytes) for heard in self._buffer)
        self._buffer.clear()
        self.buffered = 0
        self._behind = True

    # What it takes.

    async def wait(self, seconds: float) -> bool:
        """Wait until there may be something to take; False: it took too long."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    def take(self, *, outlined: bool = False) -> list[bytes]:
        """What it has heard, in order; nothing, if there is nothing new.

        Args:
            outlined: as visitors are told.

        Raises:
            StoreError: the store cannot be read.
        """
        return [
            heard if isinstance(heard, bytes) else heard.outline if outlined else heard.frame
            for heard in self._take()
        ]

    def take_told(self) -> list[dict[str, Any]]:
        """The same as JSON; of what is said in replies, nothing."""
        return [heard.json for heard in self._take() if isinstance(heard, Told)]

    def _take(self) -> "list[Told | bytes]":
        self._news.clear()
        if self._behind:
            return self._catch_up()
        heard = [*self._buffer]
        # Whatever the broadcast has told up to now was either here or none of its own.
        self.position = max(self.position, self._broadcast.position)
        self._buffer.clear()
        self.buffered = 0
        return heard

    @property
    def over(self) -> bool:
        """See the class."""
        return self._ended and not self._behind and not self._buffer

    def _catch_up(self) -> list[Told | bytes]:
        known = self._broadcast.read()
        page = self._engine.store.overview.events(
            run=self._run, label=self._label, after=self.position, limit=_PAGE
        )
        heard: list[Told | bytes] = [self._broadcast.told(event) for event in page]
        if page:
            self.position = page[-1].seq
            self._ended = self._ended or (
                self._run is not None and any(event.kind in _ENDS for event in page)
            )
        if len(page) == _PAGE:
            self._news.set()
            return heard
        # All that the others know was committed before this page was read.
        self.position = max(self.position, known)
        self._behind = False
        if self._words and self._run is not None:
            if self._lost and self._begun:
                heard.append(words_frame(StreamGap(self._lost)))
            self._lost = 0
            heard += map(words_frame, self._engine.streams.so_far(self._run))
        self._begun = True
        return heard
