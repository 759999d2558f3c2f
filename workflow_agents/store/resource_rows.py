"""Queues, URL groups and schedules as they are read from a store, and the queries for them."""

from dataclasses import dataclass, field
from typing import Protocol

from workflow_agents.store.interface import FlowKeyRow


@dataclass(slots=True)
class QueueRow:
    """A queue. `lag`: messages in it that have not ended."""

    name: str
    parallelism: int
    paused: bool
    created_at: int
    updated_at: int
    lag: int


@dataclass(slots=True)
class EndpointRow:
    """Where a URL group goes."""

    url: str
    name: str | None


@dataclass(slots=True)
class GroupRow:
    """A URL group."""

    name: str
    created_at: int
    updated_at: int
    endpoints: list[EndpointRow] = field(default_factory=list[EndpointRow])


@dataclass(slots=True)
class ScheduleRow:
    """A schedule.

    Attributes:
        due_at: its next tick; None: it is paused, or there is none.
        last_at: the last tick that was made.
        last_messages: the messages of that tick.
        error: why the last tick has no message.
        spec: JSON of the `MessageSpec` of its messages.
    """

    id: str
    cron: str
    destination: str
    created_at: int
    paused: bool
    due_at: int | None
    last_at: int | None
    last_messages: list[int]
    error: str | None
    caller_ip: str | None
    spec: bytes
    body: bytes


class Resources(Protocol):
    """Queries about them."""

    def queues(self) -> list[QueueRow]:
        """All queues, by name."""
        ...

    def queue(self, name: str) -> QueueRow | None:
        """One of them."""
        ...

    def groups(self) -> list[GroupRow]:
        """All URL groups, by name."""
        ...

    def group(self, name: str) -> GroupRow | None:
        """One of them."""
        ...

    def schedules(self) -> list[ScheduleRow]:
        """All schedules, the oldest first."""
        ...

    def schedule(self, id: str) -> ScheduleRow | None:
        """One of them."""
        ...

    def flow_keys(self, search: str | None = None) -> list[FlowKeyRow]:
        """The keys whose limits or pauses are known; those that have the text in their name."""
        ...

    def waiting_for_flow(self, flow_key: str, now: int) -> int:
        """How many runs, steps and requests wait for a key."""
        ...
