"""What is stored of messages, as it is read, and what the engine asks of a store about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from workflow_agents.protocol.history import StepKey
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.store.remote_rows import RemoteRuns


@dataclass(slots=True)
class MessageRow:
    """A message as it was accepted."""

    id: int
    run: int
    kind: MessageKind
    at: int
    url: str
    url_group: str | None
    queue: str | None
    schedule: str | None
    flow_key: str | None
    caller_ip: str | None
    step: StepKey | None
    source: int | None
    spec: bytes
    body: bytes


@dataclass(slots=True)
class Owed:
    """What is still owed of a message.

    Attributes:
        delivery: its row.
        leased: 0 to be made when it is due, 1 being made, 2 and 3 held back, 4 in a queue.
        attempt: attempts so far.
        due_at: of the next one, Unix milliseconds; None: nobody knows.
    """

    delivery: int
    leased: int
    attempt: int
    due_at: int | None
    not_before: int | None


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Which messages are meant: those that have one of each tuple's values, if it has any.

    Attributes:
        urls: where they go, exactly.
        hosts: the host and port in that.
        paths: the path in that.
        from_at: accepted then or later, Unix milliseconds.
        to_at: accepted then or before.
    """

    urls: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    url_groups: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    schedules: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    flow_keys: tuple[str, ...] = ()
    caller_ips: tuple[str, ...] = ()
    from_at: int | None = None
    to_at: int | None = None


@dataclass(frozen=True, slots=True)
class GroupEndpoint:
    """One of the addresses of a URL group, and its name if it has one."""

    url: str
    name: str | None


class Messages(Protocol):
    """Queries about messages."""

    @property
    def remote(self) -> RemoteRuns:
        """What is asked about remote runs."""
        ...

    def message(self, message: int) -> MessageRow | None:
        """One message."""
        ...

    def owed(self, messages: Sequence[int]) -> dict[int, Owed]:
        """What is still owed of these messages, of those of which something is."""
        ...

    def pending(self, which: MessageFilter, *, after: int, limit: int) -> list[int]:
        """Plain messages of which something is owed, in the order in which they came."""
        ...

    def group(self, name: str) -> list[GroupEndpoint]:
        """The endpoints of a URL group; none: there is no such group."""
        ...

    def setting(self, name: str) -> str | None:
        """What a server has kept under this name."""
        ...

    def of_run(
        self, run: int, *, up_to: int | None = None, kind: MessageKind | None = None
    ) -> list[MessageRow]:
        """The messages of a remote run in order, up to one of them."""
        ...
