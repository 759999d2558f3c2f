"""A ticket lets whoever has it follow one run for a while, and do nothing else: for visitors.

It is sealed with the key of the store, so that every process of the store can read it and nobody
can make one. Pure but for the seal.
"""

import json
from typing import NamedTuple, Protocol

from workflow_agents.errors import StoreError

PREFIX = "run."
"""Tells a ticket from a token."""


class Seals(Protocol):
    """As much of the engine's sealer as is needed."""

    def seal(self, text: str) -> str:
        """A text that only this store can read."""
        ...

    def open(self, sealed: str) -> str:
        """The reverse."""
        ...


class Ticket(NamedTuple):
    """What whoever has it is told.

    Attributes:
        run_id: of this run alone.
        until: Unix milliseconds.
        words: what is said in the run's replies while it is said.
        data: what steps return, and why they fail.
    """

    run_id: str
    until: int
    words: bool
    data: bool


def written(ticket: Ticket, sealer: Seals) -> str:
    """As whoever is to have it is given it."""
    return PREFIX + sealer.seal(json.dumps([*ticket]))


def read(text: str, sealer: Seals, now: int) -> Ticket | None:
    """The reverse; None: it is none of this store, or its time has passed.

    Args:
        text: that was shown.
        sealer: of the store.
        now: Unix milliseconds.
    """
    if not text.startswith(PREFIX):
        return None
    try:
        ticket = Ticket(*json.loads(sealer.open(text.removeprefix(PREFIX))))
    except (StoreError, ValueError, TypeError):
        # Other sealed texts of the store, such as links of approvals, are no tickets.
        return None
    return ticket if ticket.until > now else None
