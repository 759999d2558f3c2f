"""Waits of remote runs, and what ends them: notifications, webhooks, time.

A notification that names its run is kept for a wait to come; so is every call of a webhook.
Whoever removes the waiter decides the outcome. Source: protocol 4.4, 4.5, 4.7.
"""

import json
from typing import TYPE_CHECKING, Any

from workflow_agents.core.checks import checked_event_id, checked_size
from workflow_agents.core.lifecycle import is_ended
from workflow_agents.engine.intake import Notifier
from workflow_agents.engine.remote_known import not_running
from workflow_agents.errors import LimitError, NotFound
from workflow_agents.protocol.codec import encode
from workflow_agents.protocol.history import EntryKind, StepKind
from workflow_agents.protocol.raw_steps import called_webhook, notified
from workflow_agents.protocol.run_requests import read_wait
from workflow_agents.protocol.wire_steps import NotWire, WireStep
from workflow_agents.store.changes import (
    Applied,
    Change,
    Entry,
    WaitForNotification,
)
from workflow_agents.store.message_changes import Reachable, Unasked

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine


class RemoteWaits:
    """See the module."""

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine

    async def wait(self, event: str, body: bytes, run_id: str | None = None) -> None:
        """A step of a run waits for an event. One that waits already goes on waiting.

        Args:
            event: its id.
            body: of the request.
            run_id: of its headers, where the body names no run.

        Raises:
            StateError: WA608, the run has ended or never was.
            StepUsageError: WA204, the body cannot be read.
            ConfigurationError: WA504, the id cannot be one.
            LimitError: WA503.
            StoreError: the store cannot be written.
        """
        engine = self._engine
        checked_event_id(event, "the request")
        asked = read_wait(body)
        limits = engine.limits
        step, spec = asked.step, asked.spec
        if step.step_id > limits.steps:
            raise LimitError("WA503", found=f"expected at most {limits.steps} steps")
        run = engine.wire.known.running(spec.run_id or run_id or "")
        now = engine.clock.now_ms()
        until = now + asked.timeout_ms
        waiter = engine.wire.runs.waiter(run.id, step, spec)
        waiter.due_at, waiter.event = until, event
        told = {"eventId": event, "timeout": asked.timeout, "until": until}
        entry = Entry(
            run.id, now, EntryKind.STEP_WAITING, waiter.type, step.step_id, step.name, encode(told)
        )
        ops = [Reachable(run.id), Unasked(run.id, step.step_id), WaitForNotification(waiter, now)]
        outcome = await engine.commits.store(Change(ops, [entry]))
        if isinstance(outcome, Applied):
            engine.dispatcher.expect(until)
        elif isinstance(outcome.op, Reachable):
            engine.wire.known.forget(run.run_id)
            raise not_running(run.run_id)

    async def notify(
        self, event: str, data: bytes, run_id: str | None, who: Notifier | None = None
    ) -> list[dict[str, Any]]:
        """Wake who waits for an event; with a run, keep it for that run if it does not wait.

        Returns:
            What the wire tells of each waiter that was woken.

        Raises:
            NotFound: WA606, no such run.
            ConfigurationError: WA504, the id cannot be one.
            LimitError: WA501.
            StoreError: the store cannot be written.
        """
        engine = self._engine
        checked_event_id(event, "the request")
        checked_size(len(data), engine.limits.payload_bytes, f"data of event {event!r}")
        run = None
        if run_id is not None:
            row = engine.store.run(run_id)
            if row is None:
                raise NotFound("WA606", where=f"notify {event!r}", found=f"run {run_id!r}")
            if is_ended(row.phase):
                return []
            run = row.id
        return await self._tell(event, engine.intake.event_data(data), notified(data), run, who)

    async def receive_webhook(
        self, run_id: str, event: str, request: dict[str, Any], who: Notifier | None = None
    ) -> None:
        """A webhook of a run was called.

        A run that was resumed receives what is sent to the one that it took over from.

        Args:
            run_id: of the run.
            event: of the webhook.
            request: `method`, `header` with canonical names, `body` in base64, `proto`, `host`
                and `url`. Source: protocol 4.7.
            who: called it, where that is known.

        Raises:
            NotFound: WA606, no such run, or no such webhook of it.
            LimitError: WA501.
            StoreError: the store cannot be written.
        """
        engine = self._engine
        row = engine.admin.heir(engine.admin.find(run_id))
        run = engine.wire.known.find(row.id)
        if run is None or run.options.checkpoints:
            lowered = {name.lower(): values for name, values in request["header"].items()}
            await engine.intake.receive_webhook(run_id, event, {**request, "header": lowered}, who)
            return
        if is_ended(row.phase):
            raise NotFound("WA606", f"workflow run {run_id} has ended", found=f"run {run_id!r}")
        waits = engine.store.waiters_for(event, row.id)
        if not waits and event not in self._webhooks(row.id):
            raise NotFound("WA606", where=f"run {run_id!r}", found="no webhook of this id")
        outcome = called_webhook(request)
        checked_size(len(outcome), engine.limits.payload_bytes, "request of a webhook")
        await self._tell(event, outcome, outcome, row.id, who)

    def waiters(self, event: str) -> list[dict[str, Any]]:
        """Who waits for an event, as the wire tells it.

        Raises:
            ConfigurationError: WA504, the id cannot be one.
        """
        checked_event_id(event, "the request")
        found: list[dict[str, Any]] = []
        for waiter in self._engine.store.waiters_for(event, None):
            told = self._told(waiter.run, waiter.due_at)
            if told is not None:
                found.append(told["waiter"])
        return found

    def _webhooks(self, run: int) -> set[str]:
        """The event ids of the webhooks that a run has made."""
        found: set[str] = set()
        bodies = self._engine.store.messages.remote.results(run, StepKind.CREATE_WEBHOOK)
        for body in bodies:
            try:
                out: Any = json.loads(WireStep.from_json(json.loads(body)).out or "")
                found.add(out["eventId"])
            except (NotWire, ValueError, TypeError, KeyError):
                continue
        return found

    async def _tell(
        self, event: str, data: bytes, remote: bytes, run: int | None, who: Notifier | None
    ) -> list[dict[str, Any]]:
        """Source: protocol 4.5."""
        outcome = await self._engine.intake.tell(event, data, run, remote, who)
        found: list[dict[str, Any]] = []
        if not isinstance(outcome, Applied):
            return found
        id_of = self._engine.wire.messages.id_of
        for woken in outcome.woken:
            told = self._told(woken.run, woken.deadline)
            if told is not None:
                message_id = id_of(woken.message) if woken.message else ""
                found.append({**told, "messageId": message_id, "deduplicated": False, "error": ""})
        return found

    def _told(self, run: int, deadline: int | None) -> dict[str, Any] | None:
        row = self._engine.store.run(run)
        if row is None:
            return None
        headers = {"Upstash-Workflow-Runid": [row.run_id]}
        waiter = {
            "url": row.workflow,
            "deadline": (deadline or 0) // 1000,
            "headers": headers,
            "timeoutUrl": row.workflow,
            "timeoutHeaders": headers,
            "timeoutBody": "",
        }
        return {
            "waiter": waiter,
            "workflowRunId": row.run_id,
            "workflowCreatedAt": row.created_at,
        }
