"""What rules messages, for code without await; see `client.resources`."""

import builtins
from collections.abc import Sequence
from datetime import timedelta

from workflow_agents.client.resources import (
    AsyncFlowControl,
    AsyncKeys,
    AsyncQueues,
    AsyncUrlGroups,
)
from workflow_agents.core.resources import (
    FlowControlKey,
    GlobalParallelism,
    GroupEndpoint,
    Queue,
    UrlGroup,
)
from workflow_agents.protocol.signature import SigningKeys
from workflow_agents.sync.loop_thread import LOOP_THREAD

_wait = LOOP_THREAD.wait


class Queues:
    """`client.queues`: in which messages wait for each other."""

    def __init__(self, queues: AsyncQueues) -> None:
        self._queues = queues

    def upsert(
        self, name: str, *, parallelism: int | None = None, paused: bool | None = None
    ) -> None:
        """Make a queue, or change one; what is not given stays as it is."""
        return _wait(self._queues.upsert(name, parallelism=parallelism, paused=paused))

    def get(self, name: str) -> Queue:
        """One of them."""
        return _wait(self._queues.get(name))

    def list(self) -> builtins.list[Queue]:
        """All of them, by name."""
        return _wait(self._queues.list())

    def pause(self, name: str) -> None:
        """Begin no delivery of it."""
        return _wait(self._queues.pause(name))

    def resume(self, name: str) -> None:
        """Deliver again."""
        return _wait(self._queues.resume(name))

    def delete(self, name: str) -> None:
        """Remove it; what waits in it is cancelled."""
        return _wait(self._queues.delete(name))


class UrlGroups:
    """`client.url_groups`: names for several destinations."""

    def __init__(self, url_groups: AsyncUrlGroups) -> None:
        self._url_groups = url_groups

    def add_endpoints(self, name: str, endpoints: Sequence[GroupEndpoint | str]) -> None:
        """Add endpoints to a group, which is made if there is none."""
        return _wait(self._url_groups.add_endpoints(name, endpoints))

    def remove_endpoints(
        self, name: str, urls: Sequence[str] = (), *, names: Sequence[str] = ()
    ) -> None:
        """Remove endpoints by address or by name."""
        return _wait(self._url_groups.remove_endpoints(name, urls, names=names))

    def get(self, name: str) -> UrlGroup:
        """One of them."""
        return _wait(self._url_groups.get(name))

    def list(self) -> builtins.list[UrlGroup]:
        """All of them, by name."""
        return _wait(self._url_groups.list())

    def delete(self, name: str) -> None:
        """Remove it."""
        return _wait(self._url_groups.delete(name))


class FlowControlKeys:
    """`client.flow_control`: limits that runs and messages share."""

    def __init__(self, flow_control: AsyncFlowControl) -> None:
        self._flow_control = flow_control

    def get(self, key: str) -> FlowControlKey:
        """A key and how it is used now."""
        return _wait(self._flow_control.get(key))

    def list(self, search: str | None = None) -> builtins.list[FlowControlKey]:
        """All keys that are known, or those with a text in their name."""
        return _wait(self._flow_control.list(search))

    def pin(
        self,
        key: str,
        *,
        parallelism: int | None = None,
        rate: int | None = None,
        period: int | float | str | timedelta | None = None,
    ) -> None:
        """Set limits that neither runs nor messages change, until they are unpinned."""
        return _wait(self._flow_control.pin(key, parallelism=parallelism, rate=rate, period=period))

    def unpin(self, key: str, *, parallelism: bool = True, rate: bool = True) -> None:
        """Let messages set these limits again; until one does, they stay."""
        return _wait(self._flow_control.unpin(key, parallelism=parallelism, rate=rate))

    def pause(self, key: str) -> None:
        """Start nothing of a key, which need not be known yet."""
        return _wait(self._flow_control.pause(key))

    def resume(self, key: str) -> None:
        """Go on."""
        return _wait(self._flow_control.resume(key))

    def reset_rate(self, key: str) -> None:
        """Begin a new period: what has started until now counts no more."""
        return _wait(self._flow_control.reset_rate(key))

    def global_parallelism(self) -> GlobalParallelism:
        """How much is on its way at all, and how much may be."""
        return _wait(self._flow_control.global_parallelism())


class Keys:
    """`client.keys`: the keys that a server signs its deliveries with."""

    def __init__(self, keys: AsyncKeys) -> None:
        self._keys = keys

    def get(self) -> SigningKeys:
        """The current key and the one that follows it."""
        return _wait(self._keys.get())

    def rotate(self) -> SigningKeys:
        """The next key becomes the current one, and a new one the next."""
        return _wait(self._keys.rotate())
