"""Dead letters of messages: listed, removed, sent again. Source: protocol 6.3.

Failed runs are another source of dead letters: `run_letters`, or `?source=workflow` here.
"""

import json
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from workflow_agents.core.bad_options import wrong_option
from workflow_agents.engine.sending import NO_ANSWER_STATUS
from workflow_agents.protocol.message_headers import header_map
from workflow_agents.server import run_letters
from workflow_agents.server.answers import Json, empty, page
from workflow_agents.server.filters import (
    Query,
    count_of,
    cursor_of,
    ids_in,
    last_of,
    message_filter,
    values_of,
)
from workflow_agents.server.message_json import message_json
from workflow_agents.server.routing import Call, Endpoint
from workflow_agents.store.message_lists import MessageFilter, MessageLetterRow

MOST = 100


async def every(call: Call) -> Response:
    """The dead letters of messages, or those of runs."""
    if last_of(call.query, "source") == "workflow":
        return await run_letters.show_all(call)
    count = count_of(call.query, MOST, MOST)
    letters, more = call.engine.wire.letters.page(
        letter_filter(call, call.query), cursor_of(call.query), count
    )
    shown = [letter_json(call, letter) for letter in letters]
    return page("messages", shown, None if more is None else str(more))


async def show(call: Call) -> Response:
    """One dead letter."""
    return Json(letter_json(call, call.engine.wire.letters.get(call.parameter("dlq_id"))))


async def delete(call: Call) -> Response:
    """Remove a dead letter."""
    await call.engine.wire.letters.delete(call.parameter("dlq_id"))
    return empty()


async def delete_many(call: Call) -> Response:
    """Remove dead letters by their ids, or all that the filters name."""
    which, count = await _asked(call)
    deleted, more = await call.engine.wire.letters.delete_all(which, count)
    return Json({"deleted": deleted, **_cursor(more)})


async def retry(call: Call) -> Response:
    """Send a message again."""
    taken = await call.engine.wire.letters.retry(call.parameter("dlq_id"))
    return Json({"messageId": call.engine.wire.messages.id_of(taken.message)}, 201)


async def retry_many(call: Call) -> Response:
    """Send messages again by the ids of their dead letters, or all that the filters name."""
    which, count = await _asked(call)
    taken, more = await call.engine.wire.letters.retry_all(which, count)
    responses = [{"messageId": call.engine.wire.messages.id_of(one.message)} for one in taken]
    return Json({"responses": responses, **_cursor(more)}, 201)


async def _asked(call: Call) -> tuple[MessageFilter, int]:
    which = letter_filter(call, call.query)
    listed = which.letters or ids_in(await call.json(), "dlqIds")
    if listed is not None:
        which = replace(which, letters=listed or ("",))
    return which, count_of(call.query, max(MOST, len(listed or ())), 10_000)


def _cursor(more: int | None) -> dict[str, str]:
    # Those that are dealt with are no longer found: the next part begins where this one did.
    return {} if more is None else {"cursor": "0"}


def letter_filter(call: Call, query: Query) -> MessageFilter:
    """Which dead letters are meant.

    Raises:
        ConfigurationError: WA102.
    """
    ids = values_of(query, "messageId", "messageIds")
    row_of = call.engine.wire.messages.row_of
    return replace(
        message_filter(query),
        letters=values_of(query, "dlqIds", "dlqId"),
        ids=tuple(map(row_of, ids)) if ids else None,
        statuses=tuple(_status(text) for text in values_of(query, "responseStatus")),
    )


def _status(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 3):
        raise wrong_option("responseStatus", "an HTTP status", text)
    return int(text)


def letter_json(call: Call, letter: MessageLetterRow) -> dict[str, Any]:
    """A dead letter as lists show it."""
    messages = call.engine.wire.messages
    row = letter.message
    failure: dict[str, Any] = json.loads(letter.failure)
    headers: dict[str, list[str]] = failure.get("headers", {})
    pairs = [(name, value) for name, values in headers.items() for value in values]
    return {
        **message_json(messages.id_of(row.id), row, messages.displayed(row.spec)),
        "dlqId": letter.id,
        "responseStatus": failure.get("status", NO_ANSWER_STATUS),
        "responseHeader": header_map(pairs),
        "responseBody": failure.get("body", failure.get("error", "")),
    }


endpoints = (
    Endpoint("GET", "/v2/dlq", every, "Dead letters"),
    Endpoint("DELETE", "/v2/dlq", delete_many, "Remove dead letters"),
    Endpoint("POST", "/v2/dlq/retry", retry_many, "Send messages again"),
    Endpoint("POST", "/v2/dlq/retry/{dlq_id}", retry, "Send a message again"),
    Endpoint("GET", "/v2/dlq/{dlq_id}", show, "A dead letter"),
    Endpoint("DELETE", "/v2/dlq/{dlq_id}", delete, "Remove a dead letter"),
)
