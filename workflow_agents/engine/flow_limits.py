"""The limits of flow control keys: what was last said of a key, unless that is pinned.

They lie in the store, and are kept in memory because every start asks for them. Keys that are
paused or have pinned limits are known from the start, so that setting limits, which code of a
workflow does, reads nothing and cannot fail.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workflow_agents.core.flow_control import FlowControl, with_pinned
from workflow_agents.store.changes import SetFlow
from workflow_agents.store.interface import FlowKeyRow

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine


@dataclass(frozen=True, slots=True)
class KeyState:
    """A key. `pinned` has those limits ("parallelism", "rate") that only operators change."""

    limits: FlowControl | None = None
    paused: bool = False
    pinned: frozenset[str] = frozenset()


class FlowLimits:
    """See the module."""

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine
        self._keys: dict[str, KeyState] = {}

    def state(self, key: str) -> KeyState:
        """All that is known of a key."""
        found = self._keys.get(key)
        if found is None:
            row = self._engine.store.flow_key(key)
            found = self._keys[key] = KeyState() if row is None else _state_of(row)
        return found

    def of(self, key: str) -> FlowControl | None:
        """The limits of a key."""
        return self.state(key).limits

    def is_paused(self, key: str) -> bool:
        """Whether nothing of the key may start."""
        return self._keys.get(key, _FREE).paused

    def with_pinned(self, flow: FlowControl) -> FlowControl:
        """Limits that somebody asks for, as far as operators have not pinned others."""
        state = self._keys.get(flow.key, _FREE)
        return with_pinned(flow, state.limits, state.pinned) or flow

    def set(self, flow: FlowControl) -> SetFlow:
        """From now on these are the limits of the key, but for those that are pinned."""
        state = self._keys.get(flow.key, _FREE)
        flow = self.with_pinned(flow)
        self._keys[flow.key] = KeyState(flow, state.paused, state.pinned)
        return SetFlow(flow.key, flow.to_value())

    def know(self, rows: Iterable[FlowKeyRow]) -> None:
        """The keys that are paused or have pinned limits, when the engine starts."""
        self._keys.update((row.flow_key, _state_of(row)) for row in rows)

    def told(self, key: str, state: KeyState) -> None:
        """This was stored of a key."""
        self._keys[key] = state


_FREE = KeyState()


def _state_of(row: FlowKeyRow) -> KeyState:
    limits = FlowControl.from_value(row.flow_key, row.value) if row.value else None
    return KeyState(limits, row.paused, frozenset(filter(None, row.pinned.split(","))))
