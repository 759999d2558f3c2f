"""From an exception to a recorded failure, and back. Pure.

A failure is stored as JSON, so that a replay in another process raises what the first
execution raised.
"""

import os
import traceback
from collections.abc import Iterator
from typing import Any, cast

from workflow_agents.core.journal import Failure
from workflow_agents.errors import (
    AgentStopped,
    StepFailed,
    UsageError,
    WorkflowAgentsError,
    WorkflowNonRetryableError,
    WorkflowRetryAfterError,
)
from workflow_agents.protocol.times import duration_ms

NON_RETRYABLE_STATUS = 489
"""Source: protocol, endpoint responses."""

_RECORDED = frozenset({"WA703", "WA704", "WA705"})
_MESSAGE_CHARACTERS = 4_000
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def failure_of(error: BaseException) -> Failure:
    """What is recorded of an exception that a step's body or a workflow function raised."""
    name, message, where = type(error).__name__, _message(error), _where(error)
    if isinstance(error, WorkflowNonRetryableError):
        return Failure(name, message, NON_RETRYABLE_STATUS, where, final=True)
    if isinstance(error, WorkflowRetryAfterError):
        after_ms = duration_ms(error.retry_after)
        return Failure(name, message, 429, where, retry_after_ms=after_ms)
    leaves = [*_leaves(error)]
    if leaves and all(isinstance(leaf, StepFailed) for leaf in leaves):
        first = leaves[0]
        assert isinstance(first, StepFailed)  # noqa: S101  # for the type checker
        return Failure(first.error, first.message, first.status, where, first.as_dict(), final=True)
    if isinstance(error, WorkflowAgentsError):
        # What models and tools answered is recorded: trying again would read the same.
        final = isinstance(error, UsageError | AgentStopped) or error.code in _RECORDED
        return Failure(name, f"{error.code} {error.what}", 500, where, error.as_dict(), final=final)
    return Failure(name, message, 500, where)


def to_json(failure: Failure, *, attempts: int) -> dict[str, Any]:
    """What is stored of a failure for good."""
    data: dict[str, Any] = {
        "error": failure.error,
        "message": failure.message,
        "status": failure.status,
        "attempts": attempts,
    }
    if failure.where:
        data["where"] = failure.where
    if failure.detail:
        data["detail"] = dict(failure.detail)
    return data


def step_failed(name: str, data: dict[str, Any]) -> StepFailed:
    """The exception that stands for a recorded failure."""
    return StepFailed(
        name,
        data["error"],
        data["message"],
        data["attempts"],
        data.get("status", 500),
        _body(data.get("detail")),
    )


def _body(detail: Any) -> str:
    return detail.get("body", "") if detail else ""


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception as broken:  # noqa: BLE001  # a user's __str__ may raise anything
        text = f"(its text cannot be made: {type(broken).__name__})"
    return text[:_MESSAGE_CHARACTERS]


def _where(error: BaseException) -> str:
    """The last line of the user's code in the traceback: "app.py:41 in charge"."""
    # Not `extract_tb`, which looks for the columns of each line, too.
    lines = [(f.f_code, line) for f, line in traceback.walk_tb(error.__traceback__)]
    own = [at for at in lines if not at[0].co_filename.startswith(_PACKAGE)] or lines
    if not own:
        return ""
    code, line = own[-1]
    return f"{os.path.relpath(code.co_filename)}:{line} in {code.co_name}"


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        for one in group.exceptions:
            yield from _leaves(one)
    else:
        yield error
