"""What the engine asks of a workflow that is served in this process."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from workflow_agents.core.journal import Deliveries, History, Journal, Keeper
from workflow_agents.core.options import RunOptions
from workflow_agents.store.interface import RunRow

Gate = Callable[[], "asyncio.Future[None]"]


class Served(Protocol):
    """A workflow: how to begin an invocation of it, and its own options."""

    @property
    def path(self) -> str:
        """What stored runs find it by."""
        ...

    @property
    def options(self) -> RunOptions:
        """What holds for its runs where they do not say otherwise."""
        ...

    @property
    def has_failure_function(self) -> bool:
        """Whether something is to be called when a run has failed."""
        ...

    def invoke(
        self,
        run: RunRow,
        options: RunOptions,
        history: History,
        journal: Journal,
        keeper: Keeper,
        gate: Gate | None,
    ) -> Deliveries:
        """Call the function; returns at once, and the keeper hears how it ends."""
        ...

    async def on_failure(self, run: RunRow, options: RunOptions, failure: dict[str, Any]) -> Any:
        """Call the failure function."""
        ...
