"""The options of a message, as users give them, and as the headers that say the same.

One vocabulary for all that publishes: a message, an item of a batch, a schedule. Headers are the
form in which a server is told, and in which our own engine reads them. Source: protocol 2.2.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypedDict, cast

from workflow_agents.core.bad_options import unknown_option, wrong_option
from workflow_agents.core.checks import call_headers
from workflow_agents.core.options import RunOptions, checked_flow_control
from workflow_agents.core.redaction import redacted_fields
from workflow_agents.core.retry import delay_of, validate_retries
from workflow_agents.protocol.secrets import Secret
from workflow_agents.protocol.times import duration_ms, instant_ms

if TYPE_CHECKING:
    from workflow_agents.core.flow_control import FlowControl

_PLACE = "http://headers.only"


class MessageOptions(TypedDict, total=False):
    """What may be said of a message.

    Attributes:
        method: of the delivery: GET, POST (default), PUT, PATCH or DELETE.
        headers: that are delivered.
        content_type: of the body; default: by its type.
        delay: before the first attempt.
        not_before: no attempt is made before this instant.
        retries: after the first attempt; default 3.
        retry_delay: an expression in milliseconds: "1000 * (1 + retried)".
        timeout: of each attempt.
        callback: an address that is sent the answer.
        failure_callback: an address that is told when all attempts have failed.
        deduplication_id: messages with the same one are accepted once in ten minutes.
        content_based_deduplication: so are messages with the same content.
        flow_control: a key whose limits the message waits for.
        label: one or more, to find it by.
        redact: what logs do not show: {"body": True, "header": True or names}.
    """

    method: str
    headers: Mapping[str, "str | Secret"]
    content_type: str
    delay: int | float | str | timedelta
    not_before: int | float | datetime | str
    retries: int
    retry_delay: str
    timeout: int | float | str | timedelta
    callback: str
    failure_callback: str
    deduplication_id: str
    content_based_deduplication: bool
    flow_control: "FlowControl"
    label: str | Sequence[str]
    redact: Mapping[str, Any]


def message_headers(
    options: MessageOptions, content_type: str, *, where: str
) -> dict[str, str | Secret]:
    """The headers that say what the options do; lower-case names.

    Args:
        options: those that were given; None counts as not given.
        content_type: of the body, unless an option says another.
        where: for errors: the method of the client.

    Raises:
        ConfigurationError: WA101, WA102, WA103, WA104 or WA105, with the option named.
    """
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in _WRITTEN and name not in _APART:
            raise unknown_option(name, (*_WRITTEN, *_APART), where)
    if "delay" in given and "not_before" in given:
        raise wrong_option("not_before", "either delay or not_before", given["not_before"])
    forwarded = cast("Mapping[str, str | Secret] | None", given.get("headers"))
    sent: dict[str, str | Secret] = {
        f"upstash-forward-{name}": value
        for name, value in call_headers(forwarded, "", _PLACE, where=where).items()
    }
    said = str(given.get("content_type") or "") or content_type
    if said:
        sent["content-type"] = call_headers({"content-type": said}, "", _PLACE, where=where)[
            "content-type"
        ]
    checked = RunOptions.checked(
        label=given.get("label"),  # pyright: ignore[reportArgumentType] -- checked there
        redact=given.get("redact"),  # pyright: ignore[reportArgumentType] -- checked there
    )
    if checked.labels:
        sent["upstash-label"] = ",".join(checked.labels)
    if fields := redacted_fields(checked.redact):
        sent["upstash-redact-fields"] = fields
    if "flow_control" in given:
        sent |= flow_headers(given["flow_control"])
    for name, write in _WRITTEN.items():
        if name in given:
            sent[f"upstash-{name.replace('_', '-')}"] = write(name, given[name])
    return sent


def flow_headers(flow_control: object) -> dict[str, str]:
    """The headers that name a key and its limits.

    Raises:
        ConfigurationError: WA102.
    """
    checked_flow_control(flow_control)
    flow = cast("FlowControl", flow_control)
    return {
        "upstash-flow-control-key": flow.key,
        "upstash-flow-control-value": flow.to_value(),
    }


def _duration(_name: str, value: Any) -> str:
    return f"{-(-duration_ms(value) // 1000)}s"  # the wire counts seconds; nothing ends too early


def _instant(_name: str, value: Any) -> str:
    return str(-(-instant_ms(value) // 1000))


def _retries(_name: str, value: Any) -> str:
    validate_retries(value)
    return str(value)


def _delay_expression(_name: str, value: Any) -> str:
    delay_of(value)
    return str(value)


def _address(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.startswith(("http://", "https://")):
        raise wrong_option(name, "an http or https address", value)
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise wrong_option(name, "text", value)
    return value


def _flag(name: str, value: Any) -> str:
    if not isinstance(value, bool):
        raise wrong_option(name, "True or False", value)
    return "true" if value else "false"


_WRITTEN: dict[str, Callable[[str, Any], str]] = {
    "method": _text,
    "delay": _duration,
    "not_before": _instant,
    "retries": _retries,
    "retry_delay": _delay_expression,
    "timeout": _duration,
    "callback": _address,
    "failure_callback": _address,
    "deduplication_id": _text,
    "content_based_deduplication": _flag,
}
_APART = ("headers", "content_type", "flow_control", "label", "redact")
