"""What steps return to the workflow function, and how it reads from recorded JSON."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from workflow_agents.protocol.codec import Undecodable, Unencodable, decode, encode

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CallResponse(Generic[T]):
    """The answer to a `context.call`, whatever its status.

    Attributes:
        status: the HTTP status.
        headers: lower-case names, each with its values.
        body: JSON as Python data, other text as str, anything else as bytes; "" if empty.
    """

    status: int
    headers: dict[str, list[str]]
    body: T

    @classmethod
    def read(cls, data: dict[str, Any]) -> "CallResponse[Any]":
        """From the recorded result."""
        return cls(data["status"], data["header"], read_body(data))

    def raise_for_status(self) -> "CallResponse[T]":
        """Itself, if the status is 2xx.

        Raises:
            RemoteError: WA301, with the status and the start of the body.
        """
        if 200 <= self.status < 300:
            return self
        from workflow_agents.errors import RemoteError

        text = self.body if isinstance(self.body, str) else repr(self.body)
        raise RemoteError(
            "WA301",
            f"the called service answered {self.status}",
            status=self.status,
            body=text[:500],
            found=f"expected a 2xx status, found {self.status}: {text[:200]}",
        )


@dataclass(frozen=True, slots=True)
class EventResult(Generic[T]):
    """What became of a `context.wait_for_event`.

    Attributes:
        event_data: what the notification carried; None after a time-out.
        timeout: whether the time ran out first.
    """

    event_data: T
    timeout: bool

    @classmethod
    def read(cls, data: dict[str, Any]) -> "EventResult[Any]":
        """From the recorded result."""
        return EventResult(data.get("data"), data["timeout"])


@dataclass(frozen=True, slots=True)
class NotifiedWaiter:
    """One waiter that a notification woke.

    Attributes:
        workflow_run_id: the run that waited.
        deadline: the end of its wait, Unix seconds.
    """

    workflow_run_id: str
    deadline: int


@dataclass(frozen=True, slots=True)
class NotifyResult:
    """What a notification did.

    Attributes:
        event_id: the event.
        event_data: what it carried.
        notify_response: the waiters that it woke.
        kept: no wait of the named run was open, so it was kept for the next one.
    """

    event_id: str
    event_data: Any
    notify_response: list[NotifiedWaiter] = field(default_factory=list[NotifiedWaiter])
    kept: bool = False

    @classmethod
    def read(cls, data: dict[str, Any]) -> "NotifyResult":
        """From the recorded result."""
        waiters = [NotifiedWaiter(w["workflowRunId"], w["deadline"]) for w in data["notified"]]
        return cls(data["eventId"], data["eventData"], waiters, data["kept"])


@dataclass(frozen=True, slots=True)
class InvokeResult(Generic[T]):
    """How an invoked run ended.

    Attributes:
        body: what it returned; None if it was cancelled or failed.
        is_canceled: it was cancelled.
        is_failed: it failed.
        workflow_run_id: its id.
    """

    body: T
    is_canceled: bool
    is_failed: bool
    workflow_run_id: str

    @classmethod
    def read(cls, data: dict[str, Any]) -> "InvokeResult[Any]":
        """From the recorded result."""
        return InvokeResult(
            data.get("body"), data["isCanceled"], data["isFailed"], data["workflowRunId"]
        )


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address that this run receives requests at.

    Attributes:
        webhook_url: to be given to whoever is to call back.
        event_id: the event that a request at it notifies.
    """

    webhook_url: str
    event_id: str

    @classmethod
    def read(cls, data: dict[str, Any]) -> "Webhook":
        """From the recorded result."""
        return cls(data["webhookUrl"], data["eventId"])


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A request that a webhook received.

    Attributes:
        method: GET, POST, ...
        url: as the caller used it.
        headers: lower-case names, each with its values.
        body: the bytes as they came.
    """

    method: str
    url: str
    headers: dict[str, list[str]]
    body: bytes

    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode()

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class WebhookResult:
    """What became of a `context.wait_for_webhook`.

    Attributes:
        request: what was received; None after a time-out.
        timeout: whether the time ran out first.
    """

    request: WebhookRequest | None
    timeout: bool

    @classmethod
    def read(cls, data: dict[str, Any]) -> "WebhookResult":
        """From the recorded result."""
        request = data.get("data")
        if data["timeout"] or request is None:
            return cls(None, data["timeout"])
        url = f"{request['proto']}://{request['host']}{request['url']}"
        body = base64.b64decode(request.get("body", ""))
        return cls(WebhookRequest(request["method"], url, request["header"], body), timeout=False)


_TEXT_TYPES = (
    "application/json",
    "application/xml",
    "application/javascript",
    "application/x-www-form-urlencoded",
    "application/xhtml+xml",
    "application/ld+json",
    "application/rss+xml",
    "application/atom+xml",
)


def stored_answer(
    status: int,
    headers: Mapping[str, Sequence[str]],
    content: bytes,
    content_type: str,
    timing: Mapping[str, int] | None = None,
) -> bytes:
    """The recorded result of a call.

    A JSON body is recorded as part of it, not as text within its text: its texts then have the
    bytes that they have in every other document, in the next request of a conversation for one,
    and are stored once. So it is with {"status": 200, "header": {...}, "json": {...}}. Where it
    is known how long the parts of the exchange took, they stand in "timing", in milliseconds.
    """
    answer: dict[str, Any] = {"status": status, "header": headers}
    if timing is not None:
        answer["timing"] = timing
    if content.startswith((b"{", b"[")):
        try:
            return encode({**answer, "json": decode(content)})
        except (Undecodable, Unencodable):
            pass
    return encode({**answer, **stored_body(content, content_type)})


def stored_body(content: bytes, content_type: str) -> dict[str, str]:
    """A body as a recorded result holds it: as text where it is text, else in base64."""
    textual = not content_type or content_type.lower().startswith(("text/", *_TEXT_TYPES))
    if textual or "+json" in content_type or "+xml" in content_type:
        try:
            return {"body": content.decode()}
        except UnicodeDecodeError:
            pass
    return {"bodyBase64": base64.b64encode(content).decode()}


def read_body(data: dict[str, Any]) -> Any:
    """The body of a recorded result; text that is JSON becomes Python data."""
    if "json" in data:
        return data["json"]
    if "bodyBase64" in data:
        return base64.b64decode(data["bodyBase64"])
    text = data["body"]
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
