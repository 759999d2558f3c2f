"""The durable context: what a workflow function receives, and its public methods.

Every method that makes a step gives it its place when it is *called* and returns a coroutine
to be awaited, in this task or another: `gather(context.run(...), context.run(...))` is two
branches whose steps are told apart by place, whichever is faster.
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from workflow_agents.context.branches import BRANCH, InsideStep
from workflow_agents.context.invocation import Invocation
from workflow_agents.context.steps import (
    create_webhook_step,
    notify_step,
    recall_step,
    remember_step,
    run_step,
    wait_step,
)
from workflow_agents.core.bad_options import names_options, wrong_option
from workflow_agents.core.checks import (
    call_headers,
    checked_body,
    checked_conversation,
    checked_event_id,
    checked_pause_key,
    checked_run_id,
    checked_stream,
)
from workflow_agents.core.journal import Call, Invoke, Plan, Sleep, WaitForEvent
from workflow_agents.core.options import RunOptions, checked_flow_control
from workflow_agents.core.retry import RetryPolicy, delay_of
from workflow_agents.errors import ConfigurationError, StepUsageError
from workflow_agents.protocol.codec import decode
from workflow_agents.protocol.headers import Headers
from workflow_agents.protocol.history import StepKind, idempotency_key
from workflow_agents.protocol.times import duration_ms, instant_ms

if TYPE_CHECKING:
    from workflow_agents.context.api import ContextApi
    from workflow_agents.context.current_step import CurrentStep
    from workflow_agents.core.assembly import StreamFormat
    from workflow_agents.core.flow_control import FlowControl
    from workflow_agents.protocol.results import (
        CallResponse,
        EventResult,
        InvokeResult,
        NotifyResult,
        Webhook,
        WebhookResult,
    )
    from workflow_agents.protocol.secrets import Secret

P = TypeVar("P")
R = TypeVar("R")

Duration = int | float | str | timedelta
"""Seconds as a number, "30s", "1d12h", or a timedelta."""

_DEFAULT_WAIT: Duration = "7d"


class AsyncWorkflowContext(Generic[P]):
    """The durable context of one run; `P` is the type of its payload.

    Attributes:
        workflow_run_id: the run's id, "wfr_...".
        url: the address or path of the workflow.
        request_payload: what the run was started with, as `P`.
        headers: of the request that started it; names in any case.
        env: the environment variables that the workflow may read.
        labels: the run's labels.
        created_at: when the run was created, Unix milliseconds.
        origin: the id of the run that this one was resumed from, and that from, and so on; its
            own, if it was not.
    """

    def __init__(
        self,
        invocation: Invocation,
        *,
        workflow_run_id: str,
        url: str,
        request_payload: P,
        headers: Headers,
        env: Mapping[str, str | None],
        labels: tuple[str, ...],
        created_at: int,
        policy: RetryPolicy,
        origin: str | None = None,
        other_models: frozenset[str] = frozenset(),
    ) -> None:
        self._invocation = invocation
        self._policy = policy
        self.workflow_run_id = workflow_run_id
        self.url = url
        self.request_payload = request_payload
        self.headers = headers
        self.env = env
        self.labels = labels
        self.created_at = created_at
        self.origin = origin or workflow_run_id
        self.other_models = other_models

    @property
    def label(self) -> str | None:
        """The first of the labels."""
        return self.labels[0] if self.labels else None

    @property
    def api(self) -> "ContextApi":
        """Calls of well-known services: `openai`, `anthropic`, `resend`."""
        from workflow_agents.context.api import ContextApi

        return ContextApi(self.call)

    @property
    def current_step(self) -> "CurrentStep | None":
        """Inside the body of a step, in the thread or task that it runs in: that step."""
        inside = BRANCH.get()
        if not isinstance(inside, InsideStep):
            return None
        from workflow_agents.context.current_step import CurrentStep

        key = idempotency_key(self.origin, inside.key)
        return CurrentStep(inside.name, inside.key, key, inside.attempt)

    @overload
    def run(
        self,
        name: str,
        fn: Callable[[], Coroutine[Any, Any, R]],
        *,
        retries: int | None = None,
        retry_delay: str | None = None,
        flow_control: "FlowControl | None" = None,
    ) -> Coroutine[Any, Any, R]: ...
    @overload
    def run(
        self,
        name: str,
        fn: Callable[[], R],
        *,
        retries: int | None = None,
        retry_delay: str | None = None,
        flow_control: "FlowControl | None" = None,
    ) -> Coroutine[Any, Any, R]: ...
    @names_options
    def run(
        self,
        name: str,
        fn: Callable[[], Any],
        *,
        retries: int | None = None,
        retry_delay: str | None = None,
        flow_control: "FlowControl | None" = None,
    ) -> Coroutine[Any, Any, Any]:
        """Run a function once, and have its result for ever.

        Args:
            name: what people find the step by. The same name may come again.
            fn: takes nothing; a coroutine function, or any other, which runs in a thread.
            retries: how often it may be tried again; default: the run's.
            retry_delay: an expression in milliseconds, `retried` counting from 0.
            flow_control: a key whose limits the body waits for.

        Returns:
            What `fn` returned, as JSON gives it back; a dataclass or pydantic model where
            `fn` is annotated to return one. Where it is not annotated, an object may be read
            by attribute too: `user.name`.

        Raises:
            StepFailed: it raised in every attempt.
        """
        key = self._invocation.request(StepKind.RUN, name)
        if not callable(fn):
            raise StepUsageError(
                "WA102",
                "a step needs a function",
                where=f"run {name!r}",
                found=f"expected a function without arguments, found {fn!r}",
                why="it was probably called where it should have been passed",
                fix=(f"await context.run({name!r}, fn)   # not fn()",),
            )
        checked_flow_control(flow_control)
        policy = self._policy
        if retries is not None or retry_delay is not None:
            policy = _policy(retries, retry_delay, default=policy)
        return run_step(self._invocation, key, name, fn, policy, flow_control)

    def sleep(self, name: str, duration: Duration) -> Coroutine[Any, Any, None]:
        """Wait for a length of time, hours or months, at no cost while waiting."""
        key = self._invocation.request(StepKind.SLEEP, name)
        plan = Sleep(after_ms=duration_ms(duration))
        return self._wait(key, StepKind.SLEEP, name, plan, _nothing)

    def sleep_until(
        self, name: str, instant: int | float | datetime | str
    ) -> Coroutine[Any, Any, None]:
        """Wait until an instant: Unix seconds, a datetime, or ISO 8601 text."""
        key = self._invocation.request(StepKind.SLEEP_UNTIL, name)
        plan = Sleep(due_at=instant_ms(instant))
        return self._wait(key, StepKind.SLEEP_UNTIL, name, plan, _nothing)

    @names_options
    def call(
        self,
        name: str,
        *,
        url: str | None = None,
        workflow: Any = None,
        method: str | None = None,
        body: Any = None,
        headers: "Mapping[str, str | Secret] | None" = None,
        retries: int = 0,
        retry_delay: str | None = None,
        timeout: Duration | None = None,
        flow_control: "FlowControl | None" = None,
        raise_for_status: bool = False,
        expect: Sequence[str] = (),
        stream: "StreamFormat | None" = None,
        pause_key: str | None = None,
    ) -> "Coroutine[Any, Any, CallResponse[Any]]":
        """Have the engine make an HTTP request, while the run costs nothing.

        Args:
            name: what people find the step by.
            url: http or https.
            workflow: in place of it, a workflow that is served beside this one, or its name:
                starts a run of it and does not wait for its end. The answer's body has its
                `workflowRunId`.
            method: GET, POST, ...; default: GET, of a workflow POST.
            body: str and bytes as they are, anything else as JSON.
            headers: values may be a `Secret`.
            retries: how often an answer other than 2xx is tried again.
            retry_delay: an expression in milliseconds.
            timeout: of one attempt; default: the engine's.
            flow_control: a key whose limits the request waits for.
            raise_for_status: a last answer other than 2xx fails the step, so that a resumed
                run calls again.
            expect: members that the JSON object of a 2xx answer has to have. One without
                them is a failed attempt like a 500: it is tried again, and the last fails
                the step.
            stream: the answer is a stream of events in this format: "chat.completions",
                "responses" or "anthropic.messages". Whoever listens (`handle.stream()`) hears
                it as it comes; the step's result is what the provider answers without
                streaming. The body has to ask for it (`"stream": True`).
            pause_key: shared by all requests to one account of a provider, over all runs.
                Answered 429, they all wait until the time that the provider names, as rows,
                and then go on one by one at first. That spends none of the `retries`.

        Returns:
            The last answer, whatever its status.

        Raises:
            StepFailed: no answer came in any attempt, or none that `raise_for_status` and
                `expect` want.
        """
        key = self._invocation.request(StepKind.CALL, name)
        checked_flow_control(flow_control)
        checked_stream(stream)
        checked_pause_key(pause_key)
        if (url is None) == (workflow is None):
            raise wrong_option("url", "either url or workflow", url)
        if url is None:
            url = _beside(self.url, workflow, name)
        if method is None:
            method = "GET" if workflow is None else "POST"
        if not isinstance(method, str) or not method.isalpha():  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
            raise wrong_option("method", "an HTTP method such as 'POST'", method)
        if isinstance(expect, str) or not all(isinstance(member, str) for member in expect):  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
            raise wrong_option("expect", "a list of names such as ['choices']", expect)
        from workflow_agents.protocol.results import CallResponse

        content, content_type = checked_body(body, where=f"call {name!r}")
        plan = Call(
            url=url,
            method=method.upper(),
            headers=call_headers(headers, content_type, url, where=f"call {name!r}"),
            body=content,
            policy=_policy(retries, retry_delay, default=RetryPolicy(0)),
            timeout_ms=None if timeout is None else duration_ms(timeout),
            flow_control=flow_control,
            raise_for_status=raise_for_status,
            expect=tuple(expect),
            stream=stream,
            pause_key=pause_key,
        )
        return self._wait(key, StepKind.CALL, name, plan, CallResponse[Any].read)

    @names_options
    def wait_for_event(
        self,
        name: str,
        event_id: str,
        *,
        timeout: Duration = _DEFAULT_WAIT,
        details: Any = None,
    ) -> "Coroutine[Any, Any, EventResult[Any]]":
        """Wait until someone notifies the event, at most for `timeout`.

        Args:
            name: what people find the step by.
            event_id: what is notified.
            timeout: after it the result says `timeout`; default: seven days.
            details: JSON data for whoever is to answer; the run's log shows them while it waits.
        """
        key = self._invocation.request(StepKind.WAIT, name)
        if details is not None:
            # Read back, so that a bad value is told here and not by the keeper.
            details = decode(checked_body([details], where=f"wait {name!r}, details")[0])[0]
        event_id = checked_event_id(event_id, f"wait {name!r}")
        from workflow_agents.protocol.results import EventResult

        plan = WaitForEvent(event_id, duration_ms(timeout), details)
        return self._wait(key, StepKind.WAIT, name, plan, EventResult[Any].read)

    @names_options
    def notify(
        self, name: str, event_id: str, event_data: Any = None, workflow_run_id: str | None = None
    ) -> "Coroutine[Any, Any, NotifyResult]":
        """Wake every run that waits for the event.

        With `workflow_run_id`, only that run; and if it does not wait yet, the notification is
        kept for its next wait.
        """
        key = self._invocation.request(StepKind.NOTIFY, name)
        if workflow_run_id is not None:
            workflow_run_id = checked_run_id(workflow_run_id)
        data, _ = checked_body(event_data, where=f"notify {name!r}")
        return self._notify(
            key, name, checked_event_id(event_id, f"notify {name!r}"), data, workflow_run_id
        )

    @names_options
    def invoke(
        self,
        name: str,
        workflow: Any,
        body: Any = None,
        *,
        headers: "Mapping[str, str | Secret] | None" = None,
        workflow_run_id: str | None = None,
        retries: int | None = None,
        retry_delay: str | None = None,
        flow_control: "FlowControl | None" = None,
        label: str | None = None,
    ) -> "Coroutine[Any, Any, InvokeResult[Any]]":
        """Start a run of another workflow and wait for its end.

        `workflow` is what `@serve.post` or `@engine.workflow` returned, or its path.
        """
        key = self._invocation.request(StepKind.INVOKE, name)
        content, _ = checked_body(body, where=f"invoke {name!r}")
        options = RunOptions.checked(
            retries=retries, retry_delay=retry_delay, flow_control=flow_control, label=label
        )
        plan = Invoke(
            workflow=_path_of(workflow, f"invoke {name!r}"),
            body=content,
            headers=call_headers(headers, "", "http://headers.only", where=f"invoke {name!r}"),
            options=options.to_json(),
            run_id=workflow_run_id,
        )
        from workflow_agents.protocol.results import InvokeResult

        return self._wait(key, StepKind.INVOKE, name, plan, InvokeResult[Any].read)

    def create_webhook(self, name: str) -> "Coroutine[Any, Any, Webhook]":
        """Make an address at which this run receives requests."""
        key = self._invocation.request(StepKind.CREATE_WEBHOOK, name)
        return self._webhook(key, name)

    @names_options
    def wait_for_webhook(
        self, name: str, webhook: "Webhook", *, timeout: Duration = _DEFAULT_WAIT
    ) -> "Coroutine[Any, Any, WebhookResult]":
        """Wait for the next request at a webhook; it may be waited for again."""
        from workflow_agents.protocol.results import Webhook, WebhookResult

        kind = StepKind.WAIT_FOR_WEBHOOK
        key = self._invocation.request(kind, name)
        if not isinstance(webhook, Webhook):  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
            raise wrong_option("webhook", "what create_webhook returned", webhook)
        plan = WaitForEvent(webhook.event_id, duration_ms(timeout))
        return self._wait(key, kind, name, plan, WebhookResult.read)

    @names_options
    def recall(
        self, name: str, conversation: str, *, last: int | None = None
    ) -> Coroutine[Any, Any, list[Any]]:
        """The messages of a conversation that is kept across runs, the oldest first.

        A replay sees the same messages, whatever other runs have added since. What is recorded
        is only how far was read. Agents do this by `agents.task(conversation=...)`.

        Args:
            name: what people find the step by.
            conversation: the key that it is kept under.
            last: only so many of the newest messages.
        """
        key = self._invocation.request(StepKind.RUN, name)
        conversation = checked_conversation(conversation)
        if last is not None and (not isinstance(last, int) or last < 1):  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
            raise wrong_option("last", "a whole number from 1, or None", last)
        return recall_step(self._invocation, key, name, conversation, last)

    @names_options
    def remember(
        self, name: str, conversation: str, messages: Sequence[Any]
    ) -> Coroutine[Any, Any, None]:
        """Append messages, JSON data, to a conversation that is kept across runs.

        They are appended together, once, in the transaction that records the step.
        """
        key = self._invocation.request(StepKind.RUN, name)
        conversation = checked_conversation(conversation)
        where = f"remember {name!r}"
        # In a list, because a text alone would be taken as it is and not as JSON.
        encoded = [checked_body([m], where=where)[0][1:-1] for m in messages]
        return remember_step(self._invocation, key, name, conversation, encoded)

    async def cancel(self) -> None:
        """End this run as cancelled. Does not return."""
        self._invocation.journal.cancel()
        await self._invocation.loop.create_future()

    async def _notify(
        self, key: Any, name: str, event_id: str, data: bytes, run_id: str | None
    ) -> "NotifyResult":
        from workflow_agents.protocol.results import NotifyResult

        invocation = self._invocation
        return NotifyResult.read(await notify_step(invocation, key, name, event_id, data, run_id))

    async def _webhook(self, key: Any, name: str) -> "Webhook":
        from workflow_agents.protocol.results import Webhook

        return Webhook.read(await create_webhook_step(self._invocation, key, name))

    def _wait(
        self,
        key: Any,
        kind: StepKind,
        name: str,
        plan: Plan,
        read: Callable[[Any], R],
    ) -> Coroutine[Any, Any, R]:
        return wait_step(self._invocation, key, kind, name, plan, read)


def check_step_options(
    retries: int | None, retry_delay: str | None, flow_control: "FlowControl | None"
) -> None:
    """Refuse options that a `run` step would refuse.

    Raises:
        ConfigurationError: WA102, WA104.
    """
    _policy(retries, retry_delay, default=RetryPolicy(0))
    checked_flow_control(flow_control)


def _nothing(_data: Any) -> None:
    return None


def _policy(retries: int | None, delay: str | None, *, default: RetryPolicy) -> RetryPolicy:
    return RetryPolicy(
        retries=default.retries if retries is None else retries,
        delay=delay_of(delay) or default.delay,
    )


WorkflowFunction = Callable[[AsyncWorkflowContext[Any]], Awaitable[Any]]
"""What is served: takes the context, returns JSON data."""


def _path_of(workflow: Any, where: str) -> str:
    path = getattr(workflow, "path", workflow)
    if not isinstance(path, str):
        raise ConfigurationError(
            "WA107", where=where, found=f"expected a workflow or its path, found {workflow!r}"
        )
    return path


def _beside(url: str, workflow: Any, name: str) -> str:
    """Source: protocol 4.3, a call of a workflow: the last part of the address is its name."""
    path = _path_of(workflow, f"call {name!r}")
    return f"{url.partition('?')[0].rpartition('/')[0]}/{path.rpartition('/')[2]}"
