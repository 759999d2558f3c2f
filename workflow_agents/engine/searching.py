"""Searches of what runs were given and gave: one at a time, in a thread, beside all writing."""

import asyncio
from typing import TYPE_CHECKING

from workflow_agents.core.searching import Needle, SearchResult
from workflow_agents.store.sqlite_run_lists import RunsWanted
from workflow_agents.store.sqlite_search import reading, search

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine


class Searches:
    """See the module."""

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine
        self._turn = asyncio.Lock()

    async def search(self, text: str, wanted: RunsWanted, limit: int) -> SearchResult:
        """Look for a text, in runs like this.

        Raises:
            ConfigurationError: WA102, the text is none to look for.
            StoreError: the store cannot be read.
        """
        needle = Needle.of(text)
        async with self._turn:
            return await asyncio.to_thread(self._search, needle, wanted, limit)

    def _search(self, needle: Needle, wanted: RunsWanted, limit: int) -> SearchResult:
        store = self._engine.store
        with reading(store.path, store.all) as query:  # type: ignore[attr-defined]
            return search(query, needle, wanted, limit, self._engine.clock.now_ms)
