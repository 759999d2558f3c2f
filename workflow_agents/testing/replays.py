"""New code against what runs have stored: does it take the same way?

`replay_history` calls the workflow's function with the recorded steps, as the engine would.
It executes no body, sends no request and writes nothing: where the code asks for a step that
is not recorded, it waits there, and the report names the step. `store_check` does the same
with all runs of a store that have not ended.
"""

import asyncio
from collections.abc import Mapping
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any, NoReturn, cast

from workflow_agents.context.branches import install
from workflow_agents.context.invocation import Invocation
from workflow_agents.core.journal import Completed, Ending, Failed, Journal, Plan
from workflow_agents.core.options import RunOptions
from workflow_agents.core.replay import describe
from workflow_agents.errors import HistoryMismatch
from workflow_agents.protocol.codec import decode
from workflow_agents.protocol.history import Recorded, StepKey, StepKind
from workflow_agents.serve.workflow import Workflow
from workflow_agents.testing.environment import workflows_of
from workflow_agents.testing.histories import RecordedHistory
from workflow_agents.testing.processes import apart
from workflow_agents.testing.virtual_time import Deadlock, VirtualLoop, VirtualTime

_PATIENCE_S = 3_600
"""Virtual seconds that code between steps may wait on its own."""

_TURNS = 50


@dataclass(slots=True)
class ReplayReport:
    """What new code does with a recorded history.

    Attributes:
        history: what was replayed.
        mismatch: the code asks for another step than the one that is recorded there (WA201).
        failure: what the code raised otherwise: error, message and where.
        new_steps: what it would do next that is not recorded: "run 'charge'".
        waits_for: recorded steps without outcome that it waits for.
        result: what it returned, where the history lasts to its end.
        ended: whether it did.
    """

    history: RecordedHistory
    mismatch: HistoryMismatch | None = None
    failure: dict[str, Any] | None = None
    new_steps: list[str] = field(default_factory=list[str])
    waits_for: list[str] = field(default_factory=list[str])
    result: Any = None
    ended: bool = False

    @property
    def fits(self) -> bool:
        """Whether a run with this history goes on with this code."""
        return self.mismatch is None and self.failure is None

    @property
    def same(self) -> bool:
        """Whether the code does exactly what is recorded: no other end, and no new step."""
        if not self.fits or self.new_steps:
            return False
        return self.history.state != "RUN_SUCCESS" or self.result == self.history.result

    def assert_fits(self, *, new_steps: bool = True) -> None:
        """Check that a run with this history goes on with this code.

        Args:
            new_steps: whether it may run steps that are not recorded.

        Raises:
            AssertionError: it does not; the message says which step, what is recorded there,
                and what the code asks for.
        """
        if not self.fits or (self.new_steps and not new_steps):
            raise AssertionError(str(self))

    def __str__(self) -> str:
        of = f"{self.history.workflow} {self.history.run_id}"
        if self.mismatch is not None:
            where, found = self.mismatch.where, self.mismatch.found
            return "\n".join([f"{of} does not fit: WA201 at {where}", *(f"  {f}" for f in found)])
        if self.failure is not None:
            where = f"\n  where  {self.failure['where']}" if self.failure.get("where") else ""
            said = f"{self.failure['error']}: {self.failure['message']}"
            return f"{of} does not fit: the code raises\n  found  {said}{where}"
        if self.new_steps:
            return f"{of} fits, and would run {', '.join(self.new_steps)}"
        if not self.ended:
            return f"{of} fits, and waits for {', '.join(self.waits_for) or 'what it awaits'}"
        if not self.same:
            was, now = self.history.result, self.result
            return f"{of} fits, with another result: {now!r}, recorded {was!r}"
        return f"{of} fits"


def replay_history(
    history: RecordedHistory | Mapping[str, Any],
    workflow: Any,
    *,
    environment: Mapping[str, str] | None = None,
) -> ReplayReport:
    """Replay a recorded history with the code of today.

    A plain function; it may be called in async tests too.

    Args:
        history: recorded by `record_history`, or its JSON data.
        workflow: it, or its function; of several, as `Engine` or `Serve`, the one at its path.
        environment: what `context.env` is; default: the environment.
    """
    if not isinstance(history, RecordedHistory):
        history = RecordedHistory.from_dict(history)
    found = workflows_of(workflow)
    if len(found) > 1:
        found = [one for one in found if one.path == history.workflow] or found
    return apart(lambda: _replay(history, found[0], environment))


