"""A line of the logs of messages as JSON. Values in, values out. Source: protocol 6.3."""

import base64
from typing import Any

from workflow_agents.core.retry import DEFAULT_RETRIES
from workflow_agents.engine.message_logs import CREATED, ERROR, RETRY, LogLine
from workflow_agents.protocol.message import MessageSpec
from workflow_agents.protocol.message_headers import header_map
from workflow_agents.server.answers import without_empty
from workflow_agents.server.message_json import body_of, flow_fields, headers_of, label_fields


def log_json(message_id: str, line: LogLine, spec: MessageSpec) -> dict[str, Any]:
    """The JSON of a line.

    Args:
        message_id: on the wire.
        line: as the feed tells it.
        spec: what the message's headers say, as they may be shown.
    """
    row, told = line.entry.message, line.told
    with_answer = line.state not in (RETRY, CREATED)
    headers: dict[str, list[str]] = told.get("headers", {}) if with_answer else {}
    answered = header_map((name, value) for name, values in headers.items() for value in values)
    return without_empty(
        {
            "time": line.entry.at,
            "state": line.state,
            "messageId": message_id,
            "url": row.url,
            "topicName": row.url_group,
            "endpointName": row.endpoint,
            "scheduleId": row.schedule,
            "queueName": row.queue,
            "callerIP": row.caller_ip,
            "method": spec.method,
            "header": headers_of(spec),
            "body": _body(row.body, spec),
            "timeout": spec.timeout_ms,
            "callback": spec.callback,
            "callbackHeaders": header_map(spec.callback_headers.items()),
            "failureCallback": spec.failure_callback,
            "failureCallbackHeaders": header_map(spec.failure_callback_headers.items()),
            "maxRetries": DEFAULT_RETRIES if spec.retries is None else spec.retries,
            "retryDelayExpr": spec.retry_delay,
            "retryDelayExpression": spec.retry_delay,
            **label_fields(spec.labels),
            **flow_fields(spec),
            "nextDeliveryTime": _next(line, spec),
            **({"error": told.get("error")} if line.state == ERROR else {}),
            **(
                {
                    "responseStatus": told.get("status"),
                    "responseBody": told.get("body"),
                    # Clients and the documentation spell it each in their way.
                    "responseHeader": answered,
                    "responseHeaders": answered,
                }
                if with_answer
                else {}
            ),
        }
    )


def _next(line: LogLine, spec: MessageSpec) -> int | None:
    if line.state == RETRY:
        return line.told.get("until")
    if line.state == CREATED:
        return spec.not_before or line.entry.at + (spec.delay_ms or 0)
    return None


def _body(body: bytes, spec: MessageSpec) -> str:
    """In base64; a mark in its place where it is redacted."""
    if spec.redact and spec.redact.get("body"):
        return body_of(body, spec).get("body", "")
    return base64.b64encode(body).decode()
