"""The loop that synchronous code waits on: one for the process, in a daemon thread of its own.

It is there beside whatever loop the caller may be running (a notebook's, a web server's), which
is neither touched nor patched; so a synchronous call works inside a running loop too, and stops
that loop until it returns. An interrupt (Ctrl-C) ends the waiting.
"""

import asyncio
import atexit
import contextlib
import importlib
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextvars import Context, ContextVar
from typing import Any, TypeVar, cast

from workflow_agents.errors import StateError, WorkflowAgentsError, line_of_the_user

T = TypeVar("T")

BLOCKED: ContextVar[asyncio.AbstractEventLoop | None] = ContextVar("blocked_loop", default=None)
"""The loop that stands still until the task that sees this has ended."""


class LoopThread:
    """A loop that runs in a daemon thread, from its first use on."""

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = 0

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop; started if it was not. A forked child, which has no threads, gets its own."""
        with self._starting:
            if self._loop is None or self._process != os.getpid():
                self._loop = asyncio.new_event_loop()
                self._process = os.getpid()
                thread = threading.Thread(
                    target=_turn_for_ever,
                    args=(self._loop,),
                    name="workflow-agents-loop",
                    daemon=True,
                )
                thread.start()
            return self._loop

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
        """Begin it on the loop. It belongs to no caller: it sees none of his context variables."""
        context = Context()
        context.run(BLOCKED.set, _running_loop())
        return submit(coroutine, self.loop, context)

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Have it done on the loop and wait for its result.

        An interrupt ends the waiting and cancels the coroutine, as it would end any call.

        Raises:
            StateError: WA112, the caller is on this loop, and would wait for himself.
        """
        if _running_loop() is self.loop:
            coroutine.close()
            raise would_wait_for_itself()
        future = self.submit(coroutine)
        try:
            return future.result()
        except WorkflowAgentsError as error:
            # On the loop's thread nothing is known of the caller's code.
            error.where = error.where or line_of_the_user()
            raise
        except BaseException:
            future.cancel()
            raise

    def iterate(self, items: AsyncIterator[T]) -> Iterator[T]:
        """The items of an async iterator, each waited for. What ends early is closed."""
        try:
            while (item := self.wait(_next(items))) is not _END:
                yield cast("T", item)
        finally:
            # Not waited for: a generator may be ended by the interpreter's own end.
            self.submit(_close(items))


def at_exit(close: Callable[[], None]) -> None:
    """Have this called when the process ends, while thread pools still take work.

    They are closed before what `atexit` knows is called, and after what is registered here.
    """
    # What is registered later is called earlier, and this registers the end of the pools.
    importlib.import_module("concurrent.futures.thread")
    register = getattr(threading, "_register_atexit", atexit.register)
    register(close)


LOOP_THREAD = LoopThread()
"""That of the process."""


def submit(
    coroutine: Coroutine[Any, Any, T],
    loop: asyncio.AbstractEventLoop,
    context: Context | None = None,
) -> "Future[T]":
    """Begin a coroutine on a loop of another thread, in a context of its own.

    What `asyncio.run_coroutine_threadsafe` does in the context of the caller.
    """
    future: Future[T] = Future()
    context = Context() if context is None else context

    def begin() -> None:
        task = loop.create_task(coroutine, context=context)
        _running.add(task)
        task.add_done_callback(_running.discard)
        task.add_done_callback(lambda done: _copy(done, future))
        future.add_done_callback(
            lambda done: loop.call_soon_threadsafe(task.cancel) if done.cancelled() else None
        )

    try:
        loop.call_soon_threadsafe(begin, context=context)
    except RuntimeError:
        coroutine.close()
        raise
    return future


_running: set["asyncio.Task[Any]"] = set()


def _copy(task: "asyncio.Task[T]", future: "Future[T]") -> None:
    error = asyncio.CancelledError() if task.cancelled() else task.exception()
    if task.cancelled():
        future.cancel()
    if not future.set_running_or_notify_cancel():
        return
    if error is None:
        future.set_result(task.result())
    else:
        future.set_exception(error)


def would_wait_for_itself() -> StateError:
    """WA112."""
    return StateError("WA112", found="expected a call from elsewhere, found one on that very loop")


_END = object()


async def _next(items: AsyncIterator[T]) -> T | object:
    return await anext(items, _END)


async def _close(items: AsyncIterator[Any]) -> None:
    if isinstance(items, AsyncGenerator):
        await items.aclose()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _turn_for_ever(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    while not loop.is_closed():
        # What users raise to end a process must not end the loop that others wait on.
        with contextlib.suppress(SystemExit, KeyboardInterrupt):
            loop.run_forever()
