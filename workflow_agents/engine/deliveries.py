"""Requests that are owed to somebody: calls, failure functions, failure addresses.

Each is a row with a due time. It is leased, attempted once, and settled: removed together
with the outcome that it has, or given back with a later due time. An attempt that dies with
its process is made again; whoever settles second is discarded, visibly.
"""

import asyncio
import base64
import json
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workflow_agents.core.acceptance import shortcoming
from workflow_agents.core.delay_expression import DelayExpression
from workflow_agents.core.failures import failure_of, to_json
from workflow_agents.core.journal import Call, Failure
from workflow_agents.core.retry import Retry, RetryPolicy, after_failure, retry_after_ms
from workflow_agents.engine.ends import (
    CALLBACK_FAIL,
    CALLBACK_SUCCESS,
    DeliveryKind,
)
from workflow_agents.engine.http_out import HttpRequest, HttpResponse, NoAnswer
from workflow_agents.errors import StoreError, WorkflowAgentsError
from workflow_agents.protocol.codec import encode
from workflow_agents.protocol.history import EntryKind, StepKey, StepKind, idempotency_key
from workflow_agents.protocol.results import stored_body
from workflow_agents.store.changes import (
    AddDelivery,
    Applied,
    Broken,
    Change,
    Entry,
    FreeFlow,
    Op,
    Resolve,
    RetryDelivery,
    SetCallback,
    TakeDelivery,
    WaiterKind,
)
from workflow_agents.store.interface import DeliveryRow, RunRow

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine

logger = logging.getLogger(__name__)

_STORE_RETRY_S = 0.25
_SHOWN_BYTES = 4_000


