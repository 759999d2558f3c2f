"""What a server tells of messages and what rules them, read as values. Pure.

Servers differ in what they leave out: what is missing has its default. Source: protocol 6.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, cast

from workflow_agents.core.resources import (
    FlowControlKey,
    GroupEndpoint,
    Message,
    PublishedMessage,
    Queue,
    Schedule,
    UrlGroup,
)
from workflow_agents.protocol.signature import SigningKeys
from workflow_agents.qstash.run_logs import objects

Told = Mapping[str, Any]


def published(answer: object) -> list[PublishedMessage]:
    """The answer to one message: an object, or a list of them for a URL group."""
    told = objects(answer) or [_object(answer)]
    if len(told) == 1 and isinstance(told[0].get("messages"), list):
        told = objects(told[0]["messages"])
    return [
        PublishedMessage(
            _text(one, "messageId"),
            one.get("url"),
            bool(one.get("deduplicated")),
            None if one.get("messageId") else str(one.get("error") or "the server says nothing"),
        )
        for one in told
    ]


def message(answer: object) -> Message:
    """A message."""
    told = _object(answer)
    return Message(
        _text(told, "messageId"),
        _text(told, "url"),
        told.get("topicName"),
        str(told.get("method") or "POST"),
        _object(told.get("header")),
        _body(told),
        _number(told, "maxRetries"),
        _number(told, "createdAt"),
        _number(told, "notBefore"),
        told.get("callback"),
        told.get("failureCallback"),
        told.get("queueName"),
        told.get("scheduleId"),
        _labels(told),
        told.get("flowControlKey"),
        told.get("callerIP"),
    )


def queue(told: Told) -> Queue:
    """A queue."""
    return Queue(
        _text(told, "name"),
        _number(told, "parallelism"),
        bool(told.get("paused")),
        _number(told, "lag"),
        _number(told, "createdAt"),
        _number(told, "updatedAt"),
    )


def url_group(told: Told) -> UrlGroup:
    """A URL group."""
    ends = objects(told.get("endpoints"))
    return UrlGroup(
        _text(told, "name"),
        tuple(GroupEndpoint(_text(end, "url"), end.get("name") or None) for end in ends),
        _number(told, "createdAt"),
        _number(told, "updatedAt"),
    )


def schedule(told: Told) -> Schedule:
    """A schedule; the wire counts its delay and time-out in seconds."""
    return Schedule(
        _text(told, "scheduleId"),
        _text(told, "cron"),
        _text(told, "destination"),
        _number(told, "createdAt"),
        str(told.get("method") or "POST"),
        _object(told.get("header")),
        _body(told),
        _number(told, "retries"),
        _ms(told.get("delay")),
        _ms(told.get("timeout")),
        told.get("callback"),
        told.get("failureCallback"),
        told.get("queueName"),
        told.get("flowControlKey"),
        _labels(told),
        bool(told.get("isPaused")),
        told.get("lastScheduleTime"),
        told.get("nextScheduleTime"),
        _object(told.get("lastScheduleStates")),
        told.get("error"),
    )


def flow_key(told: Told) -> FlowControlKey:
    """A flow control key; the wire counts its period, and when that began, in seconds."""
    return FlowControlKey(
        _text(told, "flowControlKey"),
        int(told.get("waitListSize") or told.get("waitlistSize") or 0),
        told.get("parallelismMax"),
        _number(told, "parallelismCount"),
        told.get("rateMax"),
        _number(told, "rateCount"),
        _number(told, "ratePeriod") * 1000,
        _number(told, "ratePeriodStart") * 1000,
        bool(told.get("isPaused")),
        bool(told.get("isPinnedParallelism")),
        bool(told.get("isPinnedRate")),
    )


def signing_keys(answer: object) -> SigningKeys:
    """The two keys."""
    told = _object(answer)
    return SigningKeys(_text(told, "current"), _text(told, "next"))


def _body(told: Told) -> str | bytes | None:
    coded = told.get("bodyBase64")
    if isinstance(coded, str) and coded:
        try:
            return base64.b64decode(coded, validate=True)
        except binascii.Error:
            return coded
    return told.get("body") or None


def _labels(told: Told) -> tuple[str, ...]:
    return tuple(told.get("labels") or ([told["label"]] if told.get("label") else []))


def _ms(seconds: object) -> int | None:
    return seconds * 1000 if isinstance(seconds, int) else None


def _number(told: Told, name: str) -> int:
    return int(told.get(name) or 0)


def _text(told: Told, name: str) -> str:
    return str(told.get(name) or "")


def _object(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
