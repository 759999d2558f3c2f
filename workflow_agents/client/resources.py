"""`client.queues`, `client.url_groups`, `client.flow_control`, `client.keys`: what rules messages.

await client.queues.upsert("emails", parallelism=4)
await client.flow_control.pin("openai", rate=100, period="1m")
"""

import builtins
from collections.abc import Sequence
from datetime import timedelta

from workflow_agents.core.bad_options import wrong_option
from workflow_agents.core.checks import checked_name
from workflow_agents.core.operations import Operations
from workflow_agents.core.resources import (
    FlowControlKey,
    GlobalParallelism,
    GroupEndpoint,
    Queue,
    UrlGroup,
)
from workflow_agents.protocol.signature import SigningKeys
from workflow_agents.protocol.times import duration_ms


class AsyncQueues:
    """Queues: their messages go out one after the other, a few at a time."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def upsert(
        self, name: str, *, parallelism: int | None = None, paused: bool | None = None
    ) -> None:
        """Make a queue, or change one; what is not given stays as it is.

        Args:
            name: letters, digits and - _ .
            parallelism: how many of its messages are on their way at the same time; 1 for a
                new one.
            paused: begin no delivery.

        Raises:
            ConfigurationError: WA102.
        """
        checked_name("the name of a queue", name)
        if parallelism is not None and (isinstance(parallelism, bool) or parallelism < 1):
            raise wrong_option("parallelism", "a whole number from 1", parallelism)
        await self._operations.put_queue(name, parallelism, paused=paused)

    async def get(self, name: str) -> Queue:
        """One of them.

        Raises:
            NotFound: WA611.
        """
        return await self._operations.queue(name)

    async def list(self) -> builtins.list[Queue]:
        """All of them, by name."""
        return await self._operations.queues()

    async def pause(self, name: str) -> None:
        """Begin no delivery of it."""
        await self._operations.pause_queue(name, paused=True)

    async def resume(self, name: str) -> None:
        """Deliver again."""
        await self._operations.pause_queue(name, paused=False)

    async def delete(self, name: str) -> None:
        """Remove it; what waits in it is cancelled."""
        await self._operations.delete_queue(name)


class AsyncUrlGroups:
    """URL groups: one name for several destinations."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def add_endpoints(self, name: str, endpoints: Sequence[GroupEndpoint | str]) -> None:
        """Add endpoints to a group, which is made if there is none.

        Args:
            name: of the group: letters, digits and - _ .
            endpoints: addresses, or `GroupEndpoint`s where they have a name.

        Raises:
            ConfigurationError: WA102, WA121.
        """
        checked_name("the name of a URL group", name)
        ends = [GroupEndpoint(end) if isinstance(end, str) else end for end in endpoints]
        await self._operations.put_endpoints(name, ends)

    async def remove_endpoints(
        self, name: str, urls: Sequence[str] = (), *, names: Sequence[str] = ()
    ) -> None:
        """Remove endpoints by address or by name; a group without any is gone.

        Raises:
            NotFound: WA611.
        """
        if isinstance(urls, str) or not (urls or names):
            raise wrong_option("urls", "a list of addresses", urls)
        await self._operations.remove_endpoints(name, urls, names)

    async def get(self, name: str) -> UrlGroup:
        """One of them.

        Raises:
            NotFound: WA611.
        """
        return await self._operations.url_group(name)

    async def list(self) -> builtins.list[UrlGroup]:
        """All of them, by name."""
        return await self._operations.url_groups()

    async def delete(self, name: str) -> None:
        """Remove it."""
        await self._operations.delete_url_group(name)


class AsyncFlowControl:
    """Flow control keys: limits that runs and messages share."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def get(self, key: str) -> FlowControlKey:
        """A key and how it is used now.

        Raises:
            NotFound: WA611.
        """
        return await self._operations.flow_key(key)

    async def list(self, search: str | None = None) -> builtins.list[FlowControlKey]:
        """All keys that are known, or those with a text in their name."""
        return await self._operations.flow_keys(search)

    async def pin(
        self,
        key: str,
        *,
        parallelism: int | None = None,
        rate: int | None = None,
        period: int | float | str | timedelta | None = None,
    ) -> None:
        """Set limits that neither runs nor messages change, until they are unpinned.

        Args:
            key: need not be known yet.
            parallelism: how many may be on their way at the same time.
            rate: how many may start in a period.
            period: whole seconds, or text as "1m"; default 1s.

        Raises:
            ConfigurationError: WA102, WA105, WA504.
        """
        if parallelism is None and rate is None:
            raise wrong_option("parallelism", "a limit, or rate=...", None)
        seconds = None if period is None else -(-duration_ms(period) // 1000)
        await self._operations.pin_flow(key, parallelism, rate, seconds)

    async def unpin(self, key: str, *, parallelism: bool = True, rate: bool = True) -> None:
        """Let messages set these limits again; until one does, they stay."""
        await self._operations.unpin_flow(key, parallelism=parallelism, rate=rate)

    async def pause(self, key: str) -> None:
        """Start nothing of a key, which need not be known yet."""
        await self._operations.pause_flow(key, paused=True)

    async def resume(self, key: str) -> None:
        """Go on."""
        await self._operations.pause_flow(key, paused=False)

    async def reset_rate(self, key: str) -> None:
        """Begin a new period: what has started until now counts no more."""
        await self._operations.reset_rate(key)

    async def global_parallelism(self) -> GlobalParallelism:
        """How much is on its way at all, and how much may be."""
        return await self._operations.global_parallelism()


class AsyncKeys:
    """The keys that a server signs its deliveries with."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def get(self) -> SigningKeys:
        """The current key and the one that follows it; their `repr` does not show them.

        Raises:
            StateError: WA608, an engine in this process signs nothing.
        """
        return await self._operations.signing_keys()

    async def rotate(self) -> SigningKeys:
        """The next key becomes the current one, and a new one the next; as they are now."""
        return await self._operations.rotate_signing_keys()
