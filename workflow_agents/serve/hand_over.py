"""Calls that are made on the engine's own loop, whichever loop or thread they come from.

An engine that was opened without await turns on the process's private loop; a notebook's cell
awaits its client on the notebook's. What is asked there is done here, and the answer goes back.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from workflow_agents.errors import StoreError

if TYPE_CHECKING:
    from workflow_agents.core.backend import Backend

T = TypeVar("T")
LoopOf = Callable[[], asyncio.AbstractEventLoop | None]


async def hand_over(coroutine: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop | None) -> T:
    """Do this on that loop; None: here.

    Raises:
        StateError: WA112, that loop is held up by the very call.
        StoreError: WA111, that loop has ended.
    """
    if loop is None or loop is asyncio.get_running_loop():
        return await coroutine
    from workflow_agents.sync.loop_thread import BLOCKED, submit, would_wait_for_itself

    if loop is BLOCKED.get():
        coroutine.close()
        raise would_wait_for_itself()
    if not loop.is_running():
        coroutine.close()
        raise StoreError(
            "WA111",
            found="expected the event loop that it was started on, found that one at rest",
            why="asyncio.run(...) has ended, or the loop turns only now and then",
            fix=(
                "async with Engine(...) as engine: ...   # in the same asyncio.run(...)",
                "with Engine(...) as engine: ...   # a loop of its own",
            ),
        )
    return await asyncio.wrap_future(submit(coroutine, loop))


class OnItsLoop:
    """A `Backend` whose every method is called on the loop of its engine."""

    def __init__(self, backend: "Backend", loop_of: LoopOf) -> None:
        self._backend = backend
        self._loop_of = loop_of

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._backend, name)
        if name == "operations":
            method = OnItsLoop(method, self._loop_of)
        elif inspect.iscoroutinefunction(method):
            method = _awaited_there(method, self._loop_of)
        elif inspect.isasyncgenfunction(method):
            method = _iterated_there(method, self._loop_of)
        setattr(self, name, method)
        return method


def _awaited_there(method: Any, loop_of: LoopOf) -> Any:
    def call(*args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        return hand_over(method(*args, **kwargs), loop_of())

    return call


def _iterated_there(method: Any, loop_of: LoopOf) -> Any:
    async def call(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        items = method(*args, **kwargs)
        try:
            while (item := await hand_over(_next(items), loop_of())) is not _END:
                yield item
        finally:
            await hand_over(items.aclose(), loop_of())

    return call


_END = object()


async def _next(items: AsyncIterator[Any]) -> Any:
    return await anext(items, _END)
