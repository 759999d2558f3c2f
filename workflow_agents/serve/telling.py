"""When middlewares are told of a run, which is called again and again, and replayed.

Events of one invocation are told one after the other, in their order. `before_execution` and
`run_completed` are waited for; the others are told beside the run, so that no middleware changes
the order in which its branches go on.

What was told is remembered in this process for the last runs. Where that is lost, with the process
or because another one takes the next visit, it follows from the history: whoever recorded the
result of a body had been handed all that was recorded before. So only that result and those after
it may be *news*. A QStash server says itself which result a visit brings.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from typing import Any

from workflow_agents.context.branches import BRANCH
from workflow_agents.context.context import AsyncWorkflowContext
from workflow_agents.core.journal import Completed, Ending, History
from workflow_agents.protocol.codec import decode
from workflow_agents.protocol.history import Recorded, StepKey, StepKind
from workflow_agents.serve.middleware import (
    AfterExecution,
    BeforeExecution,
    Event,
    Middlewares,
    RunCompleted,
    RunError,
    RunInfo,
    RunStarted,
    RunWarning,
)

_REMEMBERED_RUNS = 10_000
_MADE_HERE = frozenset({StepKind.RUN, StepKind.NOTIFY, StepKind.CREATE_WEBHOOK})
_STARTED, _COMPLETED = "started", "completed"
_OF_THE_RUN = frozenset({_STARTED, _COMPLETED})


@dataclass(frozen=True, slots=True)
class Known:
    """What an invocation knows of its run when it begins.

    Attributes:
        steps: how many are known; 0: the run begins.
        is_news: whether the outcome of this step may be unknown to the middlewares.
    """

    steps: int
    is_news: Callable[[StepKey], bool]


def known_of(history: History) -> Known:
    """See the module: the last result that was made here, and those that came after it."""
    recorded = history.recorded
    start = next((i for i in reversed(range(len(recorded))) if recorded[i].kind in _MADE_HERE), 0)
    old = {step.key for step in recorded[:start]}
    return Known(len(recorded) + len(history.waiting), lambda key: key not in old)


class Memory:
    """What was told of the last runs."""

    def __init__(self) -> None:
        self._runs: OrderedDict[str, set[StepKey]] = OrderedDict()

    def first_time(self, run_id: str, mark: StepKey) -> bool:
        """Whether this was not told yet of this run; from now on it was."""
        marks = self._runs.setdefault(run_id, set())
        self._runs.move_to_end(run_id)
        if len(self._runs) > _REMEMBERED_RUNS:
            self._runs.popitem(last=False)
        if mark in marks:
            return False
        marks.add(mark)
        return True

    def forget_steps(self, run_id: str) -> None:
        """What was told of this run until now is news to no history any more."""
        self._runs[run_id] = {mark for mark in self._runs[run_id] if mark in _OF_THE_RUN}


class Teller:
    """Tells the middlewares of one invocation: its `Listener`."""

    def __init__(
        self,
        middlewares: Middlewares,
        memory: Memory,
        context: AsyncWorkflowContext[Any],
        known: Known,
        task_context: Context,
    ) -> None:
        self._middlewares = middlewares
        self._memory = memory
        self._context = context
        self._run_id = context.workflow_run_id
        self._known = known
        self._loop = asyncio.get_running_loop()
        # A middleware is no branch of the workflow.
        self._task_context = task_context.copy()
        self._task_context.run(BRANCH.set, None)
        self._queue: deque[tuple[Event, asyncio.Future[None] | None]] = deque()
        self._task: asyncio.Task[None] | None = None
        if known.steps:
            self._add(RunInfo(self._run_id, f"goes on; {known.steps} steps are known"))

    async def before(self, kind: StepKind, name: str) -> None:
        """See `Listener.before`."""
        if not self._known.steps and self._memory.first_time(self._run_id, _STARTED):
            self._add(RunStarted(self._context))
        if kind is not StepKind.RUN:
            self._add(RunInfo(self._run_id, f"step {name!r} is handed over: {kind.label}"))
        await self._wait_for(BeforeExecution(self._context, name))

    def after(self, step: Recorded, read: Callable[[], Any]) -> None:
        """See `Listener.after`."""
        if not self._known.is_news(step.key):
            return
        if not self._memory.first_time(self._run_id, step.key):
            return
        if step.kind in _MADE_HERE:
            self._memory.forget_steps(self._run_id)
            self._memory.first_time(self._run_id, step.key)
        try:
            result = read()
        except Exception as error:  # noqa: BLE001  # what the code is about to get, too
            if step.kind is not StepKind.RUN:  # of a body this was told
                self.failed(error)
            return
        self._add(AfterExecution(self._context, step.name, result))

    def failed(self, error: BaseException) -> None:
        """See `Listener.failed`."""
        self._add(RunError(self._run_id, error))

    def warn(self, text: str) -> None:
        """See `Listener.warn`."""
        self._add(RunWarning(self._run_id, text))

    async def completed(self, ending: Ending) -> None:
        """The function returned, and this is what is going to be stored of it."""
        if isinstance(ending, Completed) and self._memory.first_time(self._run_id, _COMPLETED):
            await self._wait_for(RunCompleted(self._context, decode(ending.data)))

    async def drained(self) -> None:
        """Wait until all is told."""
        while self._task is not None and not self._task.done():
            await asyncio.wait({self._task})

    async def _wait_for(self, event: Event) -> None:
        told: asyncio.Future[None] = self._loop.create_future()
        self._add(event, told)
        await told

    def _add(self, event: Event, told: "asyncio.Future[None] | None" = None) -> None:
        self._queue.append((event, told))
        if self._task is None or self._task.done():
            self._task = asyncio.Task(self._tell(), loop=self._loop, context=self._task_context)
            _telling.add(self._task)
            self._task.add_done_callback(_telling.discard)

    async def _tell(self) -> None:
        told = None
        try:
            while self._queue:
                event, told = self._queue.popleft()
                await self._middlewares.tell(event, self._run_id)
                _set(told)
        finally:
            # A loop that ends cancels this: nobody is to wait for it then.
            for waiting in (told, *(future for _, future in self._queue)):
                _set(waiting)
            self._queue.clear()


_telling: set["asyncio.Task[None]"] = set()
"""A loop holds its tasks weakly only."""


def _set(told: "asyncio.Future[None] | None") -> None:
    if told is not None and not told.done():
        told.set_result(None)
