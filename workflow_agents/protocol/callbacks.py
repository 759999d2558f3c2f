"""What a callback and a failure callback bring, as a JSON object.

Values in, bytes out. JSON is compact, with characters outside ASCII as they are: what an
endpoint gets when it reads the body and writes it again, so that its signature still fits.
Source: protocol 4.10, 5.3.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workflow_agents.protocol.message_headers import header_map


@dataclass(frozen=True, slots=True)
class Answer:
    """What a destination answered.

    Attributes:
        status: the HTTP status, or the one that stands for no answer.
        headers: as they came.
        body: the bytes.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Source:
    """The message whose answer is told of.

    Attributes:
        message_id: its id on the wire.
        url: where it went.
        method: how.
        headers: that it was delivered with.
        body: that it was delivered with; of a run: what the run was started with.
        created_at: Unix milliseconds.
        not_before: Unix milliseconds.
        max_retries: how often it could be tried again.
        caller_ip: who published it; "": not known.
        url_group: the group that it went to.
        endpoint_name: the name of the group's endpoint.
        schedule_id: the schedule that published it.
    """

    message_id: str
    url: str
    method: str
    headers: Mapping[str, str]
    body: bytes
    created_at: int
    not_before: int
    max_retries: int
    caller_ip: str = ""
    url_group: str = ""
    endpoint_name: str = ""
    schedule_id: str = ""


@dataclass(frozen=True, slots=True)
class FailedRun:
    """The run that a failure callback is about; `created_at`: Unix milliseconds."""

    run_id: str
    url: str
    created_at: int


def callback_body(
    source: Source,
    answer: Answer,
    *,
    retried: int,
    dlq_id: str | None = None,
    run: FailedRun | None = None,
) -> bytes:
    """The body of a callback, or, with `dlq_id`, of a failure callback.

    Args:
        source: the message.
        answer: what was answered last.
        retried: how many attempts were made before the last one.
        dlq_id: of the dead letter.
        run: of a failure callback of a run.
    """
    data: dict[str, Any] = {
        "status": answer.status,
        "header": header_map(answer.headers),
        "body": _base64(answer.body),
        "retried": retried,
        "maxRetries": source.max_retries,
    }
    if dlq_id is not None:
        data["dlqId"] = dlq_id
    data |= {
        "sourceMessageId": source.message_id,
        **_given(
            ("topicName", source.url_group),
            ("endpointName", source.endpoint_name),
            ("scheduleId", source.schedule_id),
        ),
        "url": source.url,
        "method": source.method,
        "sourceHeader": header_map(source.headers.items()),
        "sourceBody": _base64(source.body),
    }
    if run is not None:
        data |= {
            "workflowRunId": run.run_id,
            "workflowUrl": run.url,
            "workflowCreatedAt": run.created_at,
        }
    data |= {"notBefore": str(source.not_before), "createdAt": str(source.created_at)}
    data |= _given(("callerIP", source.caller_ip))
    return compact_json(data)


def compact_json(data: object) -> bytes:
    """JSON as endpoints are sent it: what `JSON.stringify` writes."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    # Python lets lone surrogates pass, which UTF-8 does not have.
    return text.encode("utf-8", "replace")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _given(*items: tuple[str, str]) -> dict[str, str]:
    return {name: value for name, value in items if value}
