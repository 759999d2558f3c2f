"""One call of a workflow function: its branches, the order of its results, its end.

An invocation is at any moment in one of three conditions. *Working*: some branch runs code or
the body of a step. *Idle*: every branch waits for something that is kept elsewhere; the
keeper is told and parks the run, keeping the task for a while or ending it. *Ended*: the
function returned or raised, the code did not fit the history, or the keeper closed it.

Results reach the branches one at a time, in the order in which they were recorded, and
between two of them the event loop turns often enough for the first to take its full effect
(`turns`). A replay therefore meets the same order as the first execution, also where branches
share variables or the first to finish cancels the others. With a single branch there is nothing
to order, and results return at once.

Where the history is kept in lock-step (`Groups`), every step is held until all branches have
come to rest, and what they ask for is decided together.

This room knows no store and no HTTP: it asks a `Journal`, and is told by `deliver`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from typing import TYPE_CHECKING, Any

from workflow_agents.context.branches import BRANCH, Branch
from workflow_agents.context.misuse import NOT_ITS_OWN, misplaced, too_much, unfit_for
from workflow_agents.context.threads import Bodies, in_pool
from workflow_agents.context.turns import Turns
from workflow_agents.core.failures import failure_of
from workflow_agents.core.journal import (
    Asked,
    Closed,
    Completed,
    Ending,
    Failed,
    Failure,
    Groups,
    History,
    Journal,
    Keeper,
    Plan,
    Start,
)
from workflow_agents.core.limits import Limits
from workflow_agents.core.replay import Replay, describe, place
from workflow_agents.errors import HistoryMismatch, LimitError, StepUsageError, WorkflowAbort
from workflow_agents.protocol.codec import Unencodable, encode, is_text
from workflow_agents.protocol.history import Recorded, StepKey, StepKind, Waiting

if TYPE_CHECKING:
    from workflow_agents.context.listener import Listener

_REPLAYS_PER_TURN = 500
"""A long replay lets other work of the process run now and then."""

EARLY_RETURN = (
    "Failed to authenticate Workflow request. If this is unexpected, see that the workflow"
    " function runs a step before it returns: a function that returns without one refuses its"
    " request."
)
"""Source: protocol 3.7; the message of a function that returned before its first step."""

_REFUSALS = 100
"""How often code that swallows the end of its invocation is told again, before it hangs."""


class _Wait:
    """A branch that waits, for an outcome or for leave to start a new step."""

    __slots__ = ("asked", "branch", "elsewhere", "future")

    def __init__(self, branch: Branch, *, elsewhere: bool, asked: Asked | None = None) -> None:
        self.branch = branch
        self.elsewhere = elsewhere
        self.asked = asked
        self.future: asyncio.Future[Any] = branch.invocation.loop.create_future()


class Invocation:
    """Runs a workflow function against a journal. See the module.

    Attributes:
        bodies: calls the bodies of synchronous steps.
        at_work: how many steps run their bodies or store what they wait for; it is not at rest.
        holds_thread: the function has a thread of its own, so that its task is not cheap to keep.
        listener: is told of its steps.
    """

    def __init__(
        self,
        journal: Journal,
        history: History,
        keeper: Keeper,
        limits: Limits,
        *,
        gate: Callable[[], "asyncio.Future[None]"] | None = None,
        groups: Groups | None = None,
    ) -> None:
        self.journal = journal
        self.limits = limits
        self.loop = asyncio.get_running_loop()
        self.bodies: Bodies = in_pool
        self.holds_thread = False
        self.listener: Listener | None = None
        self._steps = 0
        self._gate = gate
        self._groups = groups
        self._decided = False
        self.at_work = 0
        self._opening: asyncio.Future[None] | None = None
        self._keeper = keeper
        self._replay = Replay(history)
        self._root = Branch(self)
        self._open: set[Branch] = {self._root}
        self._turns = Turns(self.loop, self._open, self._pump)
        self._paths: dict[str, Branch] | None = (
            {} if any(isinstance(r.key, str) for r in history.recorded) else None
        )
        self._waits: dict[StepKey, _Wait] = {}
        self._held: list[_Wait] = []
        self._ready: list[Waiting] = []
        self._dropped: set[StepKey] = set()
        self._closing: Ending | None = None
        self._error: BaseException | None = None
        self._is_idle = False
        self._refused = 0
        self._replayed = 0

    # The life of an invocation, as its keeper sees it.

    def start(self, main: Coroutine[Any, Any, object], context: Context) -> None:
        """Begin; `context` is the root task's, and carries its branch from here on."""
        context.run(BRANCH.set, self._root)
        # The factory would make the root a branch of itself.
        self._root.task = asyncio.Task(main, loop=self.loop, context=context)
        self._root.task.add_done_callback(self._root_done)

    def deliver(self, outcome: Recorded | Waiting) -> None:
        """An outcome was recorded, or a step's delay has passed. Called in recorded order."""
        if self._closing is not None:
            return
        self._is_idle = False
        if isinstance(outcome, Waiting):
            if not self._replay.ready(outcome):
                self._ready.append(outcome)
        else:
            self._replay.add(outcome)
        self._pump()

    def close(self) -> None:
        """End it: cancel its tasks, refuse every further step."""
        self._close(Closed())

    @property
    def idle(self) -> bool:
        """Whether every branch waits elsewhere, and nothing new was asked since."""
        return self._is_idle

    # What steps ask of it.

    def request(self, kind: StepKind, name: object) -> StepKey:
        """Give the step that the code asks for its key. Called when it is asked, not awaited.

        Raises:
            StepUsageError: inside a step, outside the function, or without a name.
        """
        if type(name) is not str or not name or not is_text(name):
            raise StepUsageError(
                "WA202", where=f"context.{kind.label}", found=f"expected a name, found {name!r}"
            )
        branch = BRANCH.get()
        if type(branch) is not Branch or branch.invocation is not self:
            raise misplaced(branch, kind, name)
        self._steps += 1
        if self._steps > self.limits.steps or len(name) > self.limits.name_characters:
            raise too_much(self.limits, kind, name, self._steps)
        self._is_idle = False
        return branch.next_key()

    def body_starts(self, key: StepKey, name: str) -> None:
        """The body of a `run` step is about to be executed. Test kits listen here."""

    async def hear(self, telling: Awaitable[None]) -> None:
        """Let the listener be told of something, before the run parks."""
        self.at_work += 1
        try:
            await telling
        finally:
            self.at_work -= 1
            self.kick()

    async def begin(
        self, key: StepKey, kind: StepKind, name: str, plan: Plan | None = None
    ) -> Recorded | Waiting | None:
        """What is recorded of this step; None: it is new, and may start now.

        `plan` is what it then waits for elsewhere, if it does.
        """
        if self._gate is not None:
            if self._opening is None:
                self._opening = self._gate()
            # A task here would be a branch of the workflow; shielding a future makes none.
            await asyncio.shield(self._opening)
            self._gate = None
        if self._closing is not None:
            await self._refuse()
        if self._groups is not None:
            return await self._hold(Asked(key, kind, name, plan))
        try:
            known = self._replay.ask(key, kind, name)
        except HistoryMismatch as mismatch:
            return await self._mismatched(mismatch)
        if known is None:
            if self._replay.replaying:
                await self._hold(Asked(key, kind, name, plan))
            return None
        if type(known) is Waiting:
            return known if known.due else await self.outcome(key, elsewhere=True)
        if known is self._replay.head and not self._root.children:
            self._replayed += 1
            if self._replayed % _REPLAYS_PER_TURN == 0:
                await asyncio.sleep(0)
            self._replay.advance()
            return known
        return await self.outcome(key, elsewhere=True)

    async def outcome(self, key: StepKey, *, elsewhere: bool) -> Recorded | Waiting:
        """Wait until this step's outcome is handed out.

        `elsewhere`: it is kept elsewhere, so that the run may park meanwhile. Where it is
        not, this is the wait for a commit.
        """
        wait = _Wait(_current(self), elsewhere=elsewhere)
        self._waits[key] = wait
        if elsewhere or self._replay.head is not None or self._ready:
            self.kick()
        try:
            return await wait.future
        except asyncio.CancelledError:
            self._dropped.add(key)
            if self._waits.get(key) is wait:
                del self._waits[key]
            self.kick()
            raise

    def withdraw(self, key: StepKey, name: str) -> None:
        """The code cancelled its wait for this step. If the run parks, nobody did."""
        if self._closing is None:
            self._is_idle = False
            self._replay.forget(key)
            self.journal.withdraw(key, name)

    def opened(self, branch: Branch, task: "asyncio.Future[Any]") -> None:
        """A branch was forked; told by the task factory."""
        parent = branch.parent
        if parent is not None:
            parent.children += 1
        branch.task = task if isinstance(task, asyncio.Task) else None
        self._open.add(branch)
        self._turns.depth = max(self._turns.depth, branch.depth)
        if self._paths is not None:
            self._paths[branch.path] = branch
        task.add_done_callback(lambda _task: self._branch_done(branch))

    # Handing out results.

    def kick(self) -> None:
        """Look again after the loop has turned often enough."""
        if self._root.children:
            self._turns.count()
        self._turns.kick()

    def _pump(self) -> None:
        """Hand out what comes next, unless the one before still takes effect."""
        if self._turns.left or self._closing is not None:
            return
        if self._hand_out() or self._release():
            return
        if self._all_wait():
            self._settled()

    def _hand_out(self) -> bool:
        while (head := self._replay.head) is not None:
            wait = self._waits.pop(head.key, None)
            if wait is not None:
                self._replay.advance()
                self._give(wait, head)
                return True
            if head.key not in self._dropped:
                break
            self._replay.advance()
        for i, ready in enumerate(self._ready):
            wait = self._waits.pop(ready.key, None)
            if wait is not None:
                del self._ready[i]
                self._give(wait, ready)
                return True
        return False

    def _give(self, wait: _Wait, outcome: Recorded | Waiting) -> None:
        if not wait.future.done():
            wait.future.set_result(outcome)
        if self._root.children or self._ready:
            self.kick()

    def _release(self) -> bool:
        """The loaded history is handed out: let the steps start that are not in it."""
        if self._replay.replaying or not self._held or self._groups is not None:
            return False
        held, self._held = self._held, []
        for wait in held:
            if not wait.future.done():
                wait.future.set_result(None)
        self.kick()
        return True

    async def _hold(self, asked: Asked) -> Recorded | Waiting | None:
        wait = _Wait(_current(self), elsewhere=True, asked=asked)
        self._held.append(wait)
        self.kick()
        try:
            return await wait.future
        except asyncio.CancelledError:
            if self._waits.get(asked.key) is wait:
                # In lock-step: its outcome was on the way.
                self._dropped.add(asked.key)
                del self._waits[asked.key]
                self.kick()
            raise
        finally:
            if wait in self._held:
                self._held.remove(wait)
                self.kick()

    def _all_wait(self) -> bool:
        """Whether every branch waits for something kept elsewhere, or for branches that do.

        One that has forked others may be in a step of its own: its body, or before the commit.
        """
        if self.at_work or not all(w.elsewhere for w in self._waits.values()):
            return False
        waiting = {w.branch for w in self._waits.values()}
        waiting.update(w.branch for w in self._held)
        return all(b in waiting for b in self._open if not b.children)

    def _settled(self) -> None:
        head = self._replay.head
        if head is not None and self._replay.replaying:
            asked = self._held[0].asked if self._held else None
            new = f"{describe(asked.kind, asked.name)} as {place(asked.key)}" if asked else ""
            self._close(self._failed(unfit_for(head, new or "the code waits for other steps")))
        elif head is None and self._groups is not None:
            self._decide(self._groups)
        elif head is None and not self._is_idle:
            self._is_idle = True
            self._keeper.idle()

    def _decide(self, groups: Groups) -> None:
        """In lock-step: every branch has come to rest, and these steps are a group."""
        from workflow_agents.core.lockstep import in_order

        if self._decided or not self._held:
            return
        held = sorted(((w.asked, w) for w in self._held if w.asked), key=lambda h: in_order(h[0]))
        try:
            decided = groups.decide([asked for asked, _ in held])
        except HistoryMismatch as mismatch:
            self._close(self._failed(mismatch))
            return
        # An invocation comes to one new thing only.
        self._decided = decided is None or isinstance(decided, Start)
        if isinstance(decided, Start):
            asked, wait = held[decided.member]
            self._held.remove(wait)
            body = Waiting(asked.key, asked.kind, asked.name, decided.attempts, due=True)
            wait.future.set_result(body if asked.kind is StepKind.RUN else None)
        elif decided is not None:
            self._held = []
            for index, outcome in decided:
                self._waits[outcome.key] = held[index][1]
                self._replay.add(outcome)
            self.kick()

    # Ends.

    def _branch_done(self, branch: Branch) -> None:
        branch.finished = True
        self._open.discard(branch)
        if branch.parent is not None:
            branch.parent.children -= 1
        if not self._root.children:
            self._turns.depth = 0
        if self._closing is None:
            self.kick()

    def _root_done(self, task: "asyncio.Task[object]") -> None:
        self._root.finished = True
        ending = self._closing
        if ending is None:
            if task.cancelled():
                ending = self._failed(asyncio.CancelledError("it cancelled itself"))
            elif (error := task.exception()) is not None:
                ending = self._failed(error)
            else:
                ending = self.ending_of(task.result())
            self._close(ending)
        elif not task.cancelled():
            task.exception()
        if self.listener is not None and isinstance(ending, Failed) and self._error is not None:
            self.listener.failed(self._error)
        self._keeper.ended(ending)

    def _failed(self, error: BaseException) -> Failed:
        self._error = error
        return Failed(failure_of(error))

    def ending_of(self, value: object) -> Ending:
        """The function returned this: has it asked for all that its history holds?"""
        for recorded in self._replay.unasked():
            if isinstance(recorded.key, int) or self._has_finished(recorded.key):
                unfit = unfit_for(recorded, "the function returned without this step")
                return self._failed(unfit)
        if self._groups is not None and self._steps and (unfit := self._groups.left()):
            return self._failed(unfit)
        if not self._steps:
            refused = StepUsageError("WA209", found="expected a step, found a return without one")
            self._error = refused
            return Failed(
                Failure("AuthenticationFailed", EARLY_RETURN, 400, detail=refused.as_dict())
            )
        try:
            data = encode(value)
        except Unencodable as error:
            found = StepUsageError("WA204", where=f"result, at {error.path}", found=error.reason)
            return self._failed(found)
        if len(data) > self.limits.result_bytes:
            size = f"expected at most {self.limits.result_bytes:,} bytes, found {len(data):,}"
            return self._failed(LimitError("WA502", where="result", found=size))
        return Completed(data)

    def _has_finished(self, key: str) -> bool:
        branch = (self._paths or {}).get(key.rpartition("/")[0] + "/")
        if branch is None:
            return True
        return branch.finished and not (branch.task is None or branch.task.cancelled())

    def _close(self, ending: Ending) -> None:
        if self._closing is not None:
            return
        self._closing = ending
        for branch in [*self._open]:
            task = branch.task
            if task is not None and not task.done():
                task.cancel()

    async def _refuse(self) -> None:
        """Code that swallowed its cancellation asks for a step: it must not go on."""
        self._refused += 1
        await asyncio.sleep(0)
        if self._refused > _REFUSALS:
            await self.loop.create_future()
        raise WorkflowAbort("this invocation has ended: let asyncio.CancelledError pass")

    async def _mismatched(self, mismatch: HistoryMismatch) -> None:
        self._close(self._failed(mismatch))
        await self.loop.create_future()


def _current(invocation: Invocation) -> Branch:
    branch = BRANCH.get()
    if type(branch) is not Branch or branch.invocation is not invocation:
        raise StepUsageError("WA208", found=NOT_ITS_OWN)
    return branch
