"""The client: starts runs, follows them, and deals with those that failed.

It speaks to a `Backend`: the embedded engine of this process, or a QStash server. Nothing is
decided here: each method checks what it is given, asks once, and gives back values.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from workflow_agents.core.backend import Backend, Letter
from workflow_agents.core.bad_options import names_options, unknown_option, wrong_option
from workflow_agents.core.checks import call_headers, checked_body, checked_event_id
from workflow_agents.core.lifecycle import RUN_STATES
from workflow_agents.core.options import RunOptions
from workflow_agents.errors import ConfigurationError, StateError, StepUsageError
from workflow_agents.protocol.codec import Unencodable, encode
from workflow_agents.protocol.history import StepKey
from workflow_agents.protocol.times import duration_ms, instant_ms

if TYPE_CHECKING:
    from workflow_agents.approvals import AsyncApprovals
    from workflow_agents.conversations import AsyncConversations
    from workflow_agents.core.dead_letters import DeadLetter
    from workflow_agents.core.flow_control import FlowControl
    from workflow_agents.core.logs import RunLog
    from workflow_agents.core.step_logs import FeedEntry
    from workflow_agents.core.stream_events import StreamEvent
    from workflow_agents.core.workflow_events import WorkflowEvent
    from workflow_agents.protocol.results import NotifiedWaiter

Duration = int | float | str | timedelta
Instant = int | float | datetime | str

UNCHANGED: Any = object()
"""Stands for what a fork is not given, since None is a value."""


class RunFailed(StateError):
    """The run whose result was asked for has none: it failed or was cancelled.

    Attributes:
        log: the run.
    """

    def __init__(self, log: "RunLog") -> None:
        failure = log.failure or {}
        detail: dict[str, Any] = failure.get("detail") or {}
        found = f"{failure.get('error', '')}: {failure.get('message', '')}".strip(": ")
        super().__init__(
            "WA608",
            "the run has no result",
            run_id=log.workflow_run_id,
            found=(
                f"expected RUN_SUCCESS, found {log.state}" + (f": {found}" if found else ""),
                *detail.get("found", ()),
            ),
            why="it failed for good" if log.state == "RUN_FAILED" else "it was cancelled",
            fix=("look at its steps: await client.logs(run_id)", "await client.dlq.resume(dlq_id)"),
        )
        self.log = log


class AsyncRunHandle:
    """A run, to be followed.

    Attributes:
        run_id: its id.
        deduplicated: the trigger found a run of this id and made no other.
    """

    def __init__(
        self,
        backend: Backend,
        run_id: str,
        *,
        deduplicated: bool = False,
        read: Callable[[Any], Any] | None = None,
    ) -> None:
        self._backend = backend
        self._read = read
        self.run_id = run_id
        self.deduplicated = deduplicated

    async def status(self) -> str:
        """RUN_STARTED, RUN_SUCCESS, RUN_FAILED or RUN_CANCELED."""
        return (await self._backend.log(self.run_id, steps=False)).state

    async def result(self) -> Any:
        """Wait for the end of the run, and return what its function returned.

        Raises:
            RunFailed: it failed or was cancelled.
        """
        log = await self._backend.end_of(self.run_id)
        if log.state != "RUN_SUCCESS":
            raise RunFailed(log)
        return log.result if self._read is None else self._read(log.result)

    async def log(self) -> "RunLog":
        """The run and its steps."""
        return await self._backend.log(self.run_id, steps=True)

    async def feed(self, after: int = 0) -> "AsyncIterator[FeedEntry]":
        """Everything that happens to the run, from the beginning, until it has ended.

        Args:
            after: the `seq` of the last entry that is known already.
        """
        while True:
            entries, complete = await self._backend.feed(self.run_id, after)
            for entry in entries:
                yield entry
                after = entry.seq
            if complete:
                return

    async def stream(self, after: int = 0) -> "AsyncIterator[StreamEvent]":
        """What is said in the run while it is said, with the run's feed in between.

        The words of replies that are streamed come as `TextDelta` and `ToolCallDelta` between
        a `StreamStarted` and a `StreamEnded`; everything else that happens as `FeedEntry`, from
        the beginning. Who comes in the middle of a reply first hears what was said so far. After
        a crash, or when a reply broke off, a `StreamRestarted` says that it begins anew. It
        ends when the run has ended.

        Args:
            after: the `seq` of the last entry that is known already.
        """
        async for event in self._backend.stream(self.run_id, after):
            yield event

    async def cancel(self) -> bool:
        """End the run as cancelled. False: it had ended before."""
        return await self._backend.cancel(self.run_id)

    @names_options
    async def fork(
        self,
        step: StepKey | None = None,
        *,
        result: Any = UNCHANGED,
        body: Any = UNCHANGED,
        retries: int | None = None,
        retry_delay: str | None = None,
        flow_control: "FlowControl | None" = None,
        label: str | Sequence[str] | None = None,
    ) -> "AsyncRunHandle":
        """Start a run that begins like this one and goes its own way from a step on.

        Whatever was recorded before the step is taken over and does not run again; the step and
        all that was recorded after it run again, waits ask again. This run is not changed.

        Args:
            step: its key (`StepLog.step`) or, if it is the only one, its name; None: the run
                starts from the top.
            result: gives the step this result in place of running it: the reply of another
                model, a corrected value.
            body: another payload. The steps that are taken over stay as they were.
            retries: of the new run; default: as this one, like the rest.
            retry_delay: an expression in milliseconds.
            flow_control: a key whose limits the new run waits for.
            label: of the new run.

        Raises:
            NotFound: WA212, no such step.
        """
        if step is None and result is not UNCHANGED:
            raise wrong_option("result", "nothing, unless a step is given", result)
        content = None if body is UNCHANGED else checked_body(body, where="fork, body")[0]
        given = None if result is UNCHANGED else _as_result(result)
        options = RunOptions.checked(
            retries=retries, retry_delay=retry_delay, flow_control=flow_control, label=label
        )
        done = await self._backend.fork(self.run_id, options, step=step, body=content, result=given)
        return AsyncRunHandle(self._backend, done.run_id)

    def __repr__(self) -> str:
        return f"AsyncRunHandle({self.run_id!r})"


_AGAIN = ("retries", "retry_delay", "flow_control", "label")


class AsyncDeadLetters:
    """`client.dlq`: runs that failed for good."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def list(self, *, before: str | None = None, limit: int = 100) -> list["DeadLetter"]:
        """The newest first; `before` is the id of the last one seen."""
        return [_dead_letter(*found) for found in await self._backend.letters(before, limit)]

    async def get(self, dlq_id: str) -> "DeadLetter":
        """One of them, with its run's steps."""
        return _dead_letter(*await self._backend.letter(dlq_id))

    async def resume(self, dlq_id: str, **options: Any) -> AsyncRunHandle:
        """A new run that begins with every step that this one had finished.

        Options: retries, retry_delay, flow_control, label.
        """
        return await self._again(dlq_id, options, resume=True)

    async def restart(self, dlq_id: str, **options: Any) -> AsyncRunHandle:
        """A new run with the same payload, from the top. Options as `resume`."""
        return await self._again(dlq_id, options, resume=False)

    async def retry_failure_function(self, dlq_id: str) -> None:
        """Call the failure function again, if it has failed."""
        await self._backend.retry_failure_function(dlq_id)

    async def delete(self, dlq_id: str) -> None:
        """Remove it; its run stays in the logs."""
        await self._backend.delete_letter(dlq_id)

    async def _again(self, dlq_id: str, options: dict[str, Any], *, resume: bool) -> AsyncRunHandle:
        for name in options:
            if name not in _AGAIN:
                raise unknown_option(name, _AGAIN, "client.dlq")
        done = await self._backend.again(dlq_id, RunOptions.checked(**options), resume=resume)
        return AsyncRunHandle(self._backend, done.run_id)


