"""Where the bodies of synchronous steps run: in a pool of threads, unless they have their own."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from functools import cache
from typing import TYPE_CHECKING, Any

from workflow_agents.context.branches import InsideStep

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

_THREADS = 64

Bodies = Callable[[Callable[[], Any], InsideStep], Awaitable[object]]
"""Calls the body of a step, which takes nothing."""


@cache
def step_threads() -> "ThreadPoolExecutor":
    """One pool for the process, made when the first synchronous step runs.

    It is larger than the loop's own, because such steps mostly wait for something.
    """
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(_THREADS, thread_name_prefix="workflow-step")


def in_pool(body: Callable[[], Any], _step: InsideStep) -> Awaitable[object]:
    """Call the body in the pool, with the context variables of who asks."""
    run = copy_context().run
    return asyncio.get_running_loop().run_in_executor(step_threads(), run, body)
