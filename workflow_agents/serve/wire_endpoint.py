"""One request of a QStash server to a workflow's endpoint, and its answer.

Every request is of one kind: a start from outside, which becomes a run on the server; a visit
of a run; the answer to a call step; the notice that a run has failed. Each is verified, read,
and comes to at most one request to the server. Source: protocol 3.7, 4, 5.3 and 11.1.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import Any

from workflow_agents.clock import Clock
from workflow_agents.context.branches import install
from workflow_agents.context.invocation import EARLY_RETURN
from workflow_agents.core.checkpoint_json import NotFrames
from workflow_agents.core.checkpoint_json import read_visit as read_kept_visit
from workflow_agents.core.checkpoints import HEADER, VISIT, Adoption, Offer
from workflow_agents.core.failures import failure_of
from workflow_agents.core.journal import Completed, Failed, Failure, History
from workflow_agents.core.options import RunOptions
from workflow_agents.core.retry import MAX_RETRIES
from workflow_agents.errors import RemoteError, WorkflowAgentsError
from workflow_agents.protocol.codec import encode
from workflow_agents.protocol.headers import Headers, forwardable, user_headers
from workflow_agents.protocol.wire_steps import (
    NotWire,
    Visit,
    WireStep,
    read_call_answer,
    read_failure,
    read_visit,
)
from workflow_agents.qstash import requests
from workflow_agents.qstash.connection import Connection, new_id
from workflow_agents.serve.checkpoint_journal import CheckpointJournal
from workflow_agents.serve.endpoint import NO_RUN, Request, Response, Verify, failed, refused
from workflow_agents.serve.wire_journal import Decided, Nothing, Send, WireJournal, WireRun, user_of
from workflow_agents.serve.wire_results import call_out
from workflow_agents.serve.workflow import Workflow

logger = logging.getLogger(__name__)

SDK_LEVEL = "v1.3.2"
"""The level of the JS SDK whose protocol is spoken; servers ask for 1.0 at least."""

ANSWERED = {"Upstash-Workflow-Sdk-Version": requests.VERSION, "Upstash-workflow-sdk": SDK_LEVEL}
"""The headers by which a server knows that a workflow's endpoint has answered."""

_NON_RETRYABLE = {"Upstash-NonRetryable-Error": "true"}
_NO_FAILURE_FUNCTION = {"Upstash-Workflow-Failure-Callback-Notfound": "true"}

_PATIENCE_S = 10
"""How long a function may take to end, once its visit is decided."""

_OVER, _QUOTA = 400, 412
"""What a server answers to a submission of a run that has ended, and of one over its quota."""

# Where the server keeps nothing of the kind, nothing of it is kept here either.
_UNLIMITED = RunOptions(retries=MAX_RETRIES)


