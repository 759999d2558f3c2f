"""Operations on a QStash server: each verb one REST request, its answer as values.

Source: protocol 6.2, 6.3 and 6.5.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast
from urllib.parse import quote, urlencode

from workflow_agents.core.operations import Outgoing
from workflow_agents.core.resources import (
    FlowControlKey,
    GlobalParallelism,
    GroupEndpoint,
    Message,
    PublishedMessage,
    Queue,
    Schedule,
    UrlGroup,
)
from workflow_agents.core.selection import MessageSelection
from workflow_agents.errors import NotFound, RemoteError, StepUsageError
from workflow_agents.protocol.signature import SigningKeys
from workflow_agents.qstash import resource_json as read
from workflow_agents.qstash.connection import Connection, ServerRequest, plain_headers
from workflow_agents.qstash.run_logs import objects

_CANCELLED_AT_ONCE = 500
_JSON = {"content-type": "application/json"}


class OperationsOverHttp:
    """See `core.operations.Operations`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # Messages.

    async def publish(self, message: Outgoing) -> Sequence[PublishedMessage]:
        """Take a message."""
        verb = "publish" if message.queue is None else f"enqueue/{_part(message.queue)}"
        answer = await self._ask(
            "POST",
            f"/v2/{verb}/{message.destination}",
            f"a message to {message.destination}",
            plain_headers(message.headers),
            message.body,
        )
        return read.published(answer)

    async def batch(self, messages: Sequence[Outgoing]) -> Sequence[Sequence[PublishedMessage]]:
        """Take several."""
        body = json.dumps([_item(message) for message in messages], separators=(",", ":")).encode()
        answer = await self._ask("POST", "/v2/batch", "a batch", _JSON, body)
        listed = cast("list[Any]", answer) if isinstance(answer, list) else [answer]
        return [read.published(one) for one in listed]

    async def message(self, message_id: str) -> Message:
        """A message that is still owed."""
        path = f"/v2/messages/{_part(message_id)}"
        return read.message(await self._ask("GET", path, f"message {message_id!r}"))

    async def cancel_message(self, message_id: str) -> None:
        """Deliver nothing more of it."""
        path = f"/v2/messages/{_part(message_id)}"
        await self._ask("DELETE", path, f"message {message_id!r}")

    async def cancel_messages(self, which: MessageSelection) -> int:
        """Cancel all that fit, a part at a time."""
        query: list[tuple[str, str]] = [("messageIds", one) for one in which.ids]
        named = {
            "url": which.url,
            "topicName": which.url_group,
            "queueName": which.queue,
            "scheduleId": which.schedule_id,
            "label": which.label,
            "flowControlKey": which.flow_control_key,
            "fromDate": which.since,
            "toDate": which.until,
        }
        query += [(name, str(value)) for name, value in named.items() if value is not None]
        cancelled, cursor = 0, ""
        while True:
            page = [("count", str(_CANCELLED_AT_ONCE)), *([("cursor", cursor)] if cursor else [])]
            path = f"/v2/messages?{urlencode([*query, *page])}"
            answer = _object(await self._ask("DELETE", path, "messages"))
            cancelled += int(answer.get("cancelled") or 0)
            cursor = str(answer.get("cursor") or "")
            if not cursor:
                return cancelled

    # Queues.

    async def queues(self) -> list[Queue]:
        """All of them."""
        return [read.queue(one) for one in objects(await self._ask("GET", "/v2/queues", "queues"))]

    async def queue(self, name: str) -> Queue:
        """One of them."""
        found = await self._ask("GET", f"/v2/queues/{_part(name)}", f"queue {name!r}")
        return read.queue(_object(found))

    async def put_queue(self, name: str, parallelism: int | None, *, paused: bool | None) -> None:
        """Make one, or change it."""
        given = {"queueName": name, "parallelism": parallelism, "paused": paused}
        told = json.dumps({n: v for n, v in given.items() if v is not None}).encode()
        await self._ask("POST", "/v2/queues", f"queue {name!r}", _JSON, told)

    async def pause_queue(self, name: str, *, paused: bool) -> None:
        """Begin no delivery of it, or go on."""
        path = f"/v2/queues/{_part(name)}/{_pause(paused)}"
        await self._ask("POST", path, f"queue {name!r}")

    async def delete_queue(self, name: str) -> None:
        """Remove it."""
        await self._ask("DELETE", f"/v2/queues/{_part(name)}", f"queue {name!r}")

    # URL groups.

    async def url_groups(self) -> list[UrlGroup]:
        """All of them."""
        found = await self._ask("GET", "/v2/topics", "URL groups")
        return [read.url_group(one) for one in objects(found)]

    async def url_group(self, name: str) -> UrlGroup:
        """One of them."""
        found = await self._ask("GET", f"/v2/topics/{_part(name)}", f"URL group {name!r}")
        return read.url_group(_object(found))

    async def put_endpoints(self, name: str, endpoints: Sequence[GroupEndpoint]) -> None:
        """Add endpoints, or change them."""
        listed = [
            {"url": end.url} if end.name is None else {"name": end.name, "url": end.url}
            for end in endpoints
        ]
        await self._endpoints("POST", name, listed)

    async def remove_endpoints(self, name: str, urls: Sequence[str], names: Sequence[str]) -> None:
        """Remove endpoints."""
        listed = [*({"url": url} for url in urls), *({"name": one} for one in names)]
        await self._endpoints("DELETE", name, listed)

    async def _endpoints(self, method: str, name: str, listed: list[dict[str, str]]) -> None:
        body = json.dumps({"endpoints": listed}).encode()
        path = f"/v2/topics/{_part(name)}/endpoints"
        await self._ask(method, path, f"URL group {name!r}", _JSON, body)

    async def delete_url_group(self, name: str) -> None:
        """Remove it."""
        await self._ask("DELETE", f"/v2/topics/{_part(name)}", f"URL group {name!r}")

    # Schedules.

    async def schedules(self) -> list[Schedule]:
        """All of them."""
        found = objects(await self._ask("GET", "/v2/schedules", "schedules"))
        return [read.schedule(one) for one in found]

    async def schedule(self, schedule_id: str) -> Schedule:
        """One of them."""
        path = f"/v2/schedules/{_part(schedule_id)}"
        return read.schedule(_object(await self._ask("GET", path, f"schedule {schedule_id!r}")))

    async def put_schedule(self, message: Outgoing) -> str:
        """Make one, or overwrite it."""
        answer = await self._ask(
            "POST",
            f"/v2/schedules/{message.destination}",
            f"a schedule of {message.destination}",
            plain_headers(message.headers),
            message.body,
        )
        return str(_object(answer).get("scheduleId") or "")

    async def pause_schedule(self, schedule_id: str, *, paused: bool) -> None:
        """Make no tick of it, or go on."""
        path = f"/v2/schedules/{_part(schedule_id)}/{_pause(paused)}"
        await self._ask("PATCH", path, f"schedule {schedule_id!r}")

    async def delete_schedule(self, schedule_id: str) -> None:
        """Remove it."""
        path = f"/v2/schedules/{_part(schedule_id)}"
        await self._ask("DELETE", path, f"schedule {schedule_id!r}")

    # Flow control.

    async def flow_keys(self, search: str | None) -> list[FlowControlKey]:
        """All of them, or those with a text in their name."""
        query = "" if search is None else f"?{urlencode({'search': search})}"
        found = await self._ask("GET", f"/v2/flowControl{query}", "flow control keys")
        return [read.flow_key(one) for one in objects(found)]

    async def flow_key(self, key: str) -> FlowControlKey:
        """One of them."""
        return read.flow_key(_object(await self._of_key("GET", key)))

    async def pause_flow(self, key: str, *, paused: bool) -> None:
        """Start nothing of it, or go on."""
        await self._of_key("POST", key, _pause(paused))

    async def pin_flow(
        self, key: str, parallelism: int | None, rate: int | None, period_s: int | None
    ) -> None:
        """Set limits that messages leave alone."""
        given = {"parallelism": parallelism, "rate": rate, "period": period_s}
        query = urlencode({name: value for name, value in given.items() if value is not None})
        await self._of_key("POST", key, f"pin?{query}")

    async def unpin_flow(self, key: str, *, parallelism: bool, rate: bool) -> None:
        """Let messages set them again."""
        asked = {"parallelism": parallelism, "rate": rate}
        query = urlencode({name: "true" for name, value in asked.items() if value})
        await self._of_key("POST", key, f"unpin?{query}")

    async def reset_rate(self, key: str) -> None:
        """Count what has started until now no more."""
        await self._of_key("POST", key, "resetRate")

    async def _of_key(self, method: str, key: str, verb: str = "") -> Any:
        path = f"/v2/flowControl/{_part(key)}{f'/{verb}' if verb else ''}"
        return await self._ask(method, path, f"flow control key {key!r}")

    async def global_parallelism(self) -> GlobalParallelism:
        """How much is on its way at all."""
        told = _object(await self._ask("GET", "/v2/globalParallelism", "global parallelism"))
        return GlobalParallelism(
            int(told.get("parallelismMax") or 0), int(told.get("parallelismCount") or 0)
        )

    # Keys.

    async def signing_keys(self) -> SigningKeys:
        """What endpoints verify deliveries with."""
        return read.signing_keys(await self._ask("GET", "/v2/keys", "signing keys"))

    async def rotate_signing_keys(self) -> SigningKeys:
        """The next key becomes the current one."""
        return read.signing_keys(await self._ask("POST", "/v2/keys/rotate", "signing keys"))

    async def _ask(
        self,
        method: str,
        path: str,
        what: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Any:
        """Ask.

        Raises:
            NotFound: WA611, the server knows of no such thing.
            RemoteError: WA303, it answers anything else than 2xx.
        """
        try:
            return await self._connection.send(
                ServerRequest(method, path, dict(headers or {}), body)
            )
        except RemoteError as error:
            if error.status == 404:
                raise NotFound("WA611", f"there is no {what}", found=error.body) from None
            raise


def _item(message: Outgoing) -> dict[str, Any]:
    """An item of a batch.

    Raises:
        StepUsageError: WA204, its body is no text.
    """
    item: dict[str, Any] = {
        "destination": message.destination,
        "headers": plain_headers(message.headers),
    }
    if message.queue is not None:
        item["queue"] = message.queue
    if message.body:
        try:
            item["body"] = message.body.decode()
        except UnicodeDecodeError as error:
            raise StepUsageError(
                "WA204",
                "a body that cannot be sent in a batch",
                where=f"batch, the message to {message.destination}"[:200],
                found=f"bytes that are no UTF-8: {base64.b64encode(message.body[:12]).decode()}...",
                why="a batch is JSON, which holds text only",
                fix=("publish it by itself: await client.messages.publish(...)",),
            ) from error
    return item


def _pause(paused: bool) -> str:
    return "pause" if paused else "resume"


def _part(text: str) -> str:
    return quote(text, safe="")


def _object(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
