"""Messages: published, enqueued, in batches; looked at, and cancelled. Source: protocol 6.2."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any, TypeVar, cast

from starlette.responses import Response

from workflow_agents.core.bad_options import wrong_option
from workflow_agents.engine.messages import Accepting, Incoming, Published
from workflow_agents.engine.remote_runs import is_of_a_run
from workflow_agents.errors import LimitError, NotFound, UsageError, WorkflowAgentsError
from workflow_agents.protocol.callbacks import compact_json
from workflow_agents.protocol.message import parse_message
from workflow_agents.server.answers import Json, refusal_of, refusal_of_step, told
from workflow_agents.server.filters import count_of, ids_in, message_filter, values_of
from workflow_agents.server.message_json import message_json
from workflow_agents.server.routing import Call, Endpoint
from workflow_agents.store.message_lists import MessageFilter

_CANCELLED_AT_ONCE = 500
_MOST_ITEMS = 10_000
_AT_ONCE = 50

T = TypeVar("T")


async def publish(call: Call) -> Response:
    """Take a message for an address or a URL group."""
    return await _publish(call, call.target.destination(2))


async def enqueue(call: Call) -> Response:
    """Take a message that waits for its turn in a queue, which is made if there is none."""
    return await _publish(call, call.target.destination(3), queue=call.target.decoded(2))


async def _publish(call: Call, destination: str, queue: str | None = None) -> Response:
    try:
        spec = parse_message(destination, call.headers, call.target.configuration, queue=queue)
        incoming = Incoming(spec, await call.body(), call.caller_ip)
        if is_of_a_run(spec):
            taken = await call.engine.wire.runs.accept([incoming])
        else:
            taken = await call.engine.wire.messages.accept(incoming).published()
    except UsageError as error:
        of_a_run = _name_a_run(name for name, _ in call.headers)
        return refusal_of_step(error) if of_a_run else refusal_of(error)
    if spec.url_group is not None:
        return Json([_shown(call, one, with_url=True) for one in taken])
    return Json(_shown(call, taken[0]), 202 if taken[0].deduplicated else 200)


async def batch(call: Call) -> Response:
    """Take several messages, each with its own destination, headers and body.

    One that cannot be taken is told of in its place; where none can, or where one is of a
    workflow run, the whole request is refused, because SDKs look at the status only.
    """
    items = await items_of(call)
    read = [_read(item, call.caller_ip) async for item in in_turns(items)]
    for item, one in zip(items, read, strict=True):
        if isinstance(one, WorkflowAgentsError) and _names_a_run(item):
            return refusal_of_step(one)
    # First, and all in one change: where a run refuses its steps, nothing else is taken.
    of_runs = [one for one in read if isinstance(one, Incoming) and is_of_a_run(one.spec)]
    try:
        accepted = iter(await call.engine.wire.runs.accept(of_runs)) if of_runs else iter(())
    except UsageError as error:
        return refusal_of_step(error)
    begun = [
        next(accepted)
        if isinstance(one, Incoming) and is_of_a_run(one.spec)
        else _accepting(call, one)
        async for one in in_turns(read)
    ]
    taken = [await _taken(one) for one in begun]
    errors = [one for one in taken if isinstance(one, WorkflowAgentsError)]
    if errors and len(errors) == len(taken):
        raise errors[0]
    return Json([_entry(call, one) for one in taken])


async def items_of(call: Call) -> list[Any]:
    """The items of a batch; a single one need not be in a list.

    Raises:
        LimitError: WA501, there are too many, or they are too large.
        StepUsageError: WA204, they are no JSON.
    """
    data = await call.json([])
    items: list[Any] = cast("list[Any]", data) if isinstance(data, list) else [data]
    if len(items) > _MOST_ITEMS:
        raise LimitError(
            "WA501",
            "a batch has too many items",
            where="the body",
            found=f"expected at most {_MOST_ITEMS:,} items, found {len(items):,}",
            fix=("send several batches",),
        )
    return items


async def in_turns(items: Iterable[T]) -> AsyncIterator[T]:
    """Each of them; between every few, other requests have their turn."""
    for nth, item in enumerate(items, 1):
        yield item
        if not nth % _AT_ONCE:
            await asyncio.sleep(0)


def _accepting(call: Call, one: Incoming | WorkflowAgentsError) -> Accepting | WorkflowAgentsError:
    if isinstance(one, WorkflowAgentsError):
        return one
    try:
        return call.engine.wire.messages.accept(one)
    except WorkflowAgentsError as error:
        return error


Taken = Published | list[Published] | WorkflowAgentsError


async def _taken(one: Accepting | Published | WorkflowAgentsError) -> Taken:
    """What became of an item; a list where it went to a URL group."""
    if not isinstance(one, Accepting):
        return one
    try:
        published = await one.published()
    except WorkflowAgentsError as error:
        return error
    return published[0] if one.taking.added[0].url_group is None else published


def _entry(call: Call, one: Taken) -> Any:
    if isinstance(one, WorkflowAgentsError):
        return {"error": told(one)}
    if isinstance(one, list):
        return [_shown(call, each, with_url=True) for each in one]
    return _shown(call, one)


def _read(item: Any, caller_ip: str | None) -> Incoming | WorkflowAgentsError:
    try:
        return read_item(item, caller_ip)
    except WorkflowAgentsError as error:
        return error


def _names_a_run(item: Any) -> bool:
    """Whether an item that cannot be read is of a run: without it, the run would wait for ever."""
    given: Any = cast("dict[str, Any]", item).get("headers") if isinstance(item, dict) else None
    names = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    return _name_a_run(names)


def _name_a_run(headers: Iterable[str]) -> bool:
    return any(name.lower().startswith("upstash-workflow-") for name in headers)


def read_item(item: Any, caller_ip: str | None) -> Incoming:
    """One item of a batch; a client may write null for what is missing, and any JSON as the body.

    Raises:
        ConfigurationError: it cannot be read.
    """
    if not isinstance(item, dict):
        raise wrong_option("a batch", "a list of objects", item)
    given = cast("dict[str, Any]", item)
    destination, queue = given.get("destination"), given.get("queue")
    if not isinstance(destination, str):
        raise wrong_option("destination", "an address or a URL group", destination)
    if not isinstance(queue, str | None):
        raise wrong_option("queue", "the name of a queue", queue)
    spec = parse_message(destination, _headers(given.get("headers")), queue=queue or None)
    return Incoming(spec, _body(given.get("body")), caller_ip)


def _headers(given: Any) -> Iterable[tuple[str, str]]:
    if given is None:
        return
    if not isinstance(given, dict):
        raise wrong_option("headers", "an object", given)
    for name, value in cast("dict[str, Any]", given).items():
        values = cast("list[Any]", value) if isinstance(value, list) else [value]
        for one in values:
            if isinstance(one, str):
                yield name, one
            elif isinstance(one, bool | int | float):
                yield name, compact_json(one).decode()
            elif one is not None:
                raise wrong_option(f"header {name}", "text", one)


def _body(given: Any) -> bytes:
    if given is None:
        return b""
    return given.encode("utf-8", "replace") if isinstance(given, str) else compact_json(given)


def _shown(call: Call, taken: Published, *, with_url: bool = False) -> dict[str, Any]:
    data: dict[str, Any] = {"messageId": call.engine.wire.messages.id_of(taken.message)}
    if with_url:
        data["url"] = taken.url
    if taken.deduplicated:
        data["deduplicated"] = True
    return data


# What was taken.


async def show(call: Call) -> Response:
    """A message that has not been delivered yet."""
    messages = call.engine.wire.messages
    message_id = call.parameter("message_id")
    row = messages.find(message_id)
    owed = call.engine.store.messages.owed([row.id]).get(row.id)
    if owed is None:
        raise _not_pending(message_id)
    due_at = owed.due_at or owed.not_before
    return Json(message_json(message_id, row, messages.displayed(row.spec), due_at))


async def cancel(call: Call) -> Response:
    """Deliver a message no more."""
    await call.engine.wire.messages.cancel(call.parameter("message_id"))
    return Json({"cancelled": 1})


def _not_pending(message_id: str) -> NotFound:
    return NotFound(
        "WA611",
        "there is no such message any more",
        found=f"message {message_id!r}",
        why="it was delivered, failed or cancelled",
    )


async def cancel_many(call: Call) -> Response:
    """Cancel messages by their ids, or all that the filters name."""
    messages, query = call.engine.wire.messages, call.query
    listed = values_of(query, "messageIds", "messageId") or ids_in(await call.json(), "messageIds")
    if listed is not None:
        which = MessageFilter(ids=tuple(row for row in map(messages.row_of, listed) if row))
    else:
        which = message_filter(query)
    # Without a number, all; what is over the limit of one request is in the next one.
    most = count_of(query, _CANCELLED_AT_ONCE, _CANCELLED_AT_ONCE) if "count" in query else None
    cancelled, more = await messages.cancel_all(which, most)
    # Those that were cancelled are no longer found: the next part begins where this one did.
    return Json({"cancelled": cancelled, **({"cursor": "0"} if more else {})})


endpoints = (
    Endpoint("POST", "/v2/batch", batch, "Publish several messages", batch=True),
    Endpoint("POST", "/v2/publish/{destination:path}", publish, "Publish a message"),
    Endpoint("POST", "/v2/enqueue/{queue}/{destination:path}", enqueue, "Publish into a queue"),
    Endpoint("GET", "/v2/messages/{message_id}", show, "A message that waits"),
    Endpoint("DELETE", "/v2/messages/{message_id}", cancel, "Cancel a message"),
    Endpoint("DELETE", "/v2/messages", cancel_many, "Cancel messages"),
)
