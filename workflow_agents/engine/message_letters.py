"""Dead letters of plain messages: what failed for good, and can be sent again.

Sent again, it is a new message; the letter is taken in the same change that adds it, so that
no letter becomes two messages.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from workflow_agents.engine.messages import Published
from workflow_agents.errors import NotFound
from workflow_agents.protocol.history import EntryKind
from workflow_agents.store.changes import (
    Applied,
    Change,
    Entry,
    Op,
    Refused,
    TakeDeadLetter,
)
from workflow_agents.store.message_lists import MessageFilter, MessageLetterRow

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine

_AT_ONCE = 200


class MessageLetters:
    """See the module."""

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine

    def page(
        self, which: MessageFilter, before: int | None, limit: int
    ) -> tuple[list[MessageLetterRow], int | None]:
        """Letters, the newest first, and behind which row there are more; None: nowhere."""
        found = self._engine.store.messages.letters(which, before, limit + 1)
        shown = found[:limit]
        return shown, shown[-1].row if len(found) > limit else None

    def get(self, dlq_id: str) -> MessageLetterRow:
        """A letter.

        Raises:
            NotFound: WA607.
        """
        found = self.find(dlq_id)
        if found is None:
            raise _no_letter(dlq_id)
        return found

    def find(self, dlq_id: str) -> MessageLetterRow | None:
        """A letter; None: there is none, or it is of a run."""
        found = self._engine.store.messages.letters(MessageFilter(letters=(dlq_id,)), None, 1)
        return found[0] if found else None

    async def delete(self, dlq_id: str) -> None:
        """Remove a letter; what was told of its message stays.

        Raises:
            NotFound: WA607.
        """
        outcome = await self._take(self._removal(self.get(dlq_id)))
        if not isinstance(outcome, Applied):
            raise _no_letter(dlq_id)

    async def delete_all(self, which: MessageFilter, most: int | None) -> tuple[int, int | None]:
        """Remove those that fit, the newest first; how many, and behind which row are more."""
        done, more = await self._each(which, most, self._removal)
        return len(done), more

    async def retry(self, dlq_id: str) -> Published:
        """Send a message again. Durable when this returns.

        Raises:
            NotFound: WA607.
        """
        letter = self.get(dlq_id)
        outcome = await self._take(self._another(letter))
        if not isinstance(outcome, Applied):
            raise _no_letter(dlq_id)
        return _published(letter, outcome)

    async def retry_all(
        self, which: MessageFilter, most: int | None
    ) -> tuple[list[Published], int | None]:
        """Send those again that fit, the newest first; and behind which row are more."""
        done, more = await self._each(which, most, self._another)
        return [_published(letter, outcome) for letter, outcome in done], more

    async def _each(
        self,
        which: MessageFilter,
        most: int | None,
        change: Callable[[MessageLetterRow], Change],
    ) -> tuple[list[tuple[MessageLetterRow, Applied]], int | None]:
        done: list[tuple[MessageLetterRow, Applied]] = []
        before: int | None = None
        left = most
        while left is None or left > 0:
            letters, before = self.page(which, before, min(_AT_ONCE, left or _AT_ONCE))
            if left is not None:
                left -= len(letters)
            outcomes = await asyncio.gather(*(self._take(change(one)) for one in letters))
            # Those that somebody else has taken meanwhile are his.
            done += [
                (letter, outcome)
                for letter, outcome in zip(letters, outcomes, strict=True)
                if isinstance(outcome, Applied)
            ]
            if before is None:
                break
        return done, before

    async def _take(self, change: Change) -> Applied | Refused:
        return await self._engine.wire.messages.commit(change.ops, change.entries)

    def _removal(self, letter: MessageLetterRow) -> Change:
        return Change((TakeDeadLetter(letter.id),), (self._removed(letter),))

    def _removed(self, letter: MessageLetterRow) -> Entry:
        now = self._engine.clock.now_ms()
        return Entry(0, now, EntryKind.DEAD_LETTER_REMOVED, message=letter.message.id)

    def _another(self, letter: MessageLetterRow) -> Change:
        messages, old = self._engine.wire.messages, letter.message
        spec = replace(
            messages.opened(old.spec),
            delay_ms=None,
            not_before=None,
            deduplication_id=None,
            content_based_deduplication=False,
        )
        added = messages.op(
            old.kind, spec, old.body, self._engine.clock.now_ms(), source=old.source
        )._replace(
            url_group=old.url_group,
            endpoint=old.endpoint,
            schedule=old.schedule,
            caller_ip=old.caller_ip,
        )
        taking = messages.taking(spec, [added])
        ops: list[Op] = [TakeDeadLetter(letter.id), *taking.ops]
        return Change(ops, [self._removed(letter), *taking.entries])


def _published(letter: MessageLetterRow, outcome: Applied) -> Published:
    return Published(outcome.messages[0][0], letter.message.url)


def _no_letter(dlq_id: str) -> NotFound:
    return NotFound("WA607", found=f"dead letter {dlq_id!r}")
