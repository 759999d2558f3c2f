"""The port through which an invocation tells of its steps, to whoever was given to it, if any.

Nothing that a listener does reaches the workflow: it raises nothing, and what it is handed is a
copy of its own. Only `before` is awaited, so that it comes before what it announces; the order in
which results reach the branches of a workflow does not depend on it.
"""

from collections.abc import Callable
from typing import Any, Protocol

from workflow_agents.protocol.history import Recorded, StepKind


class Listener(Protocol):
    """Who is told of the steps of one invocation."""

    async def before(self, kind: StepKind, name: str) -> None:
        """A step's body is about to start, or a step to be handed over that waits elsewhere."""
        ...

    def after(self, step: Recorded, read: Callable[[], Any]) -> None:
        """An outcome reaches the code, new or replayed; `read` makes what the code gets of it."""
        ...

    def failed(self, error: BaseException) -> None:
        """A body raised, or the function failed."""
        ...

    def warn(self, text: str) -> None:
        """Something that the workflow outlives."""
        ...

    async def drained(self) -> None:
        """Wait until all is told."""
        ...
