"""Visits that tell of failed runs: of a failure function, or of a failure address.

The run has ended; what comes of the visit is the state of its dead letter's callback. Source:
protocol 5.3.
"""

from typing import TYPE_CHECKING

from workflow_agents.core.answers import Delivered, Failed
from workflow_agents.core.retry import Retry
from workflow_agents.engine.ends import CALLBACK_FAIL, CALLBACK_SUCCESS
from workflow_agents.engine.remote_known import KnownRun
from workflow_agents.protocol.history import EntryKind
from workflow_agents.protocol.message import MessageSpec
from workflow_agents.store.changes import SetCallback
from workflow_agents.store.interface import DeliveryRow
from workflow_agents.store.message_rows import MessageRow

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine

NOT_FOUND = "upstash-workflow-failure-callback-notfound"
CALLBACK_NONE = ""
"""There is no failure function at the address."""


class FailureVisits:
    """See the module."""

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine

    async def attempt(
        self, row: DeliveryRow, message: MessageRow, run: KnownRun, spec: MessageSpec
    ) -> None:
        """Make one attempt to tell of a failed run."""
        wire, deliveries = self._engine.wire, self._engine.deliveries
        own = wire.visits.own_headers(run, spec)
        attempt = await wire.sending.exchange(row, message, spec, message.body, own)
        match wire.sending.after(spec, attempt, message.kind):
            case Delivered(unhandled):
                state = CALLBACK_NONE if unhandled else CALLBACK_SUCCESS
                entry = attempt.entry(EntryKind.FAILURE_FUNCTION_SUCCESS, message)
                await deliveries.settle(row, [SetCallback(run.id, state)], [entry])
            case Retry() as retry:
                until = attempt.at + retry.after_ms
                kind = EntryKind.FAILURE_FUNCTION_RETRY
                await deliveries.give_back(row, until, attempt.entry(kind, message, until=until))
            case Failed():
                entry = attempt.entry(EntryKind.FAILURE_FUNCTION_FAILED, message)
                await deliveries.settle(row, [SetCallback(run.id, CALLBACK_FAIL)], [entry])
