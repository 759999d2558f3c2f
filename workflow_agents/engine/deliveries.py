"""Requests that are owed to somebody: calls, failure functions, failure addresses.

Each is a row with a due time. It is leased, attempted once, and settled: removed together
with the outcome that it has, or given back with a later due time. An attempt that dies with
its process is made again; whoever settles second is discarded, visibly.

Here are those that this process has in hand; what one attempt does is in `attempts`.
"""

import asyncio
from typing import TYPE_CHECKING, Any

from workflow_agents.core.journal import Call
from workflow_agents.engine.ends import DeliveryKind
from workflow_agents.protocol.codec import encode
from workflow_agents.protocol.history import StepKey
from workflow_agents.store.changes import AddDelivery
from workflow_agents.store.interface import DeliveryRow

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine


class Deliveries:
    """The requests that this process has in hand."""

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._calls: dict[tuple[int, StepKey | None], int] = {}

    def owe_call(self, run: int, step: StepKey, call: Call, now: int) -> AddDelivery:
        """The row that a call step owes."""
        engine = self._engine
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
            call.body or None,
            None if flow is None else flow.key,
            call.pause_key,
        )

    def attempt(self, row: DeliveryRow) -> None:
        """Make one attempt of a request that was just leased."""
        from workflow_agents.engine.attempts import Attempts

        row.attempt += 1
        task = self._engine.spawn(Attempts(self._engine).make(row))
        self._tasks[row.id] = task
        self._calls[row.run, row.step] = row.id
        task.add_done_callback(lambda _task: self._forget(row))

    @property
    def busy(self) -> bool:
        """Whether an attempt is being made."""
        return bool(self._tasks)

    def abort(self, run: int, step: StepKey) -> None:
        """The run no longer waits for this call."""
        task = self._tasks.get(self._calls.get((run, step), 0))
        if task is not None:
            task.cancel()

    def abort_run(self, run: int) -> None:
        """The run has ended: its calls are of no use any more."""
        for owner, step in [*self._calls]:
            if owner == run and step is not None:
                self.abort(owner, step)

    async def close(self) -> None:
        """Abandon all attempts; they are made again when the engine starts."""
        tasks = [*self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, row: DeliveryRow) -> None:
        self._tasks.pop(row.id, None)
        if self._calls.get((row.run, row.step)) == row.id:
            del self._calls[row.run, row.step]
