"""The logs of messages: what happened to each, the newest first. Source: protocol 6.3."""

from dataclasses import replace
from typing import Any

from starlette.responses import Response

from workflow_agents.core.bad_options import wrong_option
from workflow_agents.engine.message_logs import STATES
from workflow_agents.server.answers import page
from workflow_agents.server.filters import count_of, cursor_of, message_filter, values_of
from workflow_agents.server.log_json import log_json
from workflow_agents.server.routing import Call, Endpoint

MOST = 1_000
_ALSO = {"CANCELLED": "CANCELED"}
_OF_OTHERS = frozenset({"CANCEL_REQUESTED", "IN_PROGRESS"})
"""States that clients know, and no message is in here."""


async def events(call: Call) -> Response:
    """Lines under the name that clients read."""
    return page("events", *_lines(call))


async def logs(call: Call) -> Response:
    """Lines under the name of the documentation."""
    return page("logs", *_lines(call))


def _lines(call: Call) -> tuple[list[dict[str, Any]], str | None]:
    query, messages = call.query, call.engine.wire.messages
    ids = values_of(query, "messageId", "messageIds")
    which = replace(message_filter(query), ids=tuple(map(messages.row_of, ids)) if ids else None)
    states = frozenset(_ALSO.get(text.upper(), text.upper()) for text in values_of(query, "state"))
    if unknown := states - STATES - _OF_OTHERS:
        raise wrong_option("state", "a state of a message", min(unknown))
    lines, before = call.engine.wire.logs.page(
        which, states, cursor_of(query), count_of(query, MOST, MOST)
    )
    shown = [
        log_json(
            messages.id_of(line.entry.message.id),
            line,
            messages.displayed(line.entry.message.spec),
        )
        for line in lines
    ]
    return shown, None if before is None else str(before)


endpoints = (
    Endpoint("GET", "/v2/events", events, "What happened to messages"),
    Endpoint("GET", "/v2/logs", logs, "What happened to messages"),
)
