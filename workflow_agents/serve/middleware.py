"""Middlewares: what they are told of runs and steps, how they are made, and how they are called.

```python
async def finished(event: AfterExecution) -> None:
    await channel.emit(event.context.workflow_run_id, event.step_name, event.result)

realtime = WorkflowMiddleware("realtime", callbacks={"after_execution": finished})

@serve.post("/orders", middlewares=[logging_middleware, realtime])
async def orders(context: AsyncWorkflowContext[Order]) -> str: ...
```

A middleware looks on. What it raises is logged and told to the others; what it is handed is a copy
of its own; it can ask for no steps. `serve.telling` says when each event is told.

Source: howto/middlewares; protocol 11.4.
"""

import asyncio
import functools
import inspect
import logging
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, ClassVar, TypedDict, TypeVar, cast
from weakref import WeakKeyDictionary

from workflow_agents.context.context import AsyncWorkflowContext
from workflow_agents.context.threads import step_threads
from workflow_agents.core.bad_options import names_options, unknown_option, wrong_option

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run asks for its first step; a request that is refused before that starts none."""

    callback: ClassVar = "run_started"
    context: AsyncWorkflowContext[Any]


@dataclass(frozen=True, slots=True)
class BeforeExecution:
    """A step is about to be executed, or to be handed over: a call, a wait, a sleep.

    A body that is tried again is executed again.
    """

    callback: ClassVar = "before_execution"
    context: AsyncWorkflowContext[Any]
    step_name: str


@dataclass(frozen=True, slots=True)
class AfterExecution:
    """A step has its result, which is stored: `result` is what the code gets."""

    callback: ClassVar = "after_execution"
    context: AsyncWorkflowContext[Any]
    step_name: str
    result: Any


@dataclass(frozen=True, slots=True)
class RunCompleted:
    """The function returned `result`, as JSON gives it back; this is about to be stored."""

    callback: ClassVar = "run_completed"
    context: AsyncWorkflowContext[Any]
    result: Any


@dataclass(frozen=True, slots=True)
class RunError:
    """A body or the function raised, or another middleware of the run did."""

    callback: ClassVar = "on_error"
    workflow_run_id: str
    error: BaseException


@dataclass(frozen=True, slots=True)
class RunWarning:
    """Something that the run outlives: a failed attempt, a step that was delivered twice."""

    callback: ClassVar = "on_warning"
    workflow_run_id: str
    warning: str


@dataclass(frozen=True, slots=True)
class RunInfo:
    """How a run goes on, in words."""

    callback: ClassVar = "on_info"
    workflow_run_id: str
    info: str


Event = (
    RunStarted | BeforeExecution | AfterExecution | RunCompleted | RunError | RunWarning | RunInfo
)
E = TypeVar("E")
Callback = Callable[[E], Awaitable[None]] | Callable[[E], None]
"""A coroutine function is awaited, any other is called in a thread."""


class MiddlewareCallbacks(TypedDict, total=False):
    """What a middleware listens to; the name of an event's class says what it gets."""

    run_started: Callback[RunStarted]
    before_execution: Callback[BeforeExecution]
    after_execution: Callback[AfterExecution]
    run_completed: Callback[RunCompleted]
    on_error: Callback[RunError]
    on_warning: Callback[RunWarning]
    on_info: Callback[RunInfo]


Init = Callable[[], Awaitable[MiddlewareCallbacks]] | Callable[[], MiddlewareCallbacks]


class WorkflowMiddleware:
    """Callbacks that are told of the runs of a workflow.

    Args:
        name: what logs call it.
        callbacks: by the names of the events.
        init: makes them, once, before the first event: with the connections that they need. They
            belong to the event loop on which it was called, and are made again on another. One
            that raises is called again with the next event.

    Raises:
        ConfigurationError: WA101 or WA102, there is no such event, or not exactly one of
            `callbacks` and `init`.
    """

    @names_options
    def __init__(
        self, name: str, *, callbacks: MiddlewareCallbacks | None = None, init: Init | None = None
    ) -> None:
        if not isinstance(name, str) or not name:  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
            raise wrong_option("name", "a name as text", name)
        if (callbacks is None) == (init is None):
            raise wrong_option("callbacks", "either callbacks or init", callbacks)
        if init is not None and not callable(init):
            raise wrong_option("init", "a function without arguments", init)
        self.name = name
        self._callbacks = None if callbacks is None else _checked(callbacks, name)
        self._init = init
        self._made: WeakKeyDictionary[asyncio.AbstractEventLoop, Mapping[str, Any]] = (
            WeakKeyDictionary()
        )
        self._making: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = (
            WeakKeyDictionary()
        )

    def __repr__(self) -> str:
        return f"WorkflowMiddleware({self.name!r})"

    async def tell(self, event: Event) -> None:
        """Call what listens to this event, and let it raise."""
        callbacks = self._callbacks
        if callbacks is None:
            callbacks = await self._initialised()
        callback = callbacks.get(event.callback)
        if callback is not None:
            await _called(callback, event)

    async def _initialised(self) -> Mapping[str, Any]:
        loop = asyncio.get_running_loop()
        if loop not in self._made:
            async with self._making.setdefault(loop, asyncio.Lock()):
                if loop not in self._made:
                    self._made[loop] = _checked(await _called(self._init), self.name)
        return self._made[loop]


