"""Lists of messages, of their dead letters and of what was told of them, and their filters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from workflow_agents.protocol.history import EntryKind

if TYPE_CHECKING:
    from workflow_agents.store.message_rows import MessageRow


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Which plain messages are meant: those that fit all of it; of several values, one.

    Attributes:
        ids: of messages; None: any, as an empty one of the others is.
        letters: ids of dead letters.
        urls: whole addresses.
        hosts: with or without the port.
        paths: of addresses.
        since: Unix milliseconds, included; of the message, the letter or the entry.
        until: Unix milliseconds, included.
        statuses: of the last answer, for dead letters.
        kinds: of entries.
    """

    ids: tuple[int, ...] | None = None
    letters: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    url_groups: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    schedules: tuple[str, ...] = ()
    flow_keys: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    caller_ips: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None
    statuses: tuple[int, ...] = ()
    kinds: tuple[EntryKind, ...] = ()


@dataclass(slots=True)
class MessageLetterRow:
    """A message that failed for good.

    Attributes:
        row: its place in the list.
        failure: JSON of what came of the last attempt.
    """

    row: int
    id: str
    at: int
    failure: str
    message: "MessageRow"


@dataclass(slots=True)
class MessageEntryRow:
    """A feed entry of a message; the message has its body only where that is small."""

    seq: int
    at: int
    kind: EntryKind
    data: bytes | None
    message: "MessageRow"


class MessageLists(Protocol):
    """Queries for lists."""

    def owed_messages(self, which: MessageFilter, after: int, limit: int) -> list[int]:
        """Plain messages of which something is owed, behind one of them, in order."""
        ...

    def letters(
        self, which: MessageFilter, before: int | None, limit: int
    ) -> list[MessageLetterRow]:
        """Dead letters of plain messages, the newest first; `before` is a row."""
        ...

    def entries(self, which: MessageFilter, up_to: int | None, limit: int) -> list[MessageEntryRow]:
        """What the feed tells of plain messages, the newest first, from a number down."""
        ...

    def states(self, messages: Sequence[int]) -> dict[int, EntryKind]:
        """What the feed told last of each of these messages."""
        ...
