"""The synchronous client: `AsyncClient` without await.

Each method is the one of the same name there, done on the process's private loop and waited
for; so it works in scripts, in threads, and inside a running loop. What it does, takes and
raises is told there and decided there.
"""

import builtins
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Unpack

from workflow_agents.client import (
    UNCHANGED,
    AsyncClient,
    AsyncDeadLetters,
    AsyncRunHandle,
    Duration,
    Instant,
)
from workflow_agents.core.bad_options import names_options
from workflow_agents.core.dead_letters import DeadLetter, DeadLetterList
from workflow_agents.core.flow_control import FlowControl
from workflow_agents.core.logs import RunLog, RunLogList
from workflow_agents.core.searching import SearchResult
from workflow_agents.core.selection import RunFilters
from workflow_agents.core.step_logs import FeedEntry
from workflow_agents.core.stream_events import StreamEvent
from workflow_agents.core.workflow_events import WorkflowEvent
from workflow_agents.protocol.history import StepKey
from workflow_agents.protocol.results import NotifiedWaiter
from workflow_agents.sync.loop_thread import LOOP_THREAD
from workflow_agents.sync.messages import Messages, Schedules
from workflow_agents.sync.people import Approvals, Conversations
from workflow_agents.sync.resources import FlowControlKeys, Keys, Queues, UrlGroups

_wait = LOOP_THREAD.wait


class RunHandle:
    """A run, to be followed.

    An interrupt (Ctrl-C) while it is waited for ends the waiting and not the run.
    """

    def __init__(self, handle: AsyncRunHandle) -> None:
        self._handle = handle

    @property
    def run_id(self) -> str:
        """Its id."""
        return self._handle.run_id

    @property
    def deduplicated(self) -> bool:
        """Whether the trigger found a run of this id and made no other."""
        return self._handle.deduplicated

    def status(self) -> str:
        """RUN_STARTED, RUN_SUCCESS, RUN_FAILED or RUN_CANCELED."""
        return _wait(self._handle.status())

    def result(self) -> Any:
        """Wait for the end of the run, and return what its function returned.

        Raises:
            RunFailed: it failed or was cancelled.
        """
        return _wait(self._handle.result())

    def log(self) -> RunLog:
        """The run and its steps."""
        return _wait(self._handle.log())

    def feed(self, after: int = 0) -> Iterator[FeedEntry]:
        """Everything that happens to the run, from the beginning, until it has ended."""
        return LOOP_THREAD.iterate(self._handle.feed(after))

    def stream(self, after: int = 0) -> Iterator[StreamEvent]:
        """What is said in the run while it is said. See `AsyncRunHandle.stream`."""
        return LOOP_THREAD.iterate(self._handle.stream(after))

    def cancel(self) -> bool:
        """End the run as cancelled. False: it had ended before."""
        return _wait(self._handle.cancel())

    @names_options
    def fork(
        self,
        step: StepKey | None = None,
        *,
        result: Any = UNCHANGED,
        body: Any = UNCHANGED,
        model: str | None = None,
        system: str | None = None,
        prompt: str | None = None,
        retries: int | None = None,
        retry_delay: str | None = None,
        flow_control: FlowControl | None = None,
        label: str | Sequence[str] | None = None,
    ) -> "RunHandle":
        """Start a run that begins like this one. See `AsyncRunHandle.fork`."""
        return RunHandle(
            _wait(
                self._handle.fork(
                    step,
                    result=result,
                    body=body,
                    model=model,
                    system=system,
                    prompt=prompt,
                    retries=retries,
                    retry_delay=retry_delay,
                    flow_control=flow_control,
                    label=label,
                )
            )
        )

    def __repr__(self) -> str:
        return f"RunHandle({self.run_id!r})"


class DeadLetters:
    """`client.dlq`: runs that failed for good."""

    def __init__(self, dlq: AsyncDeadLetters) -> None:
        self._dlq = dlq

    def list(
        self,
        *,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
        **filters: Unpack[RunFilters],
    ) -> DeadLetterList:
        """The newest first. See `AsyncDeadLetters.list`."""
        return _wait(self._dlq.list(before=before, cursor=cursor, limit=limit, **filters))

    def get(self, dlq_id: str) -> DeadLetter:
        """One of them, with its run's steps."""
        return _wait(self._dlq.get(dlq_id))

    def resume(self, dlq_id: str, **options: Any) -> RunHandle:
        """A new run that begins with every step that this one had finished."""
        return RunHandle(_wait(self._dlq.resume(dlq_id, **options)))

    def restart(self, dlq_id: str, **options: Any) -> RunHandle:
        """A new run with the same payload, from the top."""
        return RunHandle(_wait(self._dlq.restart(dlq_id, **options)))

    def resume_many(
        self,
        ids: Sequence[str] | None = None,
        *,
        where: RunFilters | None = None,
        all: bool = False,
        **options: Any,
    ) -> builtins.list[RunHandle]:
        """Resume several. See `AsyncDeadLetters.resume_many`."""
        return [*map(RunHandle, _wait(self._dlq.resume_many(ids, where=where, all=all, **options)))]

    def restart_many(
        self,
        ids: Sequence[str] | None = None,
        *,
        where: RunFilters | None = None,
        all: bool = False,
        **options: Any,
    ) -> builtins.list[RunHandle]:
        """Restart several. See `AsyncDeadLetters.restart_many`."""
        return [
            *map(RunHandle, _wait(self._dlq.restart_many(ids, where=where, all=all, **options)))
        ]

    def retry_failure_function(self, dlq_id: str) -> None:
        """Call the failure function again, if it has failed."""
        return _wait(self._dlq.retry_failure_function(dlq_id))

    def delete(self, dlq_id: str) -> None:
        """Remove it; its run stays in the logs."""
        return _wait(self._dlq.delete(dlq_id))

    def delete_many(
        self,
        ids: Sequence[str] | None = None,
        *,
        where: RunFilters | None = None,
        all: bool = False,
    ) -> int:
        """Remove several; how many were."""
        return _wait(self._dlq.delete_many(ids, where=where, all=all))


