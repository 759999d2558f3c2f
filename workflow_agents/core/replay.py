"""The replay decision: what is recorded, against what the code asks for.

A run is replayed by calling its function again and giving every step the result that it had.
Two things make that exact. A step is found by its *key*, its place in the tree of branches,
never by timing. And results are handed out in the order in which they were recorded, so that
branches which share anything meet it in the order they first did.

Until the whole loaded history has been handed out, a step that is not in it is *held*: code
that is unchanged never needs such a step to get at the rest of its history, and changed code
is found out before it does anything new.

Pure: no I/O, no clock, no tasks.
"""

from collections import deque
from collections.abc import Iterator

from workflow_agents.core.journal import History
from workflow_agents.errors import HistoryMismatch
from workflow_agents.protocol.history import Recorded, StepKey, StepKind, Waiting


class Replay:
    """The recorded outcomes of one run, as far as its code has not yet taken them."""

    __slots__ = ("_asked", "_by_key", "_inbox", "_loaded", "_waiting")

    def __init__(self, history: History) -> None:
        self._inbox = deque(history.recorded)
        self._loaded = len(self._inbox)
        self._by_key: dict[StepKey, Recorded] = {r.key: r for r in history.recorded}
        self._waiting: dict[StepKey, Waiting] = {w.key: w for w in history.waiting}
        self._asked: set[StepKey] = set()

    @property
    def replaying(self) -> bool:
        """Whether part of the loaded history has not been handed out yet."""
        return self._loaded > 0

    @property
    def head(self) -> Recorded | None:
        """The outcome that is handed out next, or None."""
        return self._inbox[0] if self._inbox else None

    def ask(self, key: StepKey, kind: StepKind, name: str) -> Recorded | Waiting | None:
        """What is known of the step that the code asks for; None: nothing, it is new.

        Raises:
            HistoryMismatch: another step is recorded, or waits, in its place.
        """
        known = self._by_key.get(key) or self._waiting.get(key)
        if known is None:
            return None
        if known.name != name or known.kind is not kind:
            raise HistoryMismatch(
                place(key), describe(known.kind, known.name), describe(kind, name)
            )
        if type(known) is Waiting:
            del self._waiting[key]
        else:
            self._asked.add(key)
        return known

    def add(self, outcome: Recorded) -> None:
        """An outcome was recorded just now."""
        if self._waiting.pop(outcome.key, None) is not None:
            # It has come before the code, in its replay, asks for it.
            self._by_key[outcome.key] = outcome
        self._inbox.append(outcome)

    def ready(self, waiting: Waiting) -> bool:
        """The delay of a step has passed: it may run when the code asks for it.

        False: the code has asked, and waits.
        """
        if waiting.key not in self._waiting:
            return False
        self._waiting[waiting.key] = waiting
        return True

    def forget(self, key: StepKey) -> None:
        """The code took back its wait."""
        self._waiting.pop(key, None)

    def advance(self) -> Recorded:
        """Hand out the head."""
        head = self._inbox.popleft()
        self._by_key.pop(head.key, None)
        self._asked.discard(head.key)
        if self._loaded:
            self._loaded -= 1
        return head

    def unasked(self) -> Iterator[Recorded]:
        """Loaded outcomes that the code has not asked for, in recorded order."""
        return (r for r in self._inbox if r.key in self._by_key and r.key not in self._asked)


def describe(kind: StepKind, name: str) -> str:
    """A step as error messages name it: run 'charge'."""
    return f"{kind.label} {name!r}"


def place(key: StepKey) -> str:
    """A step's place as error messages name it: step 3, step 1 of branch 2.0."""
    if isinstance(key, int):
        return f"step {key}"
    branch, _, position = key.rpartition("/")
    return f"step {position} of branch {branch}"