@dataclass(frozen=True, slots=True)
class WireEndpoint:
    """The endpoint of one workflow whose runs a QStash server keeps.

    Attributes:
        workflow: that is served.
        connection: to the server.
        verify: whether a request is signed; None: requests are not signed.
        clock: tells the time.
    """

    workflow: Workflow
    connection: Connection
    verify: Verify | None
    clock: Clock

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        try:
            if self.verify is not None:
                self.verify(request, self.clock.now_ms() // 1000)
            response = await self._dispatch(request, Headers(request.headers))
        except NotWire as error:
            response = Response(500, {"error": "NotWire", "message": str(error)})
        except WorkflowAgentsError as error:
            response = failed(error)
            if response.status not in {413, 422}:
                response = replace(response, status=500)
        if response.status >= 500:
            logger.error("%s answers %d: %s", request.url, response.status, response.data)
        return replace(response, headers={**ANSWERED, **response.headers})

    async def _dispatch(self, request: Request, headers: Headers) -> Response:
        """Source: protocol 2.3 and 11.1, how requests are told apart."""
        if any(
            _is_true(headers, f"upstash-workflow-{n}") for n in ("is-failure", "failure-callback")
        ):
            return await self._run_failed(request, headers)
        if _is_true(headers, "upstash-workflow-callback"):
            return await self._call_answered(request, headers)
        if headers.get(HEADER) == VISIT:
            return await self._kept(request, headers)
        version = headers.get("upstash-workflow-sdk-version")
        if version is None:
            return await self._start(request)
        if version != requests.VERSION:
            raise NotWire(f"expected version {requests.VERSION} of the protocol, found {version!r}")
        run_id = headers.get("upstash-workflow-runid")
        if not run_id:
            raise NotWire("a visit names no run")
        return await self._visit(request, headers, run_id)

    # A start from outside.

    async def _start(self, request: Request) -> Response:
        """Source: protocol 3.1."""
        run_id = f"wfr_{new_id(21)}"
        headers = Headers(request.headers)
        run = self._run(run_id, request.url, headers, request.body)
        ending = await self._first_step(run, request)
        if isinstance(ending, Failed) and not _of_the_run(ending.failure):
            return refused(ending.failure)
        options = replace(self.workflow.options, headers=forwardable(request.headers))
        await self._trigger(run, options)
        return _done(run_id)

    async def _trigger(self, run: WireRun, options: RunOptions, *, by_sdk: bool = False) -> None:
        failure_url = options.failure_url or self.workflow.options.failure_url
        if failure_url is None and self.workflow.has_failure_function:
            failure_url = run.url
        await self.connection.send(
            requests.trigger(
                run.address, run.input or b"", options, failure_url=failure_url, by_sdk=by_sdk
            )
        )

    async def _first_step(self, run: WireRun, request: Request) -> Decided:
        """Whether the function comes to a step: one that returns before refuses its request."""
        return await self._invoke(self._journal(run, [], 0, dry=True), run, request)

    async def _refused(self, run: WireRun, request: Request) -> Response | None:
        """A request that is not signed is asked for the function's own leave."""
        if self.verify is not None:
            return None
        ending = await self._first_step(run, request)
        if not isinstance(ending, Failed) or _of_the_run(ending.failure):
            return None
        return self._failure(ending.failure, run.run_id)

    # A visit of a run.

    async def _visit(self, request: Request, headers: Headers, run_id: str) -> Response:
        message_id = headers.get("upstash-message-id")
        body = request.body
        if not body:
            fetched = await self._fetch(run_id)
            if fetched is None:
                return _done(run_id, "workflow-already-ended")
            body = fetched
        visit = read_visit(body, message_id)
        run = self._run(run_id, request.url, headers, visit.payload)
        if _is_true(headers, "upstash-workflow-unknown-sdk"):
            # Source: protocol 3.4. The server wants the run begun by an SDK.
            options = replace(RunOptions(), headers=forwardable(request.headers))
            await self._trigger(run, options, by_sdk=True)
            return _done(run_id)
        offer = Offer.from_text(headers.get(HEADER, ""))
        if offer is not None and not visit.steps and message_id:
            adoption = Adoption(message_id, offer.attempt)
            return await self._keep(run, request, offer, adoption, History([], []))
        if visit.repeated:
            text = "a step was delivered twice; this visit is left out"
            logger.warning("run %s: %s", run_id, text, extra={"run_id": run_id})
            await self.workflow.warn(run_id, text)
            return _done(run_id, "duplicate-step")
        return await self._advance(run, visit, request, _number(headers, "upstash-retried"))

    # A run that is kept by checkpoints.

    async def _kept(self, request: Request, headers: Headers) -> Response:
        """A visit of a run whose history the server keeps as an engine does."""
        try:
            visit = read_kept_visit(request.body)
        except NotFrames as error:
            raise NotWire(str(error)) from error
        run = self._run(visit.run_id, request.url, headers, visit.payload)
        run = replace(run, created_at=visit.created_at)
        return await self._keep(run, request, visit.offer, visit.token, visit.history)

    async def _keep(
        self,
        run: WireRun,
        request: Request,
        offer: Offer,
        by: int | Adoption,
        history: History,
    ) -> Response:
        """Call the function until its run has parked or ended, or is somebody else's."""
        install(asyncio.get_running_loop())
        options = replace(
            self._seen_options(run, request),
            retries=offer.retries,
            retry_delay=offer.retry_delay,
            origin=offer.origin,
        )
        journal = CheckpointJournal(self.connection.lines(), run, by, self._hooks)
        invocation = self.workflow.invoke(
            run, options, history, journal, journal, task_context=copy_context()
        )
        journal.begun(invocation)
        over = await journal.over
        if invocation.listener is not None:
            await invocation.listener.drained()
        if over.failed is not None:
            return self._failure(over.failed.failure, run.run_id)
        if over.error is not None:
            return self._failure(failure_of(over.error), run.run_id)
        return _done(run.run_id)

    async def _advance(
        self, run: WireRun, visit: Visit, request: Request, retried: int
    ) -> Response:
        journal = self._journal(run, visit.steps, retried)
        decided = await self._invoke(journal, run, request)
        match decided:
            case Nothing():
                return _done(run.run_id)
            case Completed(data):
                result = b"" if data == b"null" else data
                return await self._send(run, Send(requests.finish(run.run_id, result)))
            case Failed(failure):
                return self._failure(failure, run.run_id, journal.failed_step)
            case Send():
                return await self._send(run, decided)

    async def _send(self, run: WireRun, send: Send) -> Response:
        """Send what the visit came to. Source: protocol 3.7, what a refusal means."""
        try:
            try:
                answer = await self.connection.send(send.request)
            except RemoteError as error:
                if send.then is None or error.status != 404:
                    raise
                answer = []  # nobody is there to be notified
            if send.then is not None:
                await self.connection.send(send.then(answer))
        except RemoteError as error:
            gone = error.status == 404 and send.request.method == "DELETE"
            if error.status == _OVER or gone:
                logger.warning("run %s has ended meanwhile: %s", run.run_id, error.body)
                await self.workflow.warn(run.run_id, f"has ended meanwhile: {error.body}")
                return _done(run.run_id)
            if error.status == _QUOTA:
                return self._failure(failure_of(error)._replace(final=True), run.run_id)
            raise
        return _done(run.run_id)

    async def _invoke(self, journal: WireJournal, run: WireRun, request: Request) -> Decided:
        """Call the function until it comes to something; then end it."""
        install(asyncio.get_running_loop())
        options = self._seen_options(run, request)
        invocation = self.workflow.invoke(
            run, options, History([], []), journal, journal, groups=journal,
            known=journal.known, task_context=copy_context(),
        )  # fmt: skip
        try:
            return await journal.decided
        finally:
            invocation.close()
            await asyncio.wait({journal.over}, timeout=_PATIENCE_S)
            if invocation.listener is not None:
                # Once it has answered, the process may be stopped.
                await invocation.listener.drained()

    def _seen_options(self, run: WireRun, request: Request) -> RunOptions:
        headers = user_headers(request.headers)
        labels = tuple(label.strip() for label in headers.get("upstash-label", "").split(","))
        return replace(_UNLIMITED, headers=headers, url=run.url, labels=labels if labels[0] else ())

    def _journal(
        self, run: WireRun, steps: list[WireStep], retried: int, *, dry: bool = False
    ) -> WireJournal:
        return WireJournal(
            run, steps, retried=retried, webhook_base=self._hooks, new_id=new_id, dry=dry
        )

    def _hooks(self) -> str:
        """Source: protocol 4.7."""
        user = user_of(self.connection.token)
        return f"{self.connection.base_url}/v2/workflows/hooks/{user}"

    async def _fetch(self, run_id: str) -> bytes | None:
        """Every raw step of a run; None: it has ended. Source: protocol 1.7."""
        try:
            return encode(await self.connection.send(requests.fetch(run_id)))
        except RemoteError as error:
            if error.status == 404:
                return None
            raise

    # The answer to a call step.

    async def _call_answered(self, request: Request, headers: Headers) -> Response:
        """Source: protocol 4.3 (d) and (e)."""
        answer = read_call_answer(request.body)
        if answer.retries_left:
            logger.warning("a call was answered %d and is tried again", answer.status)
            return _done(NO_RUN, "fromCallback")
        names = ("runid", "stepid", "stepname", "steptype", "concurrent")
        told = [headers.get(f"upstash-workflow-{name}") or "" for name in names]
        run_id, number, name, type_, size = told
        if not all(told) or not number.isdigit() or not size.isdigit():
            raise NotWire("the answer to a call names no step")
        if self.verify is None:
            fetched = await self._fetch(run_id)
            if fetched is None:
                return _done(run_id, "workflow-already-ended")
            payload = read_visit(fetched).payload
            run = self._run(run_id, request.url, headers, payload)
            if (refusal := await self._refused(run, request)) is not None:
                return refusal
        run = self._run(run_id, request.url, headers, None)
        name = requests.from_header_text(name)
        step = WireStep(int(number), name, type_, int(size), call_out(answer))
        done = await self._send(run, Send(requests.call_result(run.address, step)))
        return replace(done, data={**done.data, "finishCondition": "fromCallback"})

    # The run has failed.

    async def _run_failed(self, request: Request, headers: Headers) -> Response:
        """Source: protocol 5.3."""
        notice = read_failure(request.body)
        run_id = headers.get("upstash-workflow-runid") or notice.run_id
        if not self.workflow.has_failure_function:
            done = _done(run_id, "failure-callback-undefined")
            return replace(done, headers=_NO_FAILURE_FUNCTION)
        run = self._run(run_id, notice.url or request.url, headers, notice.payload)
        run = replace(run, created_at=run.created_at or notice.created_at)
        if (refusal := await self._refused(run, request)) is not None:
            return replace(refusal, status=500)
        options = replace(_UNLIMITED, headers=user_headers(request.headers), url=run.url)
        journal = self._journal(run, [], 0, dry=True)
        told = {"status": notice.status, "message": notice.message, "headers": notice.headers}
        try:
            result = await self.workflow.on_failure(
                run, options, told, journal=journal, keeper=journal
            )
        except Exception as error:  # whatever it raises, the server calls it again
            logger.exception("the failure function of run %s", run_id, extra={"run_id": run_id})
            return self._failure(failure_of(error), run_id)
        return Response(200, {} if result is None else {"result": result})

    # Answers.

    def _failure(self, failure: Failure, run_id: str, step: str = "") -> Response:
        """How a visit fails. Source: protocol 3.7."""
        data: dict[str, Any] = {"error": failure.error, "message": failure.message}
        if failure.where:
            data["stack"] = failure.where
        if failure.detail:
            data["detail"] = dict(failure.detail)
        if failure.status == 400 and failure.message == EARLY_RETURN:
            told = {"message": failure.message, "workflowRunId": run_id}
            return Response(400, {**told, **(failure.detail or {})})
        if failure.final:
            return Response(489, data, _NON_RETRYABLE)
        if failure.retry_after_ms is not None:
            seconds = str(requests.whole_seconds(failure.retry_after_ms))
            return Response(429, data, {"Retry-After": seconds})
        named = {"Upstash-Error-Step-Name": requests.header_text(step)} if step else {}
        return Response(500, data, named)

    def _run(
        self, run_id: str, url: str, headers: Mapping[str, str], payload: bytes | None
    ) -> WireRun:
        return WireRun(
            run_id,
            self.workflow.path,
            _number(headers, "upstash-workflow-createdat"),
            payload,
            url,
            _number(headers, "upstash-workflow-invoke-count"),
        )


def _done(run_id: str, condition: str = "success") -> Response:
    return Response(200, {"workflowRunId": run_id, "finishCondition": condition})


def _of_the_run(failure: Failure) -> bool:
    """Raised by the workflow's own code about the run, which then begins and fails.

    Source: protocol 3.3.
    """
    return failure.error in {"WorkflowNonRetryableError", "WorkflowRetryAfterError"}


def _is_true(headers: Mapping[str, str], name: str) -> bool:
    return headers.get(name, "").lower() == "true"


def _number(headers: Mapping[str, str], name: str) -> int:
    text = headers.get(name, "")
    return int(text) if text.isdigit() else 0
