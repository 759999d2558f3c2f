"""The lock-step decision: how a run advances whose history a QStash server keeps.

Such a server keeps a list of steps and visits the workflow once for each of them. A visit
replays the function with the whole list. When every branch has come to rest, the steps that
they ask for are a *group*, numbered on from the last. A group of one is executed at once. Of
a larger one, the first visit *plans* every member; the visit that a plan leads to executes
that member and no other; the visits that results lead to do nothing until the last result is
there, whose visit goes on with the next group. So each step runs once, whichever visits come
at the same time and in whatever order, as long as each sees the list cut off at its own step.

Results of a group are handed out in the order in which the server took them: where branches
race, the first to end is the first.

Pure: no I/O, no clock, no tasks. Source: protocol 1.4 to 1.6.
"""

from collections.abc import Sequence
from typing import NamedTuple

from workflow_agents.core.journal import Asked
from workflow_agents.core.replay import describe, place
from workflow_agents.errors import HistoryMismatch
from workflow_agents.protocol.history import StepKind
from workflow_agents.protocol.wire_steps import WireStep

_LABELS = {kind.wire: kind.label for kind in StepKind}


class Results(NamedTuple):
    """Every member has its result: (place in the group, result), in recorded order."""

    results: list[tuple[int, WireStep]]


class Execute(NamedTuple):
    """Execute this member and no other; its result gets this number."""

    member: int
    number: int


class PlanAll(NamedTuple):
    """Announce every member; the first one's result will have this number."""

    first: int


class Discard(NamedTuple):
    """A result was delivered while others are still to come: nothing is to be done."""


Decision = Results | Execute | PlanAll | Discard


class LockStep:
    """The server's list of one run, as far as its code has not yet taken it.

    Args:
        steps: plans and results in the server's order, without repetitions.
    """

    __slots__ = ("_last", "_left", "_next", "_plans", "_results")

    def __init__(self, steps: Sequence[WireStep]) -> None:
        self._results = {s.number: (at, s) for at, s in enumerate(steps) if not s.is_plan}
        self._plans = {s.number: s for s in steps if s.is_plan}
        self._last = steps[-1] if steps else None
        self._left = len(steps)
        self._next = 1

    def decide(self, asked: Sequence[Asked]) -> Decision:
        """What is to be done about the steps that the code asks for now.

        Args:
            asked: in an order that is the same in every replay.

        Raises:
            HistoryMismatch: the list holds another group in this place.
        """
        first, size = self._next, len(asked)
        numbers = range(first, first + size)
        if not self._left:
            return PlanAll(first) if size > 1 else Execute(0, first)
        for number, ask in zip(numbers, asked, strict=True):
            self._compare(number, ask, size)
        if all(number in self._results for number in numbers):
            return self._taken(numbers)
        if size == 1:
            raise HistoryMismatch(place(first), self._told(first), _asked(asked[0]))
        last = self._last
        if last is None or last.number not in numbers:
            raise HistoryMismatch(place(first), self._told(first), _asked(asked[0]))
        if last.is_plan:
            return Execute(last.number - first, last.number)
        return Discard()

    def left(self) -> HistoryMismatch | None:
        """What a function that returns has not asked for, if there is anything."""
        if not self._left:
            return None
        told = self._told(self._next)
        return HistoryMismatch(place(self._next), told, "the function returned without this step")

    def _taken(self, numbers: range) -> Results:
        found = sorted(
            (at, number - numbers.start, step)
            for number in numbers
            for at, step in [self._results[number]]
        )
        self._left -= len(found) + sum(number in self._plans for number in numbers)
        self._next = numbers.stop
        return Results([(index, step) for _, index, step in found])

    def _compare(self, number: int, asked: Asked, size: int) -> None:
        _, result = self._results.get(number, (0, None))
        for step in (result, self._plans.get(number)):
            if step is None:
                continue
            if step.name != asked.name or step.type != asked.kind.wire:
                raise HistoryMismatch(place(number), _recorded(step), _asked(asked))
            if step.concurrent != size:
                raise HistoryMismatch(
                    place(number),
                    f"{_recorded(step)} in a group of {step.concurrent}",
                    f"{_asked(asked)} in a group of {size}",
                )

    def _told(self, number: int) -> str:
        _, result = self._results.get(number, (0, None))
        step = result or self._plans.get(number)
        return "nothing" if step is None else _recorded(step)


def in_order(asked: Asked) -> tuple[int, ...]:
    """Sorts the members of a group by their place in the tree of branches.

    The place does not depend on which branch was faster.
    """
    if isinstance(asked.key, int):
        return (asked.key,)
    return tuple(int(part) for part in asked.key.replace("/", ".").split("."))


def _recorded(step: WireStep) -> str:
    return f"{_LABELS.get(step.type, step.type)} {step.name!r}"


def _asked(asked: Asked) -> str:
    return describe(asked.kind, asked.name)