class Client:
    """Starts and follows runs, for code without await.

    `engine.sync_client` and the `serve.client` of Flask are made already.

    Args:
        client: an `AsyncClient`, or what `AsyncClient` is made with; `options` go with it.
            Default: the server that the environment names.
    """

    def __init__(self, client: Any = None, **options: Any) -> None:
        self._client = client if isinstance(client, AsyncClient) else AsyncClient(client, **options)
        self.dlq = DeadLetters(self._client.dlq)
        self.approvals = Approvals(self._client.approvals)
        self.conversations = Conversations(self._client.conversations)
        self.messages = Messages(self._client.messages)
        self.queues = Queues(self._client.queues)
        self.url_groups = UrlGroups(self._client.url_groups)
        self.schedules = Schedules(self._client.schedules)
        self.flow_control = FlowControlKeys(self._client.flow_control)
        self.keys = Keys(self._client.keys)

    @names_options
    def trigger(
        self,
        workflow: Any = None,
        body: Any = None,
        *,
        url: str | None = None,
        headers: Mapping[str, str] | None = None,
        workflow_run_id: str | None = None,
        retries: int | None = None,
        retry_delay: str | None = None,
        flow_control: FlowControl | None = None,
        delay: Duration | None = None,
        not_before: Instant | None = None,
        label: str | Sequence[str] | None = None,
        failure_url: str | None = None,
        redact: Mapping[str, Any] | None = None,
    ) -> RunHandle:
        """Start a run. It is durable when this returns. See `AsyncClient.trigger`."""
        return RunHandle(
            _wait(
                self._client.trigger(
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
            )
        )

    def close(self) -> None:
        """Close the connections to a QStash server; they open again when they are needed."""
        return _wait(self._client.close())

    def trigger_many(self, triggers: Sequence[Mapping[str, Any]]) -> list[RunHandle]:
        """Start several runs; each mapping holds the arguments of one `trigger`."""
        return [RunHandle(handle) for handle in _wait(self._client.trigger_many(triggers))]

    def run(self, workflow: Any, body: Any = None, **options: Any) -> Any:
        """Start a run and wait for its result. See `AsyncClient.run`."""
        return _wait(self._client.run(workflow, body, **options))

    def events(
        self,
        workflow_run_id: str | None = None,
        *,
        label: str | None = None,
        after: int | None = None,
    ) -> Iterator[WorkflowEvent]:
        """What happens, while it happens. See `AsyncClient.events`."""
        return LOOP_THREAD.iterate(self._client.events(workflow_run_id, label=label, after=after))

    def handle(self, run_id: str) -> RunHandle:
        """The handle of a run that was started before."""
        return RunHandle(self._client.handle(run_id))

    def cancel(self, run_id: str) -> bool:
        """End a run as cancelled. False: it had ended before."""
        return _wait(self._client.cancel(run_id))

    def cancel_many(
        self,
        ids: Sequence[str] | None = None,
        *,
        where: RunFilters | None = None,
        all: bool = False,
    ) -> int:
        """Cancel several runs; how many were. See `AsyncClient.cancel_many`."""
        return _wait(self._client.cancel_many(ids, where=where, all=all))

    def notify(
        self, event_id: str, event_data: Any = None, *, workflow_run_id: str | None = None
    ) -> list[NotifiedWaiter]:
        """Wake every run that waits for the event. See `AsyncClient.notify`."""
        return _wait(self._client.notify(event_id, event_data, workflow_run_id=workflow_run_id))

    def get_waiters(self, event_id: str) -> list[NotifiedWaiter]:
        """Who waits for the event now."""
        return _wait(self._client.get_waiters(event_id))

    def log(self, run_id: str) -> RunLog:
        """A run and its steps."""
        return _wait(self._client.log(run_id))

    def search(
        self,
        text: str,
        *,
        cursor: str | None = None,
        limit: int = 20,
        **filters: Unpack[RunFilters],
    ) -> SearchResult:
        """Runs in whose inputs, results or steps a text stands, the newest first."""
        return _wait(self._client.search(text, cursor=cursor, limit=limit, **filters))

    def logs(
        self,
        run_id: str | None = None,
        *,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
        **filters: Unpack[RunFilters],
    ) -> RunLogList:
        """Runs, the newest first; with `run_id`, that run with its steps."""
        return _wait(
            self._client.logs(run_id, before=before, cursor=cursor, limit=limit, **filters)
        )
