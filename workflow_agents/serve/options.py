"""What a workflow, and a route that it is served at, may be told: declared and documented once.

`Engine.add` and `create_workflow` take `WorkflowOptions`, the doors of web frameworks
`RouteOptions`, `serve` and `async_serve` those and where they are.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from workflow_agents.context.context import AsyncWorkflowContext
from workflow_agents.core.bad_options import unknown_option

if TYPE_CHECKING:
    from workflow_agents.core.flow_control import FlowControl
    from workflow_agents.serve.middleware import WorkflowMiddleware
    from workflow_agents.sync.context import WorkflowContext

FailureFunction = Callable[..., Any]
"""Called with (context, status, response, headers) when a run has failed."""

ServedFunction = (
    Callable[[AsyncWorkflowContext[Any]], Awaitable[Any]] | Callable[["WorkflowContext[Any]"], Any]
)
"""What is served: takes the context, returns JSON data. A plain function gets the plain context."""


class WorkflowOptions(TypedDict, total=False):
    """What a workflow may be told.

    Attributes:
        retries: how often steps and the function are tried again; default 3.
        retry_delay: an expression in milliseconds: "1000 * (1 + retried)".
        flow_control: a key whose limits its runs wait for.
        label: of its runs: a text, or several.
        failure_function: called with (context, status, response, headers) when a run has failed.
        failure_url: is sent a POST instead.
        schema: a type that the payload must fit; default: that of the annotation
            `AsyncWorkflowContext[...]`, if it is a pydantic model or a dataclass.
        initial_payload_parser: makes the payload of the body's text.
        env: what `context.env` is; default: the environment. Of a route, its QSTASH_* variables
            count for the route.
        redact: what logs do not show: {"body": True}.
        middlewares: are told of its runs and steps, in this order.
        verbose: adds `logging_middleware` to them.
    """

    retries: int | None
    retry_delay: str | None
    flow_control: "FlowControl | None"
    label: str | Sequence[str] | None
    failure_function: FailureFunction | None
    failure_url: str | None
    schema: Any
    initial_payload_parser: Callable[[str], Any] | None
    env: Mapping[str, str | None] | None
    redact: Mapping[str, Any] | None
    middlewares: "Sequence[WorkflowMiddleware] | None"
    verbose: bool


class RouteOptions(WorkflowOptions, total=False):
    """What a route may be told: all of `WorkflowOptions`, and where its runs are kept.

    Attributes:
        qstash_client: a `qstash.AsyncQStash` or `QStash`, whose server keeps the runs.
        receiver: a `qstash.Receiver`; requests that are not signed are refused. Default, where a
            QStash server keeps the runs: QSTASH_CURRENT_SIGNING_KEY and QSTASH_NEXT_SIGNING_KEY,
            if both are set; False: nothing is signed.
        url: the route's address from outside, and what `context.url` is; default: the request's.
        base_url: replaces the origin of that; default: UPSTASH_WORKFLOW_URL.
    """

    qstash_client: Any
    receiver: Any
    url: str | None
    base_url: str | None


def check_names(options: Mapping[str, Any], known: type, where: str) -> None:
    """Refuse what is no option; `known` is the class that declares them.

    Raises:
        ConfigurationError: WA101, with the nearest one.
    """
    names: frozenset[str] = getattr(known, "__optional_keys__")  # noqa: B009  # of a TypedDict
    for name in options:
        if name not in names:
            raise unknown_option(name, names, where)
