"""What is stored of messages, as it is read, and what the engine asks of a store about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from workflow_agents.protocol.history import StepKey
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.store.message_lists import MessageLists
from workflow_agents.store.remote_rows import RemoteRuns
from workflow_agents.store.resource_rows import Resources


@dataclass(slots=True)
class MessageRow:
    """A message as it was accepted."""

    id: int
    run: int
    kind: MessageKind
    at: int
    url: str
    url_group: str | None
    endpoint: str | None
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


class Messages(MessageLists, Resources, Protocol):
    """Queries about messages, and what is kept beside them."""

    @property
    def remote(self) -> RemoteRuns:
        """What is asked about remote runs."""
        ...

    def message(self, message: int) -> MessageRow | None:
        """One message."""
        ...

    def accepted_with(self, deduplication_id: str) -> list[MessageRow]:
        """The messages that were accepted with a deduplication id, as far as they are there."""
        ...

    def owed(self, messages: Sequence[int]) -> dict[int, Owed]:
        """What is still owed of these messages, of those of which something is."""
        ...

    def setting(self, name: str) -> str | None:
        """What a server has kept under this name."""
        ...

    def of_run(
        self, run: int, *, up_to: int | None = None, kind: MessageKind | None = None
    ) -> list[MessageRow]:
        """The messages of a remote run in order, up to one of them."""
        ...

    def forget(self, before: int, now: int, limit: int) -> int:
        """Delete plain messages from before then of which nothing is owed; how many.

        Their dead letters go with them, unless a letter is younger.
        """
        ...
