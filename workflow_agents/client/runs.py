"""A run as its starter sees it: its state, its result, its feed, and what can be done with it."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any

from workflow_agents.core.backend import Backend
from workflow_agents.core.bad_options import names_options, wrong_option
from workflow_agents.core.checks import checked_body
from workflow_agents.core.options import RunOptions
from workflow_agents.errors import StateError, StepUsageError
from workflow_agents.protocol.codec import Unencodable, encode
from workflow_agents.protocol.history import StepKey

if TYPE_CHECKING:
    from workflow_agents.core.flow_control import FlowControl
    from workflow_agents.core.logs import RunLog
    from workflow_agents.core.step_logs import FeedEntry
    from workflow_agents.core.stream_events import StreamEvent

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
        model: str | None = None,
        system: str | None = None,
        prompt: str | None = None,
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
            model: of a step that asks a model: another one of the same provider, for this call
                and all later ones of its agent.
            system: other instructions, likewise.
            prompt: in place of what the user has said last before this step, likewise.
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
        ask = None
        if model is not None or system is not None or prompt is not None:
            from workflow_agents.core.model_asks import checked_ask

            ask = checked_ask(model, system, prompt)
        done = await self._backend.fork(
            self.run_id, options, step=step, body=content, result=given, ask=ask
        )
        return AsyncRunHandle(self._backend, done.run_id)

    def __repr__(self) -> str:
        return f"AsyncRunHandle({self.run_id!r})"


def _as_result(value: Any) -> bytes:
    try:
        return encode(value)
    except Unencodable as error:
        where = f"fork, result at {error.path}"
        raise StepUsageError("WA204", where=where, found=error.reason) from error
