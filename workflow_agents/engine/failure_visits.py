"""Visits that tell of failed runs: of a failure function, or of a failure address.

The run has ended; what comes of the visit is the state of its dead letter's callback. Source:
protocol 5.3.
"""

from typing import TYPE_CHECKING, Any

from workflow_agents.core.answers import Delivered, Failed
from workflow_agents.core.retry import Retry
from workflow_agents.engine.ends import CALLBACK_FAIL, CALLBACK_SUCCESS
from workflow_agents.engine.remote_known import KnownRun
from workflow_agents.engine.sending import Attempt
from workflow_agents.protocol.codec import encode
from workflow_agents.protocol.history import EntryKind
from workflow_agents.protocol.message import MessageSpec
from workflow_agents.store.changes import Entry, SetCallback
from workflow_agents.store.interface import DeliveryRow
from workflow_agents.store.message_rows import MessageRow

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine

NOT_FOUND = "upstash-workflow-failure-callback-notfound"
CALLBACK_NONE = ""
"""There is no failure function at the address."""

_SHOWN_BYTES = 16_000


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
                entry = _entry(EntryKind.FAILURE_FUNCTION_SUCCESS, message, attempt)
                await deliveries.settle(row, [SetCallback(run.id, state)], [entry])
            case Retry() as retry:
                until = attempt.at + retry.after_ms
                kind = EntryKind.FAILURE_FUNCTION_RETRY
                await deliveries.give_back(row, until, _entry(kind, message, attempt, until=until))
            case Failed():
                entry = _entry(EntryKind.FAILURE_FUNCTION_FAILED, message, attempt)
                await deliveries.settle(row, [SetCallback(run.id, CALLBACK_FAIL)], [entry])


def _entry(kind: EntryKind, message: MessageRow, attempt: Attempt, **more: Any) -> Entry:
    told: dict[str, Any] = {"attempts": attempt.number, "error": attempt.error, **more}
    if attempt.answer is not None:
        text = attempt.answer.body[:_SHOWN_BYTES].decode("utf-8", "replace")
        told |= {"status": attempt.status, "headers": attempt.answer.headers, "body": text}
    return Entry(message.run, attempt.at, kind, data=encode(told), message=message.id)