class AsyncClient:
    """Starts and follows runs: on an engine, or on a QStash server.

    `engine.client` and `serve.client` are made already. `AsyncClient("<QSTASH_TOKEN>")` is one
    of a QStash server, which keeps the runs and visits the workflows at their addresses.

    Args:
        backend: the token of a QStash server, a client of the `qstash` package, or whatever
            else keeps runs; default: what QSTASH_TOKEN and QSTASH_URL name.
        token: of the server, in place of the first argument.
        base_url: of the server; default: QSTASH_URL, then https://qstash.upstash.io.

    Raises:
        ConfigurationError: WA106, there is no token.
    """

    @names_options
    def __init__(
        self, backend: Any = None, *, token: str | None = None, base_url: str | None = None
    ) -> None:
        self._backend: Backend = _backend(backend, token, base_url)
        self.dlq = AsyncDeadLetters(self._backend)

    @cached_property
    def conversations(self) -> "AsyncConversations":
        """What agents remember across runs."""
        from workflow_agents.conversations import AsyncConversations

        return AsyncConversations(self._backend)

    @cached_property
    def approvals(self) -> "AsyncApprovals":
        """What waits for a person, and the person's decisions."""
        from workflow_agents.approvals import AsyncApprovals

        return AsyncApprovals(self._backend)

    async def close(self) -> None:
        """Close the connections to a QStash server; they open again when they are needed."""
        await self._backend.close()

    async def __aenter__(self) -> "AsyncClient":
        """Itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close its connections."""
        await self.close()

    @names_options
    async def trigger(
        self,
        workflow: Any = None,
        body: Any = None,
        *,
        url: str | None = None,
        headers: Mapping[str, str] | None = None,
        workflow_run_id: str | None = None,
        retries: int | None = None,
        retry_delay: str | None = None,
        flow_control: "FlowControl | None" = None,
        delay: Duration | None = None,
        not_before: Instant | None = None,
        label: str | Sequence[str] | None = None,
        failure_url: str | None = None,
        redact: Mapping[str, Any] | None = None,
    ) -> AsyncRunHandle:
        """Start a run. It is durable when this returns.

        Args:
            workflow: what `@serve.post` or `@engine.workflow` returned, its path, or its URL.
            body: the payload: str and bytes as they are, anything else as JSON.
            url: the workflow's URL, in place of the first argument.
            headers: what the workflow sees as `context.headers`.
            workflow_run_id: an id of your own; if a run has it, none is started.
            retries: how often steps and the function are tried again; default 3.
            retry_delay: an expression in milliseconds: "1000 * (1 + retried)".
            flow_control: a key whose limits the run waits for.
            delay: start this much later.
            not_before: start no earlier than this instant.
            label: one or more, to find runs by.
            failure_url: is sent a POST when the run has failed.
            redact: what logs do not show: {"body": True}.

        Raises:
            UsageError: an option cannot be used; nothing was started.
            StoreError: the store cannot be written; nothing was started.
        """
        served = self._served(workflow) if url is None else url
        path = self._backend.destination(served)
        as_body = getattr(served, "as_body", None)
        content, _ = checked_body(
            body if as_body is None else as_body(body), where=f"trigger {path}"
        )
        options = RunOptions.checked(
            retries=retries,
            retry_delay=retry_delay,
            flow_control=flow_control,
            label=label,
            failure_url=failure_url,
            redact=redact,
            headers=call_headers(headers, "", "http://headers.only", where=f"trigger {path}"),
        )
        at: int | None = None
        if delay is not None and not_before is not None:
            raise wrong_option("not_before", "either delay or not_before", not_before)
        if delay is not None:
            at = self._backend.now_ms() + duration_ms(delay)
        elif not_before is not None:
            at = instant_ms(not_before)
        done = await self._backend.trigger(
            path, content, options, run_id=workflow_run_id, not_before=at
        )
        return AsyncRunHandle(
            self._backend,
            done.run_id,
            deduplicated=done.deduplicated,
            read=getattr(served, "read_result", None),
        )

    async def run(self, workflow: Any, body: Any = None, **options: Any) -> Any:
        """Start a run and wait for its result.

        Args:
            workflow: as `trigger` takes it; the client of an engine takes an agent too, and
                its prompt as the body: the result is a `TaskResult` then.
            body: the payload.
            options: those of `trigger`.

        Raises:
            RunFailed: it failed or was cancelled.
        """
        return await (await self.trigger(workflow, body, **options)).result()

    def _served(self, workflow: Any) -> Any:
        """What is served for what was given; its `as_body` and `read_result` say more of it."""
        return workflow

    async def trigger_many(self, triggers: Sequence[Mapping[str, Any]]) -> list[AsyncRunHandle]:
        """Start several runs; each mapping holds the arguments of one `trigger`."""
        import asyncio

        return list(await asyncio.gather(*(self.trigger(**one) for one in triggers)))

    def handle(self, run_id: str) -> AsyncRunHandle:
        """The handle of a run that was started before."""
        return AsyncRunHandle(self._backend, run_id)

    def events(
        self,
        workflow_run_id: str | None = None,
        *,
        label: str | None = None,
        after: int | None = None,
    ) -> "AsyncIterator[WorkflowEvent]":
        """What happens, while it happens: to a run until it ends, or from now on to many.

        Over HTTP it needs a server of this package; where the connection breaks off, it comes
        back, and misses nothing.

        Args:
            workflow_run_id: of one run; it is told from its beginning.
            label: of runs. Without either: everything.
            after: the `seq` of the last event that is known already; 0: from the beginning.
        """
        return self._backend.events(workflow_run_id, label, after)

    async def cancel(self, run_id: str) -> bool:
        """End a run as cancelled. False: it had ended before."""
        return await self._backend.cancel(run_id)

    async def notify(
        self, event_id: str, event_data: Any = None, *, workflow_run_id: str | None = None
    ) -> "list[NotifiedWaiter]":
        """Wake every run that waits for the event; returns those that were woken.

        With `workflow_run_id`, only that run; and if it does not wait yet, the notification
        is kept for its next wait.
        """
        data, _ = checked_body(event_data, where=f"notify {event_id!r}")
        done = await self._backend.notify(
            checked_event_id(event_id, "notify"), data, workflow_run_id
        )
        return _notified(done["notified"])

    async def get_waiters(self, event_id: str) -> "list[NotifiedWaiter]":
        """Who waits for the event now."""
        return _notified(await self._backend.waiters(event_id))

    async def log(self, run_id: str) -> "RunLog":
        """A run and its steps."""
        return await self._backend.log(run_id, steps=True)

    async def logs(
        self,
        run_id: str | None = None,
        *,
        workflow: Any = None,
        state: str | None = None,
        label: str | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> "list[RunLog]":
        """Runs, the newest first; with `run_id`, that run with its steps.

        Args:
            run_id: one run.
            workflow: only runs of this workflow.
            state: only RUN_STARTED, RUN_SUCCESS, RUN_FAILED or RUN_CANCELED.
            label: only runs with this label.
            before: the id of the last run seen.
            limit: how many at most.
        """
        if run_id is not None:
            return [await self.log(run_id)]
        path = None if workflow is None else self._backend.destination(workflow)
        if state is not None and state not in RUN_STATES:
            raise wrong_option("state", f"one of {', '.join(RUN_STATES)}", state)
        if not isinstance(limit, int) or limit < 1:  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
            raise wrong_option("limit", "a whole number from 1", limit)
        return await self._backend.logs(
            workflow=path, state=state, label=label, before=before, limit=limit
        )


def _backend(backend: Any, token: Any, base_url: str | None) -> Backend:
    """Whoever keeps the runs: as given, or a QStash server."""
    if backend is not None and not isinstance(backend, str) and hasattr(backend, "destination"):
        return backend
    from workflow_agents import config
    from workflow_agents.clock import SystemClock
    from workflow_agents.qstash.backend import OverHttp
    from workflow_agents.qstash.connection import Connection, connection_of

    if backend is not None and not isinstance(backend, str):
        return OverHttp(connection_of(backend), SystemClock())
    environment = config.environment()
    token = backend or token or environment.get("QSTASH_TOKEN")
    if not isinstance(token, str):
        raise ConfigurationError("WA106", where="AsyncClient()", found="no token was given")
    return OverHttp(Connection(token, base_url or environment.get("QSTASH_URL")), SystemClock())


def _notified(waiters: Sequence[Mapping[str, Any]]) -> "list[NotifiedWaiter]":
    from workflow_agents.protocol.results import NotifiedWaiter

    return [NotifiedWaiter(w["workflowRunId"], w["deadline"]) for w in waiters]


def _as_result(value: Any) -> bytes:
    try:
        return encode(value)
    except Unencodable as error:
        where = f"fork, result at {error.path}"
        raise StepUsageError("WA204", where=where, found=error.reason) from error


def _dead_letter(letter: Letter, log: "RunLog") -> "DeadLetter":
    from workflow_agents.core.dead_letters import DeadLetter

    return DeadLetter(
        letter.id,
        log.workflow_run_id,
        log.workflow,
        letter.at,
        log.failure or {},
        letter.callback,
        log,
    )
