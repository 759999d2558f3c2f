"""The pauses of this engine's providers: what the rule of `core.pauses` is asked, and stored.

A pause is a row, so that it outlives the process. This process owns the store, so it keeps what
it has read; two refusals in one turn then see each other.
"""

from collections import Counter
from typing import TYPE_CHECKING

from workflow_agents.core.pauses import (
    Begin,
    Pause,
    WaitForEnd,
    WaitForTurn,
    after_refusal,
    after_success,
    may_begin,
)
from workflow_agents.store.changes import DropPause, FreeTurns, Op, SetPause

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine
    from workflow_agents.engine.http_out import HttpResponse

_ALL = -1
_KEPT = 10_000


class Pauses:
    """See the module."""

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine
        self._known: dict[str, Pause | None] = {}
        self._beginning: Counter[str] = Counter()

    def may_begin(self, key: str, now: int) -> Begin | WaitForEnd | WaitForTurn:
        """Whether one more request of the key may begin."""
        pause = self._of(key)
        return may_begin(pause, now=now, in_flight=self._under_way(key) if pause else 0)

    def beginning(self, key: str) -> None:
        """A request that may begin is about to be leased."""
        self._beginning[key] += 1

    def begun(self, key: str) -> None:
        """It was leased, or was not."""
        self._beginning[key] -= 1
        if not self._beginning[key]:
            del self._beginning[key]

    def end_of_pause(self, key: str, now: int) -> int | None:
        """Until when the key is paused, if it is."""
        pause = self._of(key)
        return pause.until if pause is not None and now < pause.until else None

    def refused(self, key: str, answer: "HttpResponse", now: int) -> tuple[int, list[Op]]:
        """A request was refused: until when all have to wait, and what is stored of it."""
        pause = after_refusal(
            self._of(key), answer.headers, now=now, in_flight=self._under_way(key)
        )
        return pause.until, [self._set(key, pause)]

    def succeeded(self, key: str, now: int) -> list[Op]:
        """A request was not refused: what is stored of it."""
        pause = self._of(key)
        if pause is None or now < pause.until:
            return []
        if not self._engine.store.waits_for_turn(key):
            # Nobody waits: the key is free.
            self._known[key] = None
            return [DropPause(key, now), FreeTurns(key, now, _ALL)]
        return [self._set(key, after_success(pause, now=now))]

    def turn(self, key: str, now: int) -> list[Op]:
        """A request has ended, however: others may begin in its place."""
        pause = self._of(key)
        if pause is None or now < pause.until:
            return []
        free = pause.window - self._under_way(key) + 1
        return [FreeTurns(key, now, free)] if free > 0 else []

    def _of(self, key: str) -> Pause | None:
        if key not in self._known:
            if len(self._known) > _KEPT:
                self._known.clear()
            self._known[key] = self._engine.store.pause(key)
        return self._known[key]

    def _set(self, key: str, pause: Pause) -> SetPause:
        self._known[key] = pause
        return SetPause(key, pause)

    def _under_way(self, key: str) -> int:
        return self._engine.store.under_way(key) + self._beginning[key]
