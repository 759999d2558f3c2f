"""Processes in virtual time: each on a loop of its own, on a database that outlives it."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

from workflow_agents.store.sqlite import SqliteStore
from workflow_agents.testing.faults import Database, Faults
from workflow_agents.testing.virtual_time import VirtualLoop, VirtualTime

T = TypeVar("T")


def run_process(
    main: Callable[[SqliteStore], Coroutine[Any, Any, T]],
    database: Database,
    faults: Faults,
    time: VirtualTime,
    *,
    unhandled: Callable[[dict[str, Any]], None] | None = None,
) -> T:
    """Run one process, until its `main` has returned or a fault has ended it.

    Nothing of it goes on afterwards; the database holds what it has committed.

    Args:
        main: gets the store of this process, not yet open.
        database: what the process works on.
        faults: what goes wrong with it.
        time: goes on from one process to the next.
        unhandled: hears of exceptions that nobody has caught.

    Raises:
        Crash: a fault has ended it.
    """
    loop = VirtualLoop(time)
    if unhandled is not None:
        loop.set_exception_handler(lambda _loop, context: unhandled(context))
    store = database.store(faults)
    try:
        return loop.run_until_complete(main(store))
    finally:
        database.crash()
        loop.abandon()


def apart(play: Callable[[], T]) -> T:
    """Call a function that runs loops of its own, also where a loop is running already."""
    if not _in_a_loop():
        return play()
    with ThreadPoolExecutor(1, thread_name_prefix="workflow-test") as pool:
        return pool.submit(copy_context().run, play).result()


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
