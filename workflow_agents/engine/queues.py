"""Queues: messages that go out one after the other, a few at a time. Source: protocol 6.3."""

from typing import TYPE_CHECKING

from workflow_agents.core.checks import checked_name
from workflow_agents.errors import ConfigurationError, NotFound
from workflow_agents.store.changes import Applied, Change, Op
from workflow_agents.store.resource_changes import DropQueue, PauseQueue, SetQueue
from workflow_agents.store.resource_rows import QueueRow

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine

MOST_PARALLEL = 10_000


class Queues:
    """See the module."""

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine

    def all(self) -> list[QueueRow]:
        """All queues, by name."""
        return self._engine.store.messages.queues()

    def get(self, name: str) -> QueueRow:
        """A queue.

        Raises:
            NotFound: WA611.
        """
        row = self._engine.store.messages.queue(name)
        if row is None:
            raise _no_queue(name)
        return row

    async def put(
        self, name: str, *, parallelism: int | None = None, paused: bool | None = None
    ) -> None:
        """Make a queue, or change one; what is None stays as it is. Durable when this returns.

        Raises:
            ConfigurationError: WA102.
        """
        checked_name("the name of a queue", name)
        if parallelism is not None and not 1 <= parallelism <= MOST_PARALLEL:
            raise ConfigurationError(
                "WA102",
                f"the parallelism of a queue is a whole number from 1 to {MOST_PARALLEL}",
                found=f"parallelism={parallelism}",
            )
        await self._store(SetQueue(name, parallelism, paused, self._engine.clock.now_ms()))

    async def pause(self, name: str, *, paused: bool) -> None:
        """Begin no delivery of a queue, or go on.

        Raises:
            NotFound: WA611.
        """
        if not await self._store(PauseQueue(name, paused, self._engine.clock.now_ms())):
            raise _no_queue(name)

    async def delete(self, name: str) -> None:
        """Remove a queue. What waits in it is cancelled; what is on its way, goes on.

        So do runs whose messages waited in it.

        Raises:
            NotFound: WA611.
        """
        if not await self._store(DropQueue(name, self._engine.clock.now_ms())):
            raise _no_queue(name)

    async def _store(self, op: Op) -> bool:
        outcome = await self._engine.commits.store(Change((op,)))
        self._engine.poke()
        return isinstance(outcome, Applied)


def _no_queue(name: str) -> NotFound:
    return NotFound("WA611", "there is no such queue", found=f"queue {name!r}")
