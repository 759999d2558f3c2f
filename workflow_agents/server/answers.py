"""What the server answers: JSON, and `{"error": text}` for what it does not do.

Neither a traceback nor a secret is ever part of it. Source: protocol 6.1.
"""

import base64
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from workflow_agents.errors import (
    LimitError,
    NotFound,
    StateError,
    StoreError,
    UsageError,
    WorkflowAgentsError,
)
from workflow_agents.protocol.callbacks import compact_json

logger = logging.getLogger(__name__)

QUOTA_CODES = frozenset({"WA502", "WA503", "WA505"})
"""What a workflow's SDK must not try again: 412 tells it so. Source: protocol 3.7."""


class Json(Response):
    """A JSON answer."""

    media_type = "application/json"

    def __init__(
        self, data: object, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(compact_json(data), status, headers)


def empty() -> Json:
    """Clients that read JSON of every 2xx are content with this."""
    return Json({})


def refusal(status: int, text: str, headers: Mapping[str, str] | None = None) -> Json:
    """A request that is not carried out, and why."""
    return Json({"error": text}, status, headers)


def refusal_of(error: WorkflowAgentsError) -> Json:
    """The answer to a request that came to an error of ours."""
    return _refusal_of(error, status_of(error))


def _refusal_of(error: WorkflowAgentsError, status: int) -> Json:
    if status >= 500:
        logger.error("a request failed: %s", error, extra={"code": error.code})
        text = error.what if isinstance(error, StoreError) else "internal error"
        return Json({"error": text, "code": error.code}, status)
    return Json({"error": told(error), "code": error.code, "fix": list(error.fix)}, status)


def refusal_of_step(error: WorkflowAgentsError) -> Json:
    """The answer to what the SDK of a run submits.

    400 says that the run is over, and nothing else: JavaScript then drops the step and reports
    success. What cannot be used is 412, which fails the run. Source: protocol 3.7.
    """
    status = status_of(error)
    is_over = isinstance(error, StateError)
    return _refusal_of(error, 412 if status == 400 and not is_over else status)


def told(error: WorkflowAgentsError) -> str:
    """One line for a client: what is wrong, and what was found."""
    found = "; ".join(error.found)
    return f"{error.what}: {found}" if found else error.what


def status_of(error: WorkflowAgentsError) -> int:
    """The HTTP status of an error."""
    match error:
        case NotFound():
            return 404
        case LimitError(code="WA501"):
            return 413
        case LimitError() if error.code in QUOTA_CODES:
            return 412
        case UsageError():
            return 400
        case StoreError():
            return 503
        case _:
            return 500


def page(name: str, items: Sequence[Any], cursor: str | None) -> Json:
    """A part of a list; the last one has no cursor."""
    data: dict[str, Any] = {name: list(items)}
    if cursor:
        data["cursor"] = cursor
    return Json(data)


def body_fields(body: bytes, name: str = "body") -> dict[str, str]:
    """A body as JSON shows it: as text, or in base64 where it is no UTF-8; nothing if empty."""
    if not body:
        return {}
    try:
        return {name: body.decode()}
    except UnicodeDecodeError:
        return {f"{name}Base64": base64.b64encode(body).decode()}


def without_empty(data: Mapping[str, Any]) -> dict[str, Any]:
    """The members that say something: neither None, nor "" nor empty; 0 and False do."""
    return {n: v for n, v in data.items() if v is not None and v != "" and v != {} and v != []}
