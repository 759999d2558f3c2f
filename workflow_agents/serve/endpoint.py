"""One HTTP request to a workflow's endpoint, and its answer; knows no web framework.

Source: protocol 3.1 and 3.7. A request starts a run and is answered with its id as soon as
the run is stored, which is when its function asks for its first step. A function that returns
before that refuses the request: 400.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from workflow_agents.core.journal import Completed, Failed, Failure
from workflow_agents.core.options import DEFAULT_OPTIONS, RunOptions
from workflow_agents.errors import LimitError, NotFound, StoreError, WorkflowAgentsError
from workflow_agents.protocol.headers import user_headers
from workflow_agents.serve.workflow import Workflow

logger = logging.getLogger(__name__)

NO_RUN = "no-workflow-id"


@dataclass(frozen=True, slots=True)
class Request:
    """A request as every framework has it."""

    url: str
    headers: Iterable[tuple[str, str]]
    body: bytes
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Response:
    """What is answered; `data` is JSON data."""

    status: int
    data: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def body(self) -> bytes:
        """The data as JSON text."""
        return json.dumps(self.data, ensure_ascii=False, separators=(",", ":")).encode()


Verify = Callable[[Request, int], None]
"""Takes a request and the time in Unix seconds; raises WA402 where it is not signed."""


class Accepting(Protocol):
    """A run that is stored with its first step, or never.

    `accepted` ends with None when it is stored, or with how its function ended before that.
    """

    @property
    def run_id(self) -> str:
        """Its id."""
        ...

    @property
    def accepted(self) -> Awaitable[Any]:
        """See the class."""
        ...


class Starter(Protocol):
    """Whoever starts runs."""

    async def trigger_run(self, path: str, body: bytes, options: RunOptions) -> str:
        """Store a run; its id."""
        ...

    def accept_run(self, path: str, body: bytes, options: RunOptions) -> Accepting:
        """Begin a run that is not stored yet."""
        ...


async def start_run(starter: Starter, workflow: Workflow, request: Request) -> Response:
    """Start a run of the workflow with the request's body as its payload."""
    try:
        options = replace(DEFAULT_OPTIONS, headers=user_headers(request.headers), url=request.url)
        if workflow.options.flow_control is not None:
            return _started(await starter.trigger_run(workflow.path, request.body, options))
        accepting = starter.accept_run(workflow.path, request.body, options)
        ending = await accepting.accepted
    except WorkflowAgentsError as error:
        return failed(error)
    if ending is None or isinstance(ending, Completed):
        return _started(accepting.run_id)
    if isinstance(ending, Failed):
        return refused(ending.failure)
    return Response(503, {"error": "Closed", "message": "the engine was stopped"})


def refused(failure: Failure) -> Response:
    """The function ended before its first step: nothing was started."""
    if failure.status == 400:
        told = {"message": failure.message, "workflowRunId": NO_RUN}
        return Response(400, {**told, **(failure.detail or {})})
    status = failure.status if failure.status in {429, 489} else 500
    if failure.detail and failure.detail.get("code") == "WA205":
        status = 422
    return Response(
        status,
        {
            "error": failure.error,
            "message": failure.message,
            **({"detail": dict(failure.detail)} if failure.detail else {}),
        },
    )


def failed(error: WorkflowAgentsError) -> Response:
    """An error of ours as an answer: its five parts, no traceback."""
    status = 500
    if isinstance(error, LimitError):
        status = 413
    elif isinstance(error, NotFound):
        status = 404
    elif isinstance(error, StoreError):
        status = 503
        logger.error("%s", error)
    return Response(
        status, {"error": type(error).__name__, "message": error.what, **error.as_dict()}
    )


def _started(run_id: str) -> Response:
    return Response(200, {"workflowRunId": run_id, "finishCondition": "success"})