class Deliveries:
    """Makes the attempts of this process."""

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
        flow = call.flow_control
        return AddDelivery(
            run,
            step,
            DeliveryKind.CALL,
            now,
            encode(data),
            call.body,
            None if flow is None else flow.key,
        )

    def attempt(self, row: DeliveryRow) -> None:
        """Make one attempt of a request that was just leased."""
        row.attempt += 1
        task = self._engine.spawn(self._attempt(row))
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

    async def _attempt(self, row: DeliveryRow) -> None:
        try:
            run = self._engine.store.run(row.run)
            if run is None:
                return
            if row.kind == DeliveryKind.CALL:
                await self._call(row, run)
            else:
                await self._tell_failure(row, run)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # the edge of one delivery: the engine goes on
            logger.exception("delivery %d of run %d", row.id, row.run)
            after_ms = 1_000 if isinstance(error, StoreError) else 60_000
            await self._give_back(row, self._engine.clock.now_ms() + after_ms, None)

    async def _call(self, row: DeliveryRow, run: RunRow) -> None:
        data = json.loads(row.data)
        answer, failure = await self._exchange(row, run, data)
        now = self._engine.clock.now_ms()
        expected = data.get("expect", ())
        lack = None if answer is None else shortcoming(answer.status, answer.body, expected)
        good = answer is not None and lack is None
        if not good:
            delay = DelayExpression.parse(data["delay"]) if "delay" in data else None
            decision = after_failure(
                RetryPolicy(data["retries"], delay),
                failures=row.attempt,
                retry_after_ms=None if answer is None else retry_after_ms(answer.headers, now),
                non_retryable=failure is not None and failure.final,
            )
            if isinstance(decision, Retry):
                until = now + decision.after_ms
                why = {"error": failure.message} if answer is None and failure else {}
                why |= {} if answer is None else {"status": answer.status, "error": lack}
                told = encode({**why, "attempts": row.attempt, "until": until})
                kind, type_, step = EntryKind.STEP_RETRY, StepKind.CALL, row.step
                entry = Entry(row.run, now, kind, type_, step, data=told)
                await self._give_back(row, until, entry)
                return
        if answer is not None and lack is not None and (data.get("raise") or answer.status < 300):
            text = answer.body[:_SHOWN_BYTES].decode("utf-8", "replace")
            message = f"WA301 {data['url']} {lack}"
            failure = Failure("RemoteError", message, answer.status, detail={"body": text})
        if answer is not None and failure is None:
            stored = stored_body(answer.body, ",".join(answer.headers.get("content-type", [])))
            outcome: dict[str, Any] = {
                "status": answer.status,
                "header": answer.headers,
                **stored,
            }
        else:
            lost = failure or Failure("RemoteError", "WA301 no answer")
            outcome = to_json(lost, attempts=row.attempt)
        resolve = Resolve(
            row.run,
            row.step if row.step is not None else 0,
            WaiterKind.CALL,
            now,
            encode(outcome),
            ok=failure is None,
            late=True,
        )
        await self._settle(row, [resolve], [])

    async def _exchange(
        self, row: DeliveryRow, run: RunRow, data: dict[str, Any]
    ) -> tuple[HttpResponse | None, Failure | None]:
        """One attempt: an answer of any status, or why there is none."""
        engine = self._engine
        try:
            headers = engine.sealer.open_headers(data["headers"])
            origin = engine.options_of(run).origin or run.run_id
            headers.setdefault("idempotency-key", idempotency_key(origin, row.step or 0))
            timeout_ms = data.get("timeoutMs") or engine.call_timeout_ms
            request = HttpRequest(data["method"], data["url"], headers, row.body or b"", timeout_ms)
            return await engine.http.send(request), None
        except NoAnswer as error:
            message = f"WA301 {data['url']}: {error}"
            return None, Failure("RemoteError", message, final=error.final)
        except WorkflowAgentsError as error:
            return None, failure_of(error)

    async def _tell_failure(self, row: DeliveryRow, run: RunRow) -> None:
        engine = self._engine
        options = engine.options_of(run)
        failure = json.loads(row.data)
        now = engine.clock.now_ms()
        try:
            options = engine.opened(options)
            if row.kind == DeliveryKind.FAILURE_URL:
                result: Any = await self._post_failure(run, options.failure_url or "", failure)
            else:
                served = engine.served(run.workflow)
                result = await served.on_failure(run, options, failure)
            data = encode({"result": result})
        except Exception as error:  # noqa: BLE001  # whatever it raises is recorded
            found = failure_of(error)
            now = engine.clock.now_ms()
            decision = after_failure(
                options.policy,
                failures=row.attempt,
                retry_after_ms=found.retry_after_ms,
                non_retryable=found.final,
            )
            told = to_json(found, attempts=row.attempt)
            if isinstance(decision, Retry):
                until = now + decision.after_ms
                entry = Entry(
                    row.run,
                    now,
                    EntryKind.FAILURE_FUNCTION_RETRY,
                    data=encode({**told, "until": until}),
                )
                await self._give_back(row, until, entry)
            else:
                failed = Entry(row.run, now, EntryKind.FAILURE_FUNCTION_FAILED, data=encode(told))
                await self._settle(row, [SetCallback(row.run, CALLBACK_FAIL)], [failed])
            return
        entry = Entry(row.run, now, EntryKind.FAILURE_FUNCTION_SUCCESS, data=data)
        await self._settle(row, [SetCallback(row.run, CALLBACK_SUCCESS)], [entry])

    async def _post_failure(self, run: RunRow, url: str, failure: dict[str, Any]) -> None:
        """Source: protocol 5.3, the failure callback."""
        body = json.dumps({"error": failure["error"], "message": failure["message"]}).encode()
        told: dict[str, Any] = {
            "status": failure.get("status", 500),
            "header": {},
            "body": base64.b64encode(body).decode(),
            "url": run.workflow,
            "method": "POST",
            "sourceBody": base64.b64encode(run.input or b"").decode(),
            "workflowRunId": run.run_id,
            "workflowUrl": run.workflow,
            "workflowCreatedAt": run.created_at,
        }
        headers = {
            "content-type": "application/json",
            "upstash-workflow-runid": run.run_id,
            "upstash-workflow-is-failure": "true",
        }
        answer = await self._engine.http.send(
            HttpRequest("POST", url, headers, encode(told), self._engine.call_timeout_ms)
        )
        if not 200 <= answer.status < 300:
            raise NoAnswer(f"{url} answered {answer.status}")

    async def _give_back(self, row: DeliveryRow, due_at: int, entry: Entry | None) -> None:
        ops: list[Op] = [RetryDelivery(row.id, row.attempt, due_at)]
        await self._apply(row, ops, [entry] if entry else [])

    async def _settle(self, row: DeliveryRow, ops: Sequence[Op], entries: Sequence[Entry]) -> None:
        await self._apply(row, [TakeDelivery(row.id, row.attempt), *ops], entries)

    async def _apply(self, row: DeliveryRow, ops: list[Op], entries: Sequence[Entry]) -> None:
        if row.flow_key is not None:
            ops.append(FreeFlow(row.flow_key, self._engine.clock.now_ms()))
        while True:
            outcome = await self._engine.commits.apply(Change(ops, entries))
            if not isinstance(outcome, Broken):
                break
            # The attempt is made; only its record is missing.
            logger.error("delivery %d: %s", row.id, outcome.error)
            await asyncio.sleep(_STORE_RETRY_S)
        if isinstance(outcome, Applied):
            self._engine.poke()
        else:
            self._engine.discarded(row.run, row.step)
