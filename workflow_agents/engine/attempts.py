"""One attempt of a request that is owed: send it, see what came of it, store that.

It is loaded with the first request: most runs of a test or a script send none.
"""

import asyncio
import base64
import json
import logging
from typing import TYPE_CHECKING, Any

from workflow_agents.core.acceptance import shortcoming
from workflow_agents.core.failures import failure_of, to_json
from workflow_agents.core.journal import Failure
from workflow_agents.core.pauses import PAUSE_LIMIT_MS, is_refused
from workflow_agents.core.redaction import shown_headers
from workflow_agents.core.retry import Retry, RetryPolicy, after_failure, delay_of, retry_after_ms
from workflow_agents.engine.ends import (
    CALLBACK_FAIL,
    CALLBACK_SUCCESS,
    DeliveryKind,
)
from workflow_agents.engine.http_out import HttpRequest, HttpResponse, NoAnswer
from workflow_agents.errors import StoreError, WorkflowAgentsError
from workflow_agents.protocol.codec import encode
from workflow_agents.protocol.history import EntryKind, StepKind, idempotency_key
from workflow_agents.protocol.results import stored_answer
from workflow_agents.store.changes import (
    Entry,
    Op,
    Resolve,
    RetryDelivery,
    SetCallback,
    WaiterKind,
)
from workflow_agents.store.interface import DeliveryRow, RunRow

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine
    from workflow_agents.engine.reading import StreamReader

logger = logging.getLogger(__name__)

_STORE_RETRY_S = 0.25
_SHOWN_BYTES = 4_000
_SHOWN_HEADERS = 32
_SHOWN_OF_HEADER = 200


