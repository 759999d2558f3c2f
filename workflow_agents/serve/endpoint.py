"""One HTTP request to a workflow's endpoint, and its answer; knows no web framework.

Source: protocol 3.1 and 3.7. A request starts a run and is answered with its id as soon as
the run is stored, which is when its function asks for its first step. A function that returns
before that refuses the request: 400.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from workflow_agents.core.journal import Completed, Failed
from workflow_agents.core.options import DEFAULT_OPTIONS
from workflow_agents.errors import LimitError, NotFound, StoreError, WorkflowAgentsError
from workflow_agents.protocol.headers import user_headers

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine
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


async def start_run(
    engine: "DurableEngine", workflow: "Workflow", request: Request, receiver: Any = None
) -> Response:
    """Start a run of the workflow with the request's body as its payload."""
    try:
        if receiver is not None:
            _verify(receiver, request)
        engine.ensure_running()
        options = replace(DEFAULT_OPTIONS, headers=user_headers(request.headers), url=request.url)
        if workflow.options.flow_control is not None:
            done = await engine.intake.trigger(workflow.path, request.body, options)
            return _started(done.run_id)
        accepting = engine.accept(workflow.path, request.body, options)
        ending = await accepting.accepted
    except WorkflowAgentsError as error:
        return failed(error)
    if ending is None or isinstance(ending, Completed):
        return _started(accepting.run_id)
    if isinstance(ending, Failed):
        failure = ending.failure
        if failure.status == 400:
            return Response(400, {"message": failure.message, "workflowRunId": NO_RUN})
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
    return Response(503, {"error": "Closed", "message": "the engine was stopped"})


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


def _verify(receiver: Any, request: Request) -> None:
    """Ask a QStash `Receiver` whether the request is signed.

    Raises:
        WorkflowAgentsError: WA402; what failed is in the log only.
    """
    headers = {name.lower(): value for name, value in request.headers}
    signature = headers.get("upstash-signature")
    try:
        if not signature:
            raise ValueError("the header is missing")
        receiver.verify(signature=signature, body=request.body.decode(), url=request.url)
    except Exception as error:
        logger.warning("a request to %s was refused: %s", request.url, error)
        raise WorkflowAgentsError("WA402") from error
