"""What agents need from the context of a run; nothing else of it is known in this room.

The methods give a step its place when they are *called* and return a coroutine, so that steps
of parallel branches are told apart by place, whichever is faster.
"""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from workflow_agents.protocol.results import CallResponse, EventResult, InvokeResult
from workflow_agents.protocol.secrets import Secret

if TYPE_CHECKING:
    from workflow_agents.context.context import CurrentStep, Duration, FlowControl, StreamFormat


Ask = Callable[[Any, str], Coroutine[Any, Any, Any]]
"""How what an agent uses, another agent as its tool or a guardrail, gives an `Agent` a prompt: it
returns the output, and what that costs counts for the agent that uses it."""


class AgentContext(Protocol):
    """The part of a durable context that agents use."""

    workflow_run_id: str
    """The run's id."""

    created_at: int
    """When the run was created, Unix milliseconds."""

    other_models: frozenset[str]
    """Models that a fork asks in place of those of the code."""

    @property
    def current_step(self) -> "CurrentStep | None":
        """Inside the body of a step: that step."""
        ...

    def run(
        self,
        name: str,
        fn: Callable[[], Any],
        *,
        retries: int | None = None,
        retry_delay: str | None = None,
        flow_control: "FlowControl | None" = None,
    ) -> Coroutine[Any, Any, Any]:
        """Run a function once; its result, as JSON gives it back, is recorded for ever.

        `fn` is a coroutine function, or any other, which runs in a thread and may return
        something to be awaited.
        """
        ...

    def call(
        self,
        name: str,
        *,
        url: str,
        method: str = "GET",
        body: Any = None,
        headers: Mapping[str, str | Secret] | None = None,
        retries: int = 0,
        retry_delay: str | None = None,
        timeout: "Duration | None" = None,
        flow_control: "FlowControl | None" = None,
        raise_for_status: bool = False,
        expect: Sequence[str] = (),
        stream: "StreamFormat | None" = None,
        pause_key: str | None = None,
    ) -> Coroutine[Any, Any, CallResponse[Any]]:
        """Have the engine make an HTTP request; its last answer is recorded.

        With `raise_for_status`, one other than 2xx fails the step. With `expect`, one of 2xx
        without these members of a JSON object is a failed attempt like any other. With
        `stream`, the answer is passed on as it comes, and recorded as if it had come whole.
        Requests of one `pause_key` wait together when the provider asks them to.
        """
        ...

    def wait_for_event(
        self, name: str, event_id: str, *, timeout: "Duration" = "7d", details: Any = None
    ) -> Coroutine[Any, Any, EventResult[Any]]:
        """Wait until someone notifies the event; `details` are shown to whoever is to."""
        ...

    def invoke(
        self, name: str, workflow: Any, body: Any = None
    ) -> Coroutine[Any, Any, InvokeResult[Any]]:
        """Start a run of another workflow and wait for its end."""
        ...

    def recall(
        self, name: str, conversation: str, *, last: int | None = None
    ) -> Coroutine[Any, Any, list[Any]]:
        """The messages of a conversation, the newest `last` of them; the same in every replay."""
        ...

    def remember(
        self, name: str, conversation: str, messages: Sequence[Any]
    ) -> Coroutine[Any, Any, None]:
        """Append messages, JSON data, to a conversation, once."""
        ...
