"""The thread of a synchronous workflow function, and its run's task on the loop.

The two take turns, like one flow of control: the function works in its thread until it asks its
context for something, the task does that on the loop while the thread waits, and so on. A step's
body that is a plain function runs in the workflow's own thread, so that it meets the context
variables and thread-locals of the code around it.

The run's task is its only branch, so nothing of the order of results is known here. When the
task is cancelled, because the run parks or the invocation is closed, the waiting thread is
unwound with `WorkflowAbort`: a parked run has no thread.
"""

import asyncio
import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from workflow_agents.context.branches import BRANCH, InsideStep
from workflow_agents.context.invocation import Invocation
from workflow_agents.context.threads import in_pool
from workflow_agents.errors import StepUsageError, WorkflowAbort

T = TypeVar("T")
C = TypeVar("C")

_THREADS = 256
"""How many functions may be under way on one loop; the next waits until one parks or ends."""

_REFUSALS = 100
_SLOW_S = 1.0
"""Code that swallows its end and asks again and again is slowed down: it cannot be stopped."""

_numbers = itertools.count(1)
_rooms: "WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore]" = WeakKeyDictionary()


class _Value(NamedTuple):
    """What was asked for, or what the function returned."""

    value: Any


class _Raised(NamedTuple):
    """The same, where it raised."""

    error: BaseException


class _Asks(NamedTuple):
    """The function waits for this."""

    coroutine: Coroutine[Any, Any, Any]


class _Body(NamedTuple):
    """The body of a step, to be run by the thread while it waits."""

    body: Callable[[], Any]
    step: InsideStep
    done: "asyncio.Future[_Value | _Raised]"


class _Abort(NamedTuple):
    """The invocation is over."""


class WorkflowThread:
    """See the module. One for each invocation of a synchronous function."""

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation
        self._loop = invocation.loop
        self._inbox: SimpleQueue[_Value | _Raised | _Body | _Abort] = SimpleQueue()
        self._turn: asyncio.Future[_Asks | _Value | _Raised] = self._loop.create_future()
        self._thread: threading.Thread | None = None
        self._over = False
        self._body: InsideStep | None = None
        self._refused = 0
        invocation.bodies = self.run_body
        invocation.holds_thread = True

    # On the loop, in the run's task.

    async def call(self, function: Callable[[], T]) -> T:
        """Call the function in a thread of its own; do what it asks for; return its result."""
        room = _rooms.setdefault(self._loop, asyncio.Semaphore(_THREADS))
        await room.acquire()
        self._thread = threading.Thread(
            target=self._work,
            args=(function, copy_context(), room),
            name=f"workflow-thread-{next(_numbers)}",
            daemon=True,  # user code in it must not keep the process from ending
        )
        try:
            self._thread.start()
        except RuntimeError:
            room.release()
            raise
        try:
            while True:
                said = await self._turn
                match said:
                    case _Asks(coroutine):
                        answer = await _outcome(coroutine)
                        self._turn = self._loop.create_future()
                        self._inbox.put(answer)
                    case _Value(value):
                        return value
                    case _Raised(error):
                        raise error
        finally:
            self._over = True
            self._inbox.put(_Abort())

    async def run_body(self, body: Callable[[], Any], step: InsideStep) -> object:
        """Have the thread, which waits for the step, run the step's body. See `Bodies`."""
        done: asyncio.Future[_Value | _Raised] = self._loop.create_future()
        self._inbox.put(_Body(body, step, done))
        match await done:
            case _Value(value):
                return value
            case _Raised(error):
                raise error

    async def beside(self, function: Callable[[C], Coroutine[Any, Any, T]], context: C) -> T:
        """Go through code with branches: the bodies of their steps run beside each other."""
        self._invocation.bodies = in_pool
        try:
            return await function(context)
        finally:
            self._invocation.bodies = self.run_body

    def _hear(self, said: _Asks | _Value | _Raised) -> None:
        if not self._turn.done():
            self._turn.set_result(said)
        elif isinstance(said, _Asks):
            said.coroutine.close()

    # In the thread.

    def check_place(self) -> None:
        """Refuse other threads: two that take turns with one task would mix up its steps.

        Raises:
            StepUsageError: WA208.
        """
        own = self._thread is not None and self._thread is threading.current_thread()
        # Inside an async step's body, which runs on the loop, asking says what is wrong.
        if not own and not isinstance(BRANCH.get(), InsideStep):
            found = "expected the workflow function's own thread, found another one"
            raise StepUsageError(
                "WA208", found=found, fix=("async def branches: context.run_async(fn)",)
            )

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Have the run's task do this, and wait for what comes of it.

        Raises:
            WorkflowAbort: the invocation is over.
            StepUsageError: WA203, inside a step.
        """
        if self._body is not None:
            coroutine.close()
            raise StepUsageError(
                "WA203",
                where=f"step {self._body.name!r}",
                found=f"the body of {self._body.name!r} asks its context for something",
            )
        if self._over:
            coroutine.close()
            self._refuse()
        self._say(_Asks(coroutine))
        while True:
            told = self._inbox.get()
            match told:
                case _Body(body, step, done):
                    self._run_body(body, step, done)
                case _Value(value):
                    return value
                case _Raised(error):
                    raise error
                case _Abort():
                    self._refuse()

    def _work(self, function: Callable[[], Any], context: Context, room: asyncio.Semaphore) -> None:
        try:
            self._say(_attempt(lambda: context.run(function)))
        except WorkflowAbort:
            pass
        finally:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(room.release)

    def _run_body(
        self, body: Callable[[], Any], step: InsideStep, done: "asyncio.Future[_Value | _Raised]"
    ) -> None:
        token = BRANCH.set(step)
        self._body = step
        try:
            outcome = _attempt(body)
        finally:
            self._body = None
            BRANCH.reset(token)
        self._on_loop(_tell, done, outcome)

    def _say(self, said: _Asks | _Value | _Raised) -> None:
        self._on_loop(self._hear, said)

    def _on_loop(self, callback: Callable[..., None], *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:
            # The loop was closed, so whatever ran on it is over.
            for said in args:
                if isinstance(said, _Asks):
                    said.coroutine.close()
            raise WorkflowAbort("the event loop of this run was closed") from None

    def _refuse(self) -> None:
        self._refused += 1
        if self._refused > _REFUSALS:
            time.sleep(_SLOW_S)
        raise WorkflowAbort("this invocation has ended: let WorkflowAbort pass")


def _tell(done: "asyncio.Future[_Value | _Raised]", outcome: _Value | _Raised) -> None:
    if not done.done():
        done.set_result(outcome)


async def _outcome(coroutine: Coroutine[Any, Any, Any]) -> _Value | _Raised:
    try:
        return _Value(await coroutine)
    except Exception as error:  # noqa: BLE001  # it is raised in the thread
        return _Raised(error)


def _attempt(function: Callable[[], Any]) -> _Value | _Raised:
    """Call what users wrote. What ends a process, or a thread, must not end the engine's loop."""
    try:
        return _Value(function())
    except WorkflowAbort:
        raise
    except Exception as error:  # noqa: BLE001  # it is raised on the loop
        return _Raised(error)
    except BaseException as error:  # noqa: BLE001  # such as SystemExit
        ended = RuntimeError(f"{type(error).__name__}: {error}")
        ended.__cause__ = error
        return _Raised(ended)
