"""A message as lists and look-ups show it. Source: protocol 6.2."""

from typing import Any

from workflow_agents.core.flow_control import FlowControl
from workflow_agents.core.redaction import redacted, redacted_headers
from workflow_agents.core.retry import DEFAULT_RETRIES
from workflow_agents.protocol.message import MessageSpec
from workflow_agents.protocol.message_headers import header_map
from workflow_agents.server.answers import body_fields, without_empty
from workflow_agents.store.message_rows import MessageRow


def message_json(
    message_id: str, row: MessageRow, spec: MessageSpec, not_before: int | None = None
) -> dict[str, Any]:
    """The JSON of a message; what is to be redacted is.

    Args:
        message_id: on the wire.
        row: as it is stored.
        spec: what its headers say, as they may be shown.
        not_before: when it is due, Unix milliseconds; default: when it was accepted.
    """
    return without_empty(
        {
            "messageId": message_id,
            "url": row.url,
            "topicName": row.url_group,
            "endpointName": row.endpoint,
            "method": spec.method,
            "header": headers_of(spec),
            **body_of(row.body, spec),
            "maxRetries": DEFAULT_RETRIES if spec.retries is None else spec.retries,
            "notBefore": not_before or spec.not_before or row.at + (spec.delay_ms or 0),
            "createdAt": row.at,
            "callback": spec.callback,
            "callbackHeader": header_map(spec.callback_headers.items()),
            "failureCallback": spec.failure_callback,
            "failureCallbackHeader": header_map(spec.failure_callback_headers.items()),
            "queueName": row.queue,
            "scheduleId": row.schedule,
            "callerIP": row.caller_ip,
            **label_fields(spec.labels),
            **flow_fields(spec),
            "retryDelayExpression": spec.retry_delay,
        }
    )


def headers_of(spec: MessageSpec) -> dict[str, list[str]]:
    """What is delivered, with marks for what is redacted."""
    return header_map(redacted_headers(spec.headers, spec.redact).items())


def body_of(body: bytes, spec: MessageSpec) -> dict[str, str]:
    """The body, or its mark."""
    if spec.redact and spec.redact.get("body") and body:
        return {"body": redacted(body.decode("utf-8", "replace"), spec.redact)}
    return body_fields(body)


def label_fields(labels: tuple[str, ...]) -> dict[str, Any]:
    """All labels, and the first one under its older name."""
    return {"label": labels[0], "labels": list(labels)} if labels else {}


def flow_fields(spec: MessageSpec) -> dict[str, Any]:
    """The key of flow control and its limits; the period in seconds."""
    if spec.flow_key is None:
        return {}
    fields: dict[str, Any] = {"flowControlKey": spec.flow_key}
    if spec.flow_value:
        flow = FlowControl.from_value(spec.flow_key, spec.flow_value)
        fields |= {"parallelism": flow.parallelism, "rate": flow.rate}
        fields["period"] = None if flow.rate is None else flow.period_ms // 1000
    return fields
