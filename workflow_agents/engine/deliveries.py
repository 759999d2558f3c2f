"""Requests that are owed to somebody: calls, failure functions, failure addresses.

Each is a row with a due time. It is leased, attempted once, and settled: removed together
with the outcome that it has, or given back with a later due time. An attempt that dies with
its process is made again; whoever settles second is discarded, visibly.

Here are those that this process has in hand; what one attempt does is in `attempts`, and of
messages in `sending`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workflow_agents.core.journal import Call
from workflow_agents.engine.ends import DeliveryKind
from workflow_agents.errors import StoreError
from workflow_agents.protocol.codec import encode
from workflow_agents.protocol.history import StepKey
from workflow_agents.store.changes import (
    AddDelivery,
    Applied,
    Broken,
    Change,
    DropPause,
    Entry,
    FreeFlow,
    FreeTurns,
    Op,
    Refused,
    RetryDelivery,
    SetPause,
    TakeDelivery,
)
from workflow_agents.store.interface import DeliveryRow

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine
    from workflow_agents.store.message_changes import AddMessage

logger = logging.getLogger(__name__)

_STORE_RETRY_S = 0.25


class Deliveries:
    """The requests that this process has in hand."""

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._calls: dict[tuple[int, StepKey | None], int] = {}
        self._messages: dict[int, int] = {}

    def owe_call(
        self, run: int, step: StepKey, call: Call, now: int, asks: Mapping[str, Any]
    ) -> AddDelivery:
        """The row that a call step owes; `asks`: what its run asks of models otherwise."""
        engine, body = self._engine, call.body
        if asks:
            from workflow_agents.core.model_asks import anew

            body = anew(body, call.headers, asks)
        data: dict[str, Any] = {
            "method": call.method,
            "url": call.url,
            "headers": engine.sealer.seal_headers(call.headers),
            "retries": call.policy.retries,
        }
        if call.policy.delay is not None:
            data["delay"] = call.policy.delay.text
        if call.raise_for_status:
            data["raise"] = True
        if call.expect:
            data["expect"] = call.expect
        if call.timeout_ms is not None:
            data["timeoutMs"] = call.timeout_ms
        if call.stream is not None:
            data["stream"] = call.stream
        flow = call.flow_control
        return AddDelivery(
            run,
            step,
            DeliveryKind.CALL,
            now,
            encode(data),
            body or None,
            None if flow is None else flow.key,
            call.pause_key,
        )

    def attempt(self, row: DeliveryRow) -> None:
        """Make one attempt of a request that was just leased."""
        from workflow_agents.engine.attempts import Attempts

        row.attempt += 1
        task = self._engine.spawn(Attempts(self._engine).make(row))
        self._tasks[row.id] = task
        if row.message is not None:
            self._messages[row.message] = row.id
        else:
            self._calls[row.run, row.step] = row.id
        task.add_done_callback(lambda _task: self._forget(row))

    @property
    def has_room(self) -> bool:
        """Whether one more message may be on its way."""
        return len(self._tasks) < self._engine.limits.concurrent_deliveries

    @property
    def on_their_way(self) -> int:
        """How many attempts are being made."""
        return len(self._tasks)

    @property
    def busy(self) -> bool:
        """Whether an attempt is being made."""
        return bool(self._tasks)

    def abort(self, run: int, step: StepKey) -> None:
        """The run no longer waits for this call."""
        task = self._tasks.get(self._calls.get((run, step), 0))
        if task is not None:
            task.cancel()

    def abort_message(self, message: int) -> None:
        """Nobody wants this message delivered any more."""
        task = self._tasks.get(self._messages.get(message, 0))
        if task is not None:
            task.cancel()

    def abort_run(self, run: int) -> None:
        """The run has ended: its calls are of no use any more."""
        for owner, step in [*self._calls]:
            if owner == run and step is not None:
                self.abort(owner, step)

    async def settled(self, seconds: float) -> None:
        """Wait until the attempts that are being made are settled, or for so long."""
        if self._tasks:
            await asyncio.wait([*self._tasks.values()], timeout=seconds)

    async def close(self) -> None:
        """Abandon all attempts; they are made again when the engine starts."""
        tasks = [*self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, row: DeliveryRow) -> None:
        self._tasks.pop(row.id, None)
        if row.message is not None and self._messages.get(row.message) == row.id:
            del self._messages[row.message]
        elif self._calls.get((row.run, row.step)) == row.id:
            del self._calls[row.run, row.step]

    async def recorded(self, row: DeliveryRow, record: Callable[[], Awaitable[None]]) -> None:
        """Record an attempt that was made; the store has to answer for that, however late.

        If it cannot be read now, that is no reason to make the attempt again.
        """
        while True:
            try:
                await record()
            except StoreError as error:
                logger.error("delivery %d: %s", row.id, error)
                await asyncio.sleep(_STORE_RETRY_S)
            else:
                return

    async def give_back(self, row: DeliveryRow, due_at: int, entry: Entry | None) -> None:
        """An attempt failed, and another one follows."""
        ops: list[Op] = [RetryDelivery(row.id, row.attempt, due_at)]
        await self.apply(row, ops, [entry] if entry else [])

    async def settle(
        self,
        row: DeliveryRow,
        ops: Sequence[Op],
        entries: Sequence[Entry],
        stored: Callable[[], None] | None = None,
        added: "Sequence[AddMessage]" = (),
    ) -> Applied | Refused:
        """Nothing more is owed: store what came of it, and what follows it.

        In a queue, what follows takes over its turn.
        """
        all_ops = [TakeDelivery(row.id, row.attempt), *ops]
        return await self.apply(row, all_ops, entries, stored, added)

    async def apply(
        self,
        row: DeliveryRow,
        ops: list[Op],
        entries: Sequence[Entry],
        stored: Callable[[], None] | None = None,
        added: "Sequence[AddMessage]" = (),
    ) -> Applied | Refused:
        """Store what came of an attempt; `stored` is called before anyone else hears of it.

        Refused: somebody else has settled it, or another operation relies on what is no more.
        """
        now = self._engine.clock.now_ms()
        if row.flow_key is not None:
            ops.append(FreeFlow(row.flow_key, now))
        if row.pause_key is not None:
            ops += self._engine.pauses.turn(row.pause_key, now)
        if row.queue is not None:
            from workflow_agents.store.message_changes import FreeQueue

            ops.append(FreeQueue(row.queue, now))
        while True:
            outcome = await self._engine.commits.apply(Change(ops, entries), stored)
            if not isinstance(outcome, Broken):
                break
            # The attempt is made; only its record is missing.
            logger.error("delivery %d: %s", row.id, outcome.error)
            await asyncio.sleep(_STORE_RETRY_S)
        if isinstance(outcome, Applied):
            if added:
                self._engine.wire.messages.begin(added, outcome)
            self._engine.poke()
        else:
            if isinstance(outcome.op, TakeDelivery | RetryDelivery):
                self._engine.discarded(row.run, row.step, row.message)
            pauses = tuple(op for op in ops if isinstance(op, SetPause | DropPause | FreeTurns))
            if pauses:
                # Nobody wants the answer any more; what it says of the account stands.
                self._engine.commits.submit(Change(pauses), lambda _outcome: None)
        return outcome
