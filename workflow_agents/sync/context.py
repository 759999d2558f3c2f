"""The durable context of a synchronous workflow function: `AsyncWorkflowContext` without await.

Each method is the one of the same name there, handed to the run's task and waited for. What it
does, takes and raises is told there and decided there.
"""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from workflow_agents.context.context import (
    AsyncWorkflowContext,
    Duration,
)
from workflow_agents.context.current_step import CurrentStep
from workflow_agents.context.invocation import Invocation
from workflow_agents.core.bad_options import names_options
from workflow_agents.core.flow_control import FlowControl
from workflow_agents.protocol.headers import Headers
from workflow_agents.protocol.results import (
    CallResponse,
    EventResult,
    InvokeResult,
    NotifyResult,
    Webhook,
    WebhookResult,
)
from workflow_agents.protocol.secrets import Secret
from workflow_agents.sync.api import SyncApi
from workflow_agents.sync.workflow_thread import WorkflowThread

if TYPE_CHECKING:
    from workflow_agents.core.assembly import StreamFormat

P = TypeVar("P")
R = TypeVar("R")


class WorkflowContext(Generic[P]):
    """The durable context of one run, for a plain function; `P` is the type of its payload.

    ```python
    @engine.workflow("/orders")
    def orders(context: WorkflowContext[Order]) -> str:
        receipt = context.run("charge", charge)
        context.sleep("let it settle", "1d")
        return receipt
    ```

    The function has a thread of its own while it works and none while its run is parked: then
    the method that waits raises `WorkflowAbort`, `finally` blocks run, and the function starts
    at the top again when the run wakes. Only that thread may use the context.
    """

    def __init__(self, context: AsyncWorkflowContext[P], thread: WorkflowThread) -> None:
        self._context = context
        self._thread = thread

    @property
    def workflow_run_id(self) -> str:
        """The run's id, "wfr_..."."""
        return self._context.workflow_run_id

    @property
    def url(self) -> str:
        """The address or path of the workflow."""
        return self._context.url

    @property
    def request_payload(self) -> P:
        """What the run was started with."""
        return self._context.request_payload

    @property
    def headers(self) -> Headers:
        """Of the request that started it; names in any case."""
        return self._context.headers

    @property
    def env(self) -> Mapping[str, str | None]:
        """The environment variables that the workflow may read."""
        return self._context.env

    @property
    def labels(self) -> tuple[str, ...]:
        """The run's labels."""
        return self._context.labels

    @property
    def label(self) -> str | None:
        """The first of the labels."""
        return self._context.label

    @property
    def created_at(self) -> int:
        """When the run was created, Unix milliseconds."""
        return self._context.created_at

    @property
    def origin(self) -> str:
        """The id of the first of the runs that were resumed one after the other."""
        return self._context.origin

    @property
    def current_step(self) -> CurrentStep | None:
        """Inside the body of a step: that step."""
        return self._context.current_step

    @property
    def api(self) -> SyncApi:
        """Calls of well-known services: `openai`, `anthropic`, `resend`."""
        return SyncApi(self._context.api, self._wait)

    @overload
    def run(
        self,
        name: str,
        fn: Callable[[], Coroutine[Any, Any, R]],
        *,
        retries: int | None = None,
        retry_delay: str | None = None,
        flow_control: FlowControl | None = None,
    ) -> R: ...
    @overload
    def run(
        self,
        name: str,
        fn: Callable[[], R],
        *,
        retries: int | None = None,
        retry_delay: str | None = None,
        flow_control: FlowControl | None = None,
    ) -> R: ...
    @names_options
    def run(
        self,
        name: str,
        fn: Callable[[], Any],
        *,
        retries: int | None = None,
        retry_delay: str | None = None,
        flow_control: FlowControl | None = None,
    ) -> Any:
        """Run a function once, and have its result for ever. See `AsyncWorkflowContext.run`.

        A plain function runs in the workflow's own thread, a coroutine function on the
        engine's loop.
        """
        return self._wait(
            self._here.run(
                name, fn, retries=retries, retry_delay=retry_delay, flow_control=flow_control
            )
        )

    def sleep(self, name: str, duration: Duration) -> None:
        """Wait for a length of time, hours or months, at no cost while waiting."""
        return self._wait(self._here.sleep(name, duration))

    def sleep_until(self, name: str, instant: int | float | datetime | str) -> None:
        """Wait until an instant: Unix seconds, a datetime, or ISO 8601 text."""
        return self._wait(self._here.sleep_until(name, instant))

    @names_options
    def call(
        self,
        name: str,
        *,
        url: str | None = None,
        workflow: Any = None,
        method: str | None = None,
        body: Any = None,
        headers: Mapping[str, str | Secret] | None = None,
        retries: int = 0,
        retry_delay: str | None = None,
        timeout: Duration | None = None,
        flow_control: FlowControl | None = None,
        raise_for_status: bool = False,
        expect: Sequence[str] = (),
        stream: "StreamFormat | None" = None,
        pause_key: str | None = None,
    ) -> CallResponse[Any]:
        """Have the engine make an HTTP request. See `AsyncWorkflowContext.call`."""
        return self._wait(
            self._here.call(
                name,
                url=url,
                workflow=workflow,
                method=method,
                body=body,
                headers=headers,
                retries=retries,
                retry_delay=retry_delay,
                timeout=timeout,
                flow_control=flow_control,
                raise_for_status=raise_for_status,
                expect=expect,
                stream=stream,
                pause_key=pause_key,
            )
        )

    @names_options
    def wait_for_event(
        self, name: str, event_id: str, *, timeout: Duration = "7d", details: Any = None
    ) -> EventResult[Any]:
        """Wait until someone notifies the event, at most for `timeout`."""
        return self._wait(
            self._here.wait_for_event(name, event_id, timeout=timeout, details=details)
        )

    @names_options
    def recall(self, name: str, conversation: str, *, last: int | None = None) -> list[Any]:
        """The messages of a conversation. See `AsyncWorkflowContext.recall`."""
        return self._wait(self._here.recall(name, conversation, last=last))

    @names_options
    def remember(self, name: str, conversation: str, messages: Sequence[Any]) -> None:
        """Append messages to a conversation. See `AsyncWorkflowContext.remember`."""
        return self._wait(self._here.remember(name, conversation, messages))

    @names_options
    def notify(
        self, name: str, event_id: str, event_data: Any = None, workflow_run_id: str | None = None
    ) -> NotifyResult:
        """Wake every run that waits for the event. See `AsyncWorkflowContext.notify`."""
        return self._wait(self._here.notify(name, event_id, event_data, workflow_run_id))

    @names_options
    def invoke(
        self,
        name: str,
        workflow: Any,
        body: Any = None,
        *,
        headers: Mapping[str, str | Secret] | None = None,
        workflow_run_id: str | None = None,
        retries: int | None = None,
        retry_delay: str | None = None,
        flow_control: FlowControl | None = None,
        label: str | None = None,
    ) -> InvokeResult[Any]:
        """Start a run of another workflow and wait for its end."""
        return self._wait(
            self._here.invoke(
                name,
                workflow,
                body,
                headers=headers,
                workflow_run_id=workflow_run_id,
                retries=retries,
                retry_delay=retry_delay,
                flow_control=flow_control,
                label=label,
            )
        )

    def create_webhook(self, name: str) -> Webhook:
        """Make an address at which this run receives requests."""
        return self._wait(self._here.create_webhook(name))

    @names_options
    def wait_for_webhook(
        self, name: str, webhook: Webhook, *, timeout: Duration = "7d"
    ) -> WebhookResult:
        """Wait for the next request at a webhook; it may be waited for again."""
        return self._wait(self._here.wait_for_webhook(name, webhook, timeout=timeout))

    def cancel(self) -> None:
        """End this run as cancelled. Does not return."""
        return self._wait(self._here.cancel())

    def run_async(self, fn: Callable[[AsyncWorkflowContext[P]], Coroutine[Any, Any, R]]) -> R:
        """Go through a part of this workflow that is written with await; return its result.

        This is not a step: the steps are those that `fn` asks its context for. Parallel
        branches and agents need it:

        ```python
        async def both(context):
            return await asyncio.gather(context.run("a", a), context.run("b", b))

        first, second = context.run_async(both)
        ```
        """
        return self._wait(self._thread.beside(fn, self._here))

    @property
    def _here(self) -> AsyncWorkflowContext[P]:
        self._thread.check_place()
        return self._context

    def _wait(self, coroutine: Coroutine[Any, Any, R]) -> R:
        return self._thread.wait(coroutine)


def sync_face(
    invocation: Invocation, context: AsyncWorkflowContext[P]
) -> tuple[WorkflowContext[P], WorkflowThread]:
    """The synchronous face of a run's context, and the thread that may use it."""
    thread = WorkflowThread(invocation)
    return WorkflowContext(context, thread), thread
