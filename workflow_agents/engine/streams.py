"""Who listens to a run, and the replies that are coming about in it: in memory, never stored.

Both are in `listening`, which is loaded with the first of them.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from workflow_agents.protocol.history import StepKey

if TYPE_CHECKING:
    from workflow_agents.core.assembly import Assembly
    from workflow_agents.core.stream_events import ReplyEvent
    from workflow_agents.engine.listening import Listener, Reply


class Hearer(Protocol):
    """Who listens to a run."""

    def hear(self, event: "ReplyEvent") -> None:
        """Something was said."""
        ...

    def committed(self, seq: int) -> None:
        """Entries of the run's feed were stored, up to this one."""
        ...

    def wake(self) -> None:
        """Look again, whatever there is."""
        ...


class Streams:
    """The open replies and the listeners of all runs of this process."""

    def __init__(self) -> None:
        self._replies: dict[int, dict[StepKey, Reply]] = {}
        self._listeners: dict[int, list[Hearer]] = {}

    def begin(self, run: int, step: StepKey, name: str, attempt: int, said: "Assembly") -> "Reply":
        """An answer begins, which `said` assembles."""
        from workflow_agents.engine.listening import Reply

        reply = Reply(self, run, step, name, attempt, said)
        self._replies.setdefault(run, {})[step] = reply
        for listener in self.listeners(run):
            for event in reply.so_far():
                listener.hear(event)
        return reply

    def close_reply(self, run: int, step: StepKey, reply: "Reply") -> bool:
        """Forget a reply; whether it was open."""
        replies = self._replies.get(run, {})
        if replies.get(step) is not reply:
            return False
        del replies[step]
        if not replies:
            del self._replies[run]
        return True

    def listeners(self, run: int) -> "Sequence[Hearer]":
        """Who listens to a run."""
        return self._listeners.get(run, ())

    @property
    def heard_by_anyone(self) -> bool:
        """Whether anybody listens to anything."""
        return bool(self._listeners)

    def committed(self, run: int, seq: int) -> None:
        """Feed entries of a run were stored, up to this one."""
        for listener in self.listeners(run):
            listener.committed(seq)

    @contextmanager
    def listening(self, run: int) -> "Generator[Listener]":
        """Listen to a run; begins with what its open replies have said so far."""
        from workflow_agents.engine.listening import Listener

        listener = Listener(lambda: self.so_far(run))
        self.join(run, listener)
        try:
            yield listener
        finally:
            self.part(run, listener)

    def join(self, run: int, listener: Hearer) -> None:
        """It hears of the run from now on."""
        self._listeners.setdefault(run, []).append(listener)

    def part(self, run: int, listener: Hearer) -> None:
        """It hears of the run no more."""
        remaining = self._listeners[run]
        remaining.remove(listener)
        if not remaining:
            del self._listeners[run]

    def wake_all(self) -> None:
        """The engine has stopped: whoever listens has to hear of it."""
        for listener in [one for listeners in self._listeners.values() for one in listeners]:
            listener.wake()

    def so_far(self, run: int) -> "list[ReplyEvent]":
        """What the open replies of a run have said."""
        return [e for reply in self._replies.get(run, {}).values() for e in reply.so_far()]