def _replay(
    history: RecordedHistory, workflow: Workflow, environment: Mapping[str, str] | None
) -> ReplayReport:
    report = ReplayReport(history)
    dry = workflow.variant(invocation_type=_Dry, env=environment)
    loop = VirtualLoop(VirtualTime())
    loop.set_exception_handler(lambda _loop, _context: None)
    install(loop)
    try:
        loop.run_until_complete(_play(report, dry))
    except (Deadlock, TimeoutError):
        _failed(report, "Deadlock", "between its steps, the code waits for what is no step")
    finally:
        loop.abandon()
    return report


async def _play(report: ReplayReport, workflow: Workflow) -> None:
    history = report.history
    loop = asyncio.get_running_loop()
    over: asyncio.Future[Ending | None] = loop.create_future()
    keeper = _Listener(over)
    run = _Run(history.run_id, history.workflow, history.created_at, history.input())
    options = RunOptions(labels=history.labels, headers=history.headers)
    invocation = cast(
        "_Dry",
        workflow.invoke(
            run,
            options,
            history.history(),
            cast("Journal", keeper),
            keeper,
            gate=None,
            task_context=copy_context(),
        ),
    )
    async with asyncio.timeout(_PATIENCE_S):
        ending = await over
    # Whatever else the same moment brings is a new step as well.
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    report.new_steps = [*invocation.fresh]
    report.waits_for = [*invocation.awaited]
    invocation.close()
    _judge(report, ending)


def _judge(report: ReplayReport, ending: Ending | None) -> None:
    if isinstance(ending, Completed):
        report.ended, report.result = True, decode(ending.data)
    elif isinstance(ending, Failed):
        failure = ending.failure
        detail = failure.detail or {}
        if detail.get("code") == "WA201":
            expected, asked = (line.split(None, 1)[1] for line in detail["found"])
            expected = expected.removesuffix("(recorded by this run)").rstrip()
            run_id = report.history.run_id
            report.mismatch = HistoryMismatch(detail["where"], expected, asked, run_id=run_id)
        elif detail.get("code") != "WA206" and report.history.state != "RUN_FAILED":
            _failed(report, failure.error, failure.message, failure.where)
        else:
            report.ended = True


def _failed(report: ReplayReport, error: str, message: str, where: str = "") -> None:
    report.failure = {"error": error, "message": message, "where": where}


class _Dry(Invocation):
    """An invocation that executes and plans nothing: what is new waits for ever."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.fresh: list[str] = []
        self.awaited: list[str] = []
        self._waiting = {waiting.key for waiting in arguments[1].waiting}

    async def begin(
        self, key: StepKey, kind: StepKind, name: str, plan: Plan | None = None
    ) -> Recorded:
        """See `Invocation.begin`; returns only what is recorded."""
        if key in self._waiting:
            self.awaited.append(describe(kind, name))
        known = await super().begin(key, kind, name, plan)
        if isinstance(known, Recorded):
            return known
        self.fresh.append(describe(kind, name))
        await self.outcome(key, elsewhere=True)
        raise AssertionError("nothing is ever recorded here")


class _Listener:
    """The keeper of a dry invocation, and its journal, which is asked for nothing."""

    def __init__(self, over: "asyncio.Future[Ending | None]") -> None:
        self._over = over

    def idle(self) -> None:
        """See `Keeper.idle`."""
        self.ended(None)

    def ended(self, ending: Ending | None) -> None:
        """See `Keeper.ended`."""
        if not self._over.done():
            self._over.set_result(ending)

    def withdraw(self, key: StepKey, name: str) -> None:
        """See `Journal.withdraw`."""

    def cancel(self) -> None:
        """See `Journal.cancel`."""
        self.ended(None)

    def record(self, *_: object, **_named: object) -> NoReturn:
        """See `Journal.record`."""
        raise AssertionError("a dry invocation records nothing")

    plan = notify = remember = new_event_id = webhook_url = record

    async def recall(self, *_: object, **_named: object) -> tuple[int, list[bytes]]:
        """See `Journal.recall`: what was read is not part of a recorded history."""
        return 0, []


@dataclass(frozen=True, slots=True)
class _Run:
    """See `StoredRun`."""

    run_id: str
    workflow: str
    created_at: int
    input: bytes | None
