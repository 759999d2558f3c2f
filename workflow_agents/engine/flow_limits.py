"""The limits of flow control keys: what was last said of a key, unless that is pinned.

They lie in the store, and are kept in memory because every start asks for them.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workflow_agents.core.flow_control import FlowControl, with_pinned
from workflow_agents.store.changes import SetFlow

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
            if row is None:
                found = KeyState()
            else:
                limits = FlowControl.from_value(key, row.value) if row.value else None
                found = KeyState(limits, row.paused, frozenset(filter(None, row.pinned.split(","))))
            self._keys[key] = found
        return found

    def of(self, key: str) -> FlowControl | None:
        """The limits of a key."""
        return self.state(key).limits

    def is_paused(self, key: str) -> bool:
        """Whether nothing of the key may start."""
        return self.state(key).paused

    def with_pinned(self, flow: FlowControl) -> FlowControl:
        """Limits that somebody asks for, as far as operators have not pinned others."""
        state = self.state(flow.key)
        return with_pinned(flow, state.limits, state.pinned) or flow

    def set(self, flow: FlowControl) -> SetFlow:
        """From now on these are the limits of the key, but for those that are pinned."""
        state = self.state(flow.key)
        flow = self.with_pinned(flow)
        self._keys[flow.key] = KeyState(flow, state.paused, state.pinned)
        return SetFlow(flow.key, flow.to_value())

    def told(self, key: str, state: KeyState) -> None:
        """This was stored of a key."""
        self._keys[key] = state
