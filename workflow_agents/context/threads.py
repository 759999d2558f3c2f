"""The threads in which the bodies of synchronous steps run."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache

_THREADS = 64


@cache
def step_threads() -> ThreadPoolExecutor:
    """One pool for the process, made when the first synchronous step runs.

    It is larger than the loop's own, because such steps mostly wait for something.
    """
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="workflow-step")