class Attempts:
    """Makes attempts of requests that `deliveries` has in hand."""

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine
        self._deliveries = engine.deliveries

    async def make(self, row: DeliveryRow) -> None:
        """Make one, and settle it."""
        try:
            if row.kind == DeliveryKind.MESSAGE:
                await self._engine.wire.sending.attempt(row)
                return
            run = self._engine.store.run(row.run)
            if run is None:
                return
            if row.kind == DeliveryKind.CALL:
                if not await self._paused_meanwhile(row):
                    await self._call(row, run)
            else:
                await self._tell_failure(row, run)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # the edge of one delivery: the engine goes on
            logger.exception("delivery %d of run %d", row.id, row.run)
            after_ms = 1_000 if isinstance(error, StoreError) else 60_000
            await self._deliveries.give_back(row, self._engine.clock.now_ms() + after_ms, None)

    async def _paused_meanwhile(self, row: DeliveryRow) -> bool:
        """Whether its key was refused since the request was leased: then it is given back."""
        now = self._engine.clock.now_ms()
        key = row.pause_key
        until = None if key is None else self._engine.pauses.end_of_pause(key, now)
        if until is None:
            return False
        await self._deliveries.apply(row, [RetryDelivery(row.id, row.attempt, until, now)], [])
        return True

    async def _call(self, row: DeliveryRow, run: RunRow) -> None:
        data = json.loads(row.data)
        reader = self._reader(row, data["stream"]) if "stream" in data else None
        try:
            await self._call_once(row, run, data, reader)
        finally:
            if reader is not None:
                reader.ended(ok=False)

    async def _call_once(
        self, row: DeliveryRow, run: RunRow, data: dict[str, Any], reader: "StreamReader | None"
    ) -> None:
        answer, failure = await self._exchange(row, run, data, reader)
        now = self._engine.clock.now_ms()
        expected = data.get("expect", ())
        lack = None if answer is None else shortcoming(answer.status, answer.body, expected)
        good = answer is not None and lack is None
        if answer is not None and await self._refused(row, answer, now):
            return
        if not good:
            delay = delay_of(data.get("delay"))
            decision = after_failure(
                RetryPolicy(data["retries"], delay),
                failures=row.attempt - row.refusals,
                retry_after_ms=None if answer is None else retry_after_ms(answer.headers, now),
                non_retryable=failure is not None and failure.final,
            )
            if isinstance(decision, Retry):
                until = now + decision.after_ms
                why = {"error": failure.message} if answer is None and failure else {}
                if answer is not None:
                    why |= {"status": answer.status, "error": lack, **_told_of(answer)}
                told = encode({**why, "attempts": row.attempt - row.refusals, "until": until})
                kind, type_, step = EntryKind.STEP_RETRY, StepKind.CALL, row.step
                entry = Entry(row.run, now, kind, type_, step, data=told)
                await self._deliveries.give_back(row, until, entry)
                return
        if answer is not None and lack is not None and (data.get("raise") or answer.status < 300):
            text = answer.body[:_SHOWN_BYTES].decode("utf-8", "replace")
            message = f"WA301 {data['url']} {lack}"
            detail = {"body": text, **_told_of(answer)}
            failure = Failure("RemoteError", message, answer.status, detail=detail)
        if answer is not None and failure is None:
            content_type = ",".join(answer.headers.get("content-type", []))
            timing = None if answer.timing is None else answer.timing.told()
            outcome = stored_answer(
                answer.status, answer.headers, answer.body, content_type, timing
            )
        else:
            lost = failure or Failure("RemoteError", "WA301 no answer")
            outcome = encode(to_json(lost, attempts=row.attempt - row.refusals))
        resolve = Resolve(
            row.run,
            row.step if row.step is not None else 0,
            WaiterKind.CALL,
            now,
            outcome,
            ok=failure is None,
            late=True,
        )
        heard = None if reader is None or not good else lambda: reader.ended(ok=True)
        await self._deliveries.settle(row, [resolve, *self._passed(row, answer, now)], [], heard)

    async def _refused(self, row: DeliveryRow, answer: HttpResponse, now: int) -> bool:
        """Whether the answer is a refusal of the whole account: then it waits with the others."""
        key = row.pause_key
        if key is None or not is_refused(answer.status, answer.headers, answer.body):
            return False
        if row.refused_at is not None and now - row.refused_at >= PAUSE_LIMIT_MS:
            return False
        until, ops = self._engine.pauses.refused(key, answer, now)
        why = {"status": answer.status, "attempts": row.attempt - row.refusals - 1}
        told = encode({**why, "until": until, "pauseKey": key})
        entry = Entry(row.run, now, EntryKind.STEP_RETRY, StepKind.CALL, row.step, data=told)
        await self._deliveries.apply(
            row, [RetryDelivery(row.id, row.attempt, until, now), *ops], [entry]
        )
        return True

    def _passed(self, row: DeliveryRow, answer: HttpResponse | None, now: int) -> list[Op]:
        """What it says of the account that a request was answered."""
        if row.pause_key is None or answer is None or answer.status >= 500:
            return []
        return self._engine.pauses.succeeded(row.pause_key, now)

    def _reader(self, row: DeliveryRow, stream_format: str) -> "StreamReader":
        """What reads the answer to this attempt."""
        from workflow_agents.engine.reading import StreamReader

        engine, step = self._engine, row.step if row.step is not None else 0
        waiter = engine.store.waiter(row.run, step)
        name = "" if waiter is None else waiter.name
        return StreamReader(
            stream_format,
            lambda said: engine.streams.begin(row.run, step, name, row.attempt, said),
            engine.limits.result_bytes,
        )

    async def _exchange(
        self, row: DeliveryRow, run: RunRow, data: dict[str, Any], reader: "StreamReader | None"
    ) -> tuple[HttpResponse | None, Failure | None]:
        """One attempt: an answer of any status, or why there is none."""
        engine = self._engine
        try:
            headers = engine.sealer.open_headers(data["headers"])
            options = engine.options_of(run)
            origin = options.origin or run.run_id
            headers.setdefault("idempotency-key", idempotency_key(origin, row.step or 0))
            if options.checkpoints:
                # As all that a server sends is signed: the other end may be a workflow.
                headers |= engine.wire.sending.signature(data["url"], row.body or b"")
            timeout_ms = data.get("timeoutMs") or engine.call_timeout_ms
            request = HttpRequest(
                data["method"], data["url"], headers, row.body or b"", timeout_ms, reader
            )
            answer = await engine.http.send(request)
            return answer if reader is None else reader.whole(answer), None
        except NoAnswer as error:
            if reader is not None:
                reader.ended(ok=False)
            return None, _unanswered(error, data["url"])
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
            url = options.failure_url or ""
            found = _unanswered(error, url) if isinstance(error, NoAnswer) else failure_of(error)
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
                await self._deliveries.give_back(row, until, entry)
            else:
                failed = Entry(row.run, now, EntryKind.FAILURE_FUNCTION_FAILED, data=encode(told))
                await self._deliveries.settle(row, [SetCallback(row.run, CALLBACK_FAIL)], [failed])
            return
        entry = Entry(row.run, now, EntryKind.FAILURE_FUNCTION_SUCCESS, data=data)
        await self._deliveries.settle(row, [SetCallback(row.run, CALLBACK_SUCCESS)], [entry])

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


def _told_of(answer: HttpResponse) -> dict[str, Any]:
    """What is kept of an answer over a network that was not good: its headers, and its times."""
    if answer.timing is None:
        return {}
    first = list(answer.headers.items())[:_SHOWN_HEADERS]
    headers = {name: ", ".join(given)[:_SHOWN_OF_HEADER] for name, given in first}
    return {"header": shown_headers(headers), "timing": answer.timing.told()}


def _unanswered(error: NoAnswer, url: str) -> Failure:
    """What is recorded of a request that was not answered."""
    if error.error is not None:
        return failure_of(error.error)._replace(final=error.final)
    return Failure("RemoteError", f"WA301 {url}: {error}", final=error.final)
