"""How often the event loop turns before a result has taken its full effect.

A result wakes its task, whose end wakes whoever joins it, who may end in turn. Only when all
branches have come to rest may the next result be handed out. Where nothing else runs that is
seen at once; a loop that is busy, or does not tell, turns a fixed number of times for each level
of branches, and again while some branch has not come to rest.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from workflow_agents.context.branches import Branch

_TURNS_PER_LEVEL = 3
"""A result wakes its task (1), whose end tells whoever joins it (2), who wakes (3)."""

_QUIET_TURNS = 2
"""After so many turns in which nothing else ran, timers without delay included, nothing will."""

_ROUNDS = 50
"""How often a branch that does not come to rest is waited for, before the next result."""


class Turns:
    """Lets the loop turn, then calls `then`.

    Args:
        loop: of the invocation.
        branches: that are open, as they come and go.
        then: is called when the last result has taken its effect.

    Attributes:
        left: how many turns are still to pass; 0: it has taken its effect.
        depth: how deep branches are nested.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, branches: set[Branch], then: Callable[[], None]
    ) -> None:
        self.left = 0
        self.depth = 0
        self._loop = loop
        self._branches = branches
        self._then = then
        self._quiet = 0
        self._rounds = 0
        self._kicked = False

    def count(self) -> None:
        """A result was handed out to one of several branches: it takes turns."""
        if not self.left:
            self.left, self._quiet = _TURNS_PER_LEVEL * (1 + self.depth), 0

    def kick(self) -> None:
        """Call `then` when the turns have passed; where none are counted, in the next one."""
        if not self._kicked:
            self._kicked = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._kicked = False
        if self.left and not self._is_quiet():
            self.left -= 1
            if not self.left and self._takes_effect():
                self.left = _TURNS_PER_LEVEL * (1 + self.depth)
            self.kick()
        else:
            self._then()

    def _is_quiet(self) -> bool:
        """Whether nothing else runs in this process, so that the last result took its effect."""
        # What the loop runs next; loops that are not asyncio's own do not tell.
        self._quiet = 0 if getattr(self._loop, "_ready", True) else self._quiet + 1
        if self._quiet < _QUIET_TURNS:
            return False
        self.left = self._quiet = self._rounds = 0
        return True

    def _takes_effect(self) -> bool:
        """Whether the last result may still be on its way: some branch has not come to rest.

        Code that yields on its own takes more turns than a plain join. When it has come to
        rest, whoever joins it gets the turns once more.
        """
        for branch in self._branches:
            # What its task waits for; only asyncio's own tasks tell, and they are usual.
            waits_for: asyncio.Future[Any] | None = getattr(branch.task, "_fut_waiter", _UNKNOWN)
            if waits_for is None or waits_for.done():
                self._rounds += 1
                return self._rounds <= _ROUNDS
        late, self._rounds = self._rounds > 0, 0
        return late


class _Unknown:
    def done(self) -> bool:
        return False


_UNKNOWN: Any = _Unknown()
