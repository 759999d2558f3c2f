"""The client: starts runs, follows them, and rules what a server keeps.

It speaks to a `Backend`: the embedded engine of this process, or a QStash server. Nothing is
decided here: each method checks what it is given, asks once, and gives back values.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack

from workflow_agents.client.letters import AsyncDeadLetters, one_of_three
from workflow_agents.client.runs import AsyncRunHandle
from workflow_agents.core.backend import Backend, Trigger, TriggeredRun
from workflow_agents.core.bad_options import names_options, unknown_option, wrong_option
from workflow_agents.core.checks import call_headers, checked_body, checked_event_id
from workflow_agents.core.options import RunOptions
from workflow_agents.core.selection import RunFilters, Selection, checked_ids, checked_limit
from workflow_agents.errors import ConfigurationError
from workflow_agents.protocol.times import duration_ms, instant_ms

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from workflow_agents.approvals import AsyncApprovals
    from workflow_agents.client.messages import AsyncMessages, AsyncSchedules
    from workflow_agents.client.resources import (
        AsyncFlowControl,
        AsyncKeys,
        AsyncQueues,
        AsyncUrlGroups,
    )
    from workflow_agents.conversations import AsyncConversations
    from workflow_agents.core.flow_control import FlowControl
    from workflow_agents.core.logs import RunLog, RunLogList
    from workflow_agents.core.searching import SearchResult
    from workflow_agents.core.workflow_events import WorkflowEvent
    from workflow_agents.protocol.results import NotifiedWaiter

Duration = int | float | str | timedelta
Instant = int | float | datetime | str

_FILTERS = ("label", "flow_control_key", "caller_ip", "host", "path", "since", "until")
_CANCELLED = ("workflow", "url_prefix", *_FILTERS)
_LISTED = ("workflow", "state", *_FILTERS)
_SEARCHED = ("workflow", "state", "label")
_TRIGGER = (
    *("workflow", "body", "url", "headers", "workflow_run_id", "retries", "retry_delay"),
    *("flow_control", "delay", "not_before", "label", "failure_url", "redact"),
)


class AsyncClient:
    """Starts and follows runs: on an engine, or on a QStash server.

    `engine.client` and `serve.client` are made already. `AsyncClient("<QSTASH_TOKEN>")` is one
    of a QStash server, which keeps the runs and visits the workflows at their addresses.

    Args:
        backend: the token of a QStash server, a client of the `qstash` package, or whatever
            else keeps runs; default: what QSTASH_TOKEN and QSTASH_URL name, or QSTASH_DEV.
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
    def messages(self) -> "AsyncMessages":
        """Messages to any address: published, enqueued, in batches; looked at, cancelled."""
        from workflow_agents.client.messages import AsyncMessages

        return AsyncMessages(self._backend.operations)

    @cached_property
    def queues(self) -> "AsyncQueues":
        """In which messages wait for each other."""
        from workflow_agents.client.resources import AsyncQueues

        return AsyncQueues(self._backend.operations)

    @cached_property
    def url_groups(self) -> "AsyncUrlGroups":
        """Names for several destinations."""
        from workflow_agents.client.resources import AsyncUrlGroups

        return AsyncUrlGroups(self._backend.operations)

    @cached_property
    def schedules(self) -> "AsyncSchedules":
        """What publishes messages again and again."""
        from workflow_agents.client.messages import AsyncSchedules

        return AsyncSchedules(self._backend.operations)

    @cached_property
    def flow_control(self) -> "AsyncFlowControl":
        """Limits that runs and messages share."""
        from workflow_agents.client.resources import AsyncFlowControl

        return AsyncFlowControl(self._backend.operations)

    @cached_property
    def keys(self) -> "AsyncKeys":
        """The keys that a server signs with."""
        from workflow_agents.client.resources import AsyncKeys

        return AsyncKeys(self._backend.operations)

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
        served, asked = self._asked(
            workflow,
            body,
            url=url,
            headers=headers,
            workflow_run_id=workflow_run_id,
            retries=retries,
            retry_delay=retry_delay,
            flow_control=flow_control,
            delay=delay,
            not_before=not_before,
            label=label,
            failure_url=failure_url,
            redact=redact,
        )
        return self._handle(served, await self._backend.trigger(asked))

    def _asked(
        self,
        workflow: Any = None,
        body: Any = None,
        *,
        url: str | None = None,
        headers: Mapping[str, str] | None = None,
        workflow_run_id: str | None = None,
        delay: Duration | None = None,
        not_before: Instant | None = None,
        **options: Any,
    ) -> tuple[Any, Trigger]:
        """What is served, and what the backend is asked for; arguments as `trigger`."""
        served = self._served(workflow) if url is None else url
        path = self._backend.destination(served)
        as_body = getattr(served, "as_body", None)
        content, _ = checked_body(
            body if as_body is None else as_body(body), where=f"trigger {path}"
        )
        checked = RunOptions.checked(
            headers=call_headers(headers, "", "http://headers.only", where=f"trigger {path}"),
            **options,
        )
        at: int | None = None
        if delay is not None and not_before is not None:
            raise wrong_option("not_before", "either delay or not_before", not_before)
        if delay is not None:
            at = self._backend.now_ms() + duration_ms(delay)
        elif not_before is not None:
            at = instant_ms(not_before)
        return served, Trigger(path, content, checked, workflow_run_id, at)

    def _handle(self, served: Any, done: TriggeredRun) -> AsyncRunHandle:
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
        """Start several runs; each mapping holds the arguments of one `trigger`.

        They are checked before the first is started. A server is asked once for a hundred.

        Raises:
            UsageError: an option of one of them cannot be used; nothing was started.
        """
        for one in triggers:
            for name in one:
                if name not in _TRIGGER:
                    raise unknown_option(name, _TRIGGER, "client.trigger_many")
        asked = [self._asked(**one) for one in triggers]
        done = await self._backend.trigger_many([trigger for _, trigger in asked])
        return [self._handle(served, one) for (served, _), one in zip(asked, done, strict=True)]

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

    async def cancel_many(
        self,
        ids: Sequence[str] | None = None,
        *,
        where: RunFilters | None = None,
        all: bool = False,
    ) -> int:
        """Cancel several runs; how many were.

        Args:
            ids: of runs; those that are unknown or have ended do not count.
            where: filters that hold together: workflow, url_prefix, label, flow_control_key,
                caller_ip, host, path, since, until.
            all: every run there is.
        """
        chosen = () if ids is None else checked_ids(ids, "ids")
        one_of_three(ids, where, all=all)
        if ids is not None and not chosen:
            return 0
        which = self._which(where or {}, _CANCELLED, chosen, "client.cancel_many")
        return await self._backend.cancel_many(which)

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
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
        **filters: Unpack[RunFilters],
    ) -> "RunLogList":
        """Runs, the newest first; with `run_id`, that run with its steps.

        Args:
            run_id: one run.
            before: the id of the last run seen; or
            cursor: of the list before.
            limit: how many at most.
            filters: workflow, state (RUN_STARTED, RUN_SUCCESS, RUN_FAILED or RUN_CANCELED),
                label, flow_control_key, caller_ip, host, path, since and until.
        """
        from workflow_agents.core.logs import RunLogList

        if run_id is not None:
            return RunLogList([await self.log(run_id)])
        which = self._which(filters, _LISTED, (), "client.logs")
        found, following = await self._backend.logs(
            which, before=before, cursor=cursor, limit=checked_limit(limit)
        )
        return RunLogList(found, following)

    async def search(
        self,
        text: str,
        *,
        cursor: str | None = None,
        limit: int = 20,
        **filters: Unpack[RunFilters],
    ) -> "SearchResult":
        """Runs in whose inputs, results or steps a text stands, the newest first.

        It looks for two seconds, into 10,000 runs, and says how far it has come. ASCII letters
        are found in either case.

        Args:
            text: up to 200 characters; a piece of JSON, such as `"amount": 25`, is one too.
            cursor: of the search before: goes on behind it.
            limit: so many runs are enough; 100 at most over HTTP.
            filters: workflow, state, label.

        Raises:
            ConfigurationError: WA101, WA102.
            NotFound: a server that is not of this project has no search.
        """
        which = self._which(filters, _SEARCHED, (), "client.search")
        return await self._backend.search(text, which, cursor=cursor, limit=checked_limit(limit))

    def _which(
        self, filters: RunFilters, known: tuple[str, ...], ids: tuple[str, ...], where: str
    ) -> Selection:
        given = dict(filters)
        if given.get("workflow") is not None:
            given["workflow"] = self._backend.destination(given["workflow"])
        return Selection.checked(given, known, ids=ids, where=where)


def _backend(backend: Any, token: Any, base_url: str | None) -> Backend:
    """Whoever keeps the runs: as given, or a QStash server."""
    if backend is not None and not isinstance(backend, str) and hasattr(backend, "destination"):
        return backend
    from workflow_agents import config
    from workflow_agents.clock import SystemClock
    from workflow_agents.qstash.backend import OverHttp
    from workflow_agents.qstash.connection import Connection, connection_from, connection_of
    from workflow_agents.qstash.environment import URL, server_variables

    if backend is not None and not isinstance(backend, str):
        return OverHttp(connection_of(backend), SystemClock())
    if given := backend or token:
        where = base_url or server_variables(config.environment()).get(URL)
        return OverHttp(Connection(given, where), SystemClock())
    connection = connection_from({**config.environment(), **({URL: base_url} if base_url else {})})
    if connection is None:
        raise ConfigurationError("WA106", where="AsyncClient()", found="no token was given")
    return OverHttp(connection, SystemClock())


def _notified(waiters: Sequence[Mapping[str, Any]]) -> "list[NotifiedWaiter]":
    from workflow_agents.protocol.results import NotifiedWaiter

    return [NotifiedWaiter(w["workflowRunId"], w["deadline"]) for w in waiters]
