"""The Operations port: what a client asks about messages and what rules them.

It is the part of a backend that has nothing to do with runs. One implementation asks a server
over HTTP (`qstash.operations`), one an engine in this process (`engine.operations`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

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
from workflow_agents.protocol.secrets import Secret
from workflow_agents.protocol.signature import SigningKeys


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message that is to be published.

    Attributes:
        destination: an address, or the name of a URL group.
        headers: what is said of it; see `core.message_options`.
        body: as it is delivered.
        queue: in which it waits for its turn.
    """

    destination: str
    headers: Mapping[str, str | Secret]
    body: bytes = b""
    queue: str | None = None


class Operations(Protocol):
    """See the module. What names nothing raises NotFound, WA611."""

    async def publish(self, message: Outgoing) -> Sequence[PublishedMessage]:
        """Take a message: one result for an address, one for each endpoint of a URL group."""
        ...

    async def batch(self, messages: Sequence[Outgoing]) -> Sequence[Sequence[PublishedMessage]]:
        """Take several; one that is not taken says why."""
        ...

    async def message(self, message_id: str) -> Message:
        """A message that is still owed."""
        ...

    async def cancel_message(self, message_id: str) -> None:
        """Deliver nothing more of it."""
        ...

    async def cancel_messages(self, which: MessageSelection) -> int:
        """Cancel all that fit; how many."""
        ...

    async def queues(self) -> list[Queue]:
        """All of them, by name."""
        ...

    async def queue(self, name: str) -> Queue:
        """One of them."""
        ...

    async def put_queue(self, name: str, parallelism: int | None, *, paused: bool | None) -> None:
        """Make one, or change it; what is None stays."""
        ...

    async def pause_queue(self, name: str, *, paused: bool) -> None:
        """Begin no delivery of it, or go on."""
        ...

    async def delete_queue(self, name: str) -> None:
        """Remove it; what waits in it is cancelled."""
        ...

    async def url_groups(self) -> list[UrlGroup]:
        """All of them, by name."""
        ...

    async def url_group(self, name: str) -> UrlGroup:
        """One of them."""
        ...

    async def put_endpoints(self, name: str, endpoints: Sequence[GroupEndpoint]) -> None:
        """Add endpoints, or change them."""
        ...

    async def remove_endpoints(self, name: str, urls: Sequence[str], names: Sequence[str]) -> None:
        """Remove endpoints by URL or by name."""
        ...

    async def delete_url_group(self, name: str) -> None:
        """Remove it."""
        ...

    async def schedules(self) -> list[Schedule]:
        """All of them, the oldest first."""
        ...

    async def schedule(self, schedule_id: str) -> Schedule:
        """One of them."""
        ...

    async def put_schedule(self, message: Outgoing) -> str:
        """Make one, or overwrite it; its id. The headers have the cron line."""
        ...

    async def pause_schedule(self, schedule_id: str, *, paused: bool) -> None:
        """Make no tick of it, or go on."""
        ...

    async def delete_schedule(self, schedule_id: str) -> None:
        """Remove it; its messages stay."""
        ...

    async def flow_keys(self, search: str | None) -> list[FlowControlKey]:
        """All of them, or those with a text in their name."""
        ...

    async def flow_key(self, key: str) -> FlowControlKey:
        """One of them."""
        ...

    async def pause_flow(self, key: str, *, paused: bool) -> None:
        """Start nothing of it, or go on."""
        ...

    async def pin_flow(
        self, key: str, parallelism: int | None, rate: int | None, period_s: int | None
    ) -> None:
        """Set limits that messages leave alone."""
        ...

    async def unpin_flow(self, key: str, *, parallelism: bool, rate: bool) -> None:
        """Let messages set them again."""
        ...

    async def reset_rate(self, key: str) -> None:
        """Count what has started until now no more."""
        ...

    async def global_parallelism(self) -> GlobalParallelism:
        """How much is on its way at all."""
        ...

    async def signing_keys(self) -> SigningKeys:
        """What endpoints verify deliveries with."""
        ...

    async def rotate_signing_keys(self) -> SigningKeys:
        """The next key becomes the current one, and a new one the next."""
        ...
