"""What happened to plain messages, line by line, read from the feed. Source: protocol 6.3.

One entry of the feed may be several lines: a failed attempt that another follows is an error
and a retry. A line's place is the entry's number and its own within it, so that a page may end
between the two.
"""

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from workflow_agents.protocol.history import EntryKind
from workflow_agents.store.message_lists import MessageEntryRow, MessageFilter

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine

CREATED, ACTIVE, RETRY, ERROR = "CREATED", "ACTIVE", "RETRY", "ERROR"
DELIVERED, FAILED, CANCELED = "DELIVERED", "FAILED", "CANCELED"

_LINES: dict[EntryKind, tuple[str, ...]] = {
    EntryKind.MESSAGE_CREATED: (CREATED, ACTIVE),
    EntryKind.MESSAGE_ACTIVE: (ACTIVE,),
    EntryKind.MESSAGE_RETRY: (ERROR, RETRY),
    EntryKind.MESSAGE_DELIVERED: (DELIVERED,),
    EntryKind.MESSAGE_FAILED: (ERROR, FAILED),
    EntryKind.MESSAGE_CANCELED: (CANCELED,),
}
STATES = frozenset(state for states in _LINES.values() for state in states)
_PLACES = 4
"""More than an entry has lines."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line.

    Attributes:
        place: of the line, the later the larger.
        state: of the message.
        entry: which tells of it.
        told: what the entry says of the attempt.
    """

    place: int
    state: str
    entry: MessageEntryRow
    told: dict[str, Any]


class MessageLogs:
    """See the module."""

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine

    def page(
        self, which: MessageFilter, states: frozenset[str], before: int | None, count: int
    ) -> tuple[list[LogLine], int | None]:
        """Lines of some states, the newest first.

        Args:
            which: the messages; `since` and `until` are of the line.
            states: empty: all.
            before: a place.
            count: the most.

        Returns:
            The lines, and the place before which there are more; None: there are none.
        """
        if states and not states & STATES:
            return [], None
        kinds = tuple(kind for kind, lines in _LINES.items() if states.intersection(lines))
        which = replace(which, kinds=kinds) if states else which
        found: list[LogLine] = []
        up_to = None if before is None else (before - 1) // _PLACES
        while True:
            entries = self._engine.store.messages.entries(which, up_to, count + 1)
            for line in (line for entry in entries for line in reversed(lines_of(entry))):
                if (before is not None and line.place >= before) or (
                    states and line.state not in states
                ):
                    continue
                if len(found) == count:
                    return found, found[-1].place
                found.append(line)
            if len(entries) <= count:
                return found, None
            up_to = entries[-1].seq - 1


def lines_of(entry: MessageEntryRow) -> list[LogLine]:
    """The lines of one entry, in the order of time."""
    told: dict[str, Any] = json.loads(entry.data) if entry.data else {}
    states = _LINES[entry.kind]
    if entry.kind is EntryKind.MESSAGE_CREATED and not told.get("active"):
        states = (CREATED,)
    return [LogLine(entry.seq * _PLACES + n, state, entry, told) for n, state in enumerate(states)]
