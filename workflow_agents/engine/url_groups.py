"""URL groups: one name for several destinations. Source: protocol 6.3, topics."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workflow_agents.core.checks import checked_name
from workflow_agents.errors import ConfigurationError, NotFound
from workflow_agents.protocol.message_headers import is_url
from workflow_agents.protocol.times import shown
from workflow_agents.store.changes import Applied, Change, Op
from workflow_agents.store.resource_changes import DropGroup, PutEndpoints, RemoveEndpoints
from workflow_agents.store.resource_rows import EndpointRow, GroupRow

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine


class UrlGroups:
    """See the module."""

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine

    def all(self) -> list[GroupRow]:
        """All groups, by name."""
        return self._engine.store.messages.groups()

    def get(self, name: str) -> GroupRow:
        """A group, which has one endpoint at least.

        Raises:
            NotFound: WA611.
        """
        row = self._engine.store.messages.group(name)
        if row is None:
            raise _no_group(name)
        return row

    async def put_endpoints(self, name: str, endpoints: Sequence[EndpointRow]) -> None:
        """Add endpoints, or change those of the same name or URL; others stay.

        Raises:
            ConfigurationError: WA102, WA121.
        """
        checked_name("the name of a URL group", name)
        for end in endpoints:
            if not is_url(end.url):
                raise ConfigurationError(
                    "WA121",
                    "an endpoint of a URL group is an http or https address",
                    where=f"URL group {name!r}",
                    found=shown(end.url),
                )
            if end.name is not None:
                checked_name("the name of an endpoint", end.name)
        if endpoints:
            pairs = tuple((end.url, end.name) for end in endpoints)
            await self._store(PutEndpoints(name, pairs, self._engine.clock.now_ms()))

    async def remove_endpoints(self, name: str, urls: Sequence[str], names: Sequence[str]) -> None:
        """Remove endpoints by URL or by name; a group without any is gone.

        Raises:
            NotFound: WA611.
        """
        now = self._engine.clock.now_ms()
        if not await self._store(RemoveEndpoints(name, tuple(urls), tuple(names), now)):
            raise _no_group(name)

    async def delete(self, name: str) -> None:
        """Remove a group.

        Raises:
            NotFound: WA611.
        """
        if not await self._store(DropGroup(name)):
            raise _no_group(name)

    async def _store(self, op: Op) -> bool:
        outcome = await self._engine.commits.store(Change((op,)))
        return isinstance(outcome, Applied)


def _no_group(name: str) -> NotFound:
    return NotFound("WA611", "there is no such URL group", found=f"URL group {name!r}")
