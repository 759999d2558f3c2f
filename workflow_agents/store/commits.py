"""Group commit: changes that are submitted in one turn of the event loop share a transaction.

A lone change is committed on the loop's own thread, at the end of the turn: a hop to another
thread would cost more than a fast disk does. Where the disk is slow, the batch goes to a
writer thread, so that the loop is not held up; what is submitted meanwhile makes the next
batch. Outcomes are told in the order of submission either way.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from workflow_agents.store.changes import Applied, Broken, Change, Outcome, Refused
from workflow_agents.store.interface import Store

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

logger = logging.getLogger(__name__)

Told = Callable[[Outcome], None]
Committed = Callable[[Sequence[Change], Sequence[Outcome]], None]

_SLOW_COMMIT_S = 0.002
"""A commit that takes longer on average is worth a thread."""

_WEIGHT = 0.1


class Commits:
    """The one way by which changes reach the store.

    Args:
        store: applies the batches.
        inline: never use a thread; for simulations, and stores in memory.
        news: hears of changes that woke runs, in the order of recording, before anyone else.
        committed: called after each batch.

    Attributes:
        measured: hears how many changes a batch had, and how many seconds it took; for metrics.
    """

    def __init__(
        self,
        store: Store,
        *,
        inline: bool = False,
        news: Callable[[Applied], None] | None = None,
        committed: Committed | None = None,
    ) -> None:
        self.measured: Callable[[int, float], None] | None = None
        self._store = store
        self._inline = inline
        self._news = news
        self._committed = committed
        self._loop = asyncio.get_running_loop()
        self._pending: list[tuple[Change, Told]] = []
        self._scheduled = False
        self._writing = False
        self._commit_s = 0.0
        self._thread: ThreadPoolExecutor | None = None
        self._drained: asyncio.Future[None] | None = None

    def submit(self, change: Change, told: Told) -> None:
        """Commit the change with others of this turn; `told` hears what became of it."""
        self._pending.append((change, told))
        if not self._scheduled and not self._writing:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def apply(
        self, change: Change, stored: Callable[[], None] | None = None
    ) -> "asyncio.Future[Outcome]":
        """The same, to be awaited; `stored` is called at once when it is durable."""
        future: asyncio.Future[Outcome] = self._loop.create_future()

        def told(outcome: Outcome) -> None:
            if stored is not None and type(outcome) is Applied:
                stored()
            if not future.done():
                future.set_result(outcome)

        self.submit(change, told)
        return future

    async def store(self, change: Change) -> Applied | Refused:
        """The same, for whoever can do nothing about a store that cannot be written.

        Raises:
            StoreError: nothing was stored.
        """
        outcome = await self.apply(change)
        if isinstance(outcome, Broken):
            raise outcome.error
        return outcome

    @property
    def busy(self) -> bool:
        """Whether something was submitted and is not told yet."""
        return bool(self._pending) or self._writing

    async def drain(self) -> None:
        """Wait until everything that was submitted is told."""
        while self._pending or self._writing:
            self._drained = self._loop.create_future()
            await self._drained
        if self._thread is not None:
            self._thread.shutdown()

    def _flush(self) -> None:
        self._scheduled = False
        batch, self._pending = self._pending, []
        changes = [change for change, _ in batch]
        if self._inline or self._commit_s < _SLOW_COMMIT_S:
            began = self._loop.time()
            outcomes = self._apply(changes)
            self._tell(batch, outcomes, self._loop.time() - began)
        else:
            self._writing = True
            if self._thread is None:
                from concurrent.futures import ThreadPoolExecutor

                self._thread = ThreadPoolExecutor(1, thread_name_prefix="workflow-writer")
            self._thread.submit(self._write, batch, changes)

    def _write(self, batch: list[tuple[Change, Told]], changes: list[Change]) -> None:
        began = self._loop.time()
        outcomes = self._apply(changes)
        took = self._loop.time() - began
        self._loop.call_soon_threadsafe(self._tell, batch, outcomes, took)

    def _apply(self, changes: list[Change]) -> list[Outcome]:
        try:
            return self._store.apply(changes)
        except Exception as error:  # whatever it is, everyone who waits has to hear
            logger.exception("the store raised something unexpected")
            return [Broken(error) for _ in changes]

    def _tell(self, batch: list[tuple[Change, Told]], outcomes: list[Outcome], took: float) -> None:
        self._writing = False
        if self.measured is not None:
            self.measured(len(batch), took)
        self._commit_s += (took - self._commit_s) * _WEIGHT
        for (_, told), outcome in zip(batch, outcomes, strict=True):
            try:
                if self._news is not None and type(outcome) is Applied and outcome.woken:
                    self._news(outcome)
                told(outcome)
            except Exception:
                logger.exception("what follows a commit raised")
        if self._committed is not None:
            self._committed([change for change, _ in batch], outcomes)
        if self._pending and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)
        elif self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