class Middlewares:
    """Those of one workflow, in their order."""

    def __init__(self, given: Sequence[WorkflowMiddleware]) -> None:
        self._all = tuple(given)

    async def tell(self, event: Event, run_id: str) -> None:
        """Tell each of them, one after the other. Raises nothing of theirs."""
        for middleware in self._all:
            error = await _told(middleware, event)
            if error is None or isinstance(event, RunError):
                continue
            for other in self._all:
                if other is not middleware:
                    await _told(other, RunError(run_id, error))


def checked_middlewares(given: object, *, verbose: object = False) -> Middlewares | None:
    """Those that a workflow was given; None: there are none, and nothing is told.

    Raises:
        ConfigurationError: WA102.
    """
    if not isinstance(verbose, bool):
        raise wrong_option("verbose", "True or False", verbose)
    found: list[WorkflowMiddleware] = []
    if given is not None:
        if not isinstance(given, Sequence):
            raise wrong_option("middlewares", "a list of WorkflowMiddleware", given)
        for one in cast("Sequence[Any]", given):
            if not isinstance(one, WorkflowMiddleware):
                raise wrong_option("middlewares", "a list of WorkflowMiddleware", one)
            found.append(one)
    if verbose and logging_middleware not in found:
        found.append(logging_middleware)
    return Middlewares(found) if found else None


async def _told(middleware: WorkflowMiddleware, event: Event) -> Exception | None:
    try:
        await middleware.tell(event)
    except Exception as error:  # whatever it raises, the run goes on
        logger.exception("middleware %r, %s", middleware.name, event.callback)
        return error
    return None


async def _called(function: Any, *args: Any) -> Any:
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 -- an object that is called as one
    ):
        return await function(*args)
    call = functools.partial(copy_context().run, function, *args)
    value = await asyncio.get_running_loop().run_in_executor(step_threads(), call)
    return await value if inspect.isawaitable(value) else value


def _checked(callbacks: Any, name: str) -> Mapping[str, Any]:
    known = MiddlewareCallbacks.__annotations__
    if not isinstance(callbacks, Mapping):
        raise wrong_option("callbacks", "a dict of functions by the names of events", callbacks)
    found = dict(cast("Mapping[str, Any]", callbacks))
    for event, callback in found.items():
        if event not in known:
            raise unknown_option(event, known, f"middleware {name!r}")
        if not callable(callback):
            raise wrong_option(event, "a function", callback)
    return found


def _log(level: int, text: str, *args: object) -> None:
    if logger.hasHandlers():
        logger.log(level, text, *args)
    else:
        # Nobody has configured logs, and whoever asked for these wants to see them.
        sys.stderr.write(f"{text % args}\n")


async def _log_run_started(event: RunStarted) -> None:
    _log(logging.INFO, "run %s started", event.context.workflow_run_id)


async def _log_before(event: BeforeExecution) -> None:
    _log(logging.INFO, "run %s: step %r", event.context.workflow_run_id, event.step_name)


async def _log_after(event: AfterExecution) -> None:
    run_id = event.context.workflow_run_id
    _log(logging.INFO, "run %s: step %r is done: %.200r", run_id, event.step_name, event.result)


async def _log_completed(event: RunCompleted) -> None:
    _log(logging.INFO, "run %s completed: %.200r", event.context.workflow_run_id, event.result)


async def _log_error(event: RunError) -> None:
    _log(logging.ERROR, "run %s: %.500r", event.workflow_run_id, event.error)


async def _log_warning(event: RunWarning) -> None:
    _log(logging.WARNING, "run %s: %s", event.workflow_run_id, event.warning)


async def _log_info(event: RunInfo) -> None:
    _log(logging.INFO, "run %s: %s", event.workflow_run_id, event.info)


logging_middleware = WorkflowMiddleware(
    "logging",
    callbacks={
        "run_started": _log_run_started,
        "before_execution": _log_before,
        "after_execution": _log_after,
        "run_completed": _log_completed,
        "on_error": _log_error,
        "on_warning": _log_warning,
        "on_info": _log_info,
    },
)
"""Logs every event, as `workflow_agents.serve.middleware`; to stderr where logs are not configured.

`verbose=True` adds it to a workflow.
"""
