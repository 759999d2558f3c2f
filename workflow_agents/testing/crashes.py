"""Workflows played in virtual time, to the end; and again with a crash at every commit.

`crash_everywhere` plays a workflow once to learn its commits, then once for each commit and
each fault: the process ends right before the commit, or right after it, and another one goes
on with what is stored. Whatever a body or a request does lies between two commits, so these
are all the moments at which a crash makes a difference. Each time the run has to end as it did
without a crash, and nothing that was recorded may be done again.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from workflow_agents.client import AsyncRunHandle
from workflow_agents.context.invocation import Invocation
from workflow_agents.core.limits import Limits
from workflow_agents.core.logs import RunLog
from workflow_agents.engine.http_out import HttpResponse, NoAnswer
from workflow_agents.engine.live import LiveRun
from workflow_agents.errors import StoreError
from workflow_agents.protocol.history import StepKey
from workflow_agents.store.changes import Change
from workflow_agents.store.interface import RunRow
from workflow_agents.store.sqlite import SqliteStore
from workflow_agents.testing._commit_names import commit_name
from workflow_agents.testing.environment import WorkflowEnvironment
from workflow_agents.testing.fake_http import FakeHttp, SentRequest, send_on_loopback
from workflow_agents.testing.faults import AtCommit, Crash, Database, FaultAt
from workflow_agents.testing.processes import apart, run_process
from workflow_agents.testing.virtual_time import Deadlock, VirtualTime

World = Callable[[FakeHttp], object]
Outside = Callable[[WorkflowEnvironment, AsyncRunHandle], Awaitable[object]]
Check = Callable[[RunLog], object]

CRASHES = (AtCommit.CRASH_BEFORE, AtCommit.CRASH_AFTER)

_RUN_ID = "wfr_played"
_SHOWN = 10
_PROCESSES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """What is played; the keyword arguments of `run_workflow` and `crash_everywhere`.

    Attributes:
        workflow: it, or its function.
        body: its payload.
        served: other workflows that it invokes.
        events: what whoever waits for an event is told: {"paid": {"amount": 5}}.
        world: called with the `FakeHttp` at the start of each trial, to set the replies.
        model: a started `ScriptedModel` for its agents. A script is used up once: what the model
            said to a request, it says again in every trial.
        outside: an async function of the environment and the run's handle, for all else that
            people and other systems do. It begins again after a crash, where it may find that
            what it waits for has been already: what it raises then does not count.
        check: called with the run at the end of each trial; what it asserts is reported.
        environment: the variables that secrets name, and `context.env`.
        options: of the trigger.
    """

    workflow: Any
    body: Any = None
    served: Iterable[Any] = ()
    events: Mapping[str, Any] = field(default_factory=dict[str, Any])
    world: World | None = None
    model: Any = None
    outside: Outside | None = None
    check: Check | None = None
    environment: Mapping[str, str] | None = None
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(slots=True)
class Trial:
    """One time that it was played.

    Attributes:
        crash: where; "" for the one without.
        log: the run at its end; None if it came to none.
        executions: how often the body of each step ran: by run, place and name.
        requests: how often each request was sent: by method, address and body.
        problems: what was not as it should be.
    """

    crash: str
    log: RunLog | None = None
    executions: Counter[tuple[str, StepKey, str]] = field(
        default_factory=Counter[tuple[str, StepKey, str]]
    )
    requests: Counter[tuple[str, str, bytes]] = field(
        default_factory=Counter[tuple[str, str, bytes]]
    )
    problems: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class CrashReport:
    """What came of a workflow that was run with each crash.

    Attributes:
        log: the run without a crash, with its steps.
        trials: those with one.
    """

    log: RunLog
    trials: list[Trial]
    first: Trial

    @property
    def result(self) -> Any:
        """What the workflow returned, in every trial."""
        return self.log.result

    @property
    def results(self) -> dict[str, Any]:
        """The result of each step, by name; the last one where a name comes again."""
        return {step.name: step.out for step in self.log.steps}

    @property
    def executions(self) -> dict[str, int]:
        """By the name of a step: how often its body ran in the worst trial."""
        return _worst((name, n) for t in self._all for (*_, name), n in t.executions.items())

    @property
    def requests(self) -> dict[str, int]:
        """By "POST https://...": how often the worst trial sent one and the same request."""
        return _worst(
            (f"{method} {url}", n) for t in self._all for (method, url, _), n in t.requests.items()
        )

    @property
    def problems(self) -> list[str]:
        """What was not as it should be, with the crash that led to it."""
        return [f"{t.crash}: {problem}" for t in self.trials for problem in t.problems]

    @property
    def _all(self) -> list[Trial]:
        return [self.first, *self.trials]


class NotCrashProof(AssertionError):
    """In some trials a crash made a difference.

    Attributes:
        report: all trials.
    """

    def __init__(self, report: CrashReport) -> None:
        problems = report.problems
        bad = sum(bool(trial.problems) for trial in report.trials)
        shown = [f"  {problem}" for problem in problems[:_SHOWN]]
        if len(problems) > _SHOWN:
            shown.append(f"  and {len(problems) - _SHOWN} more: error.report.problems")
        head = f"a crash made a difference in {bad} of {len(report.trials)} trials"
        super().__init__("\n".join([head, *shown]))
        self.report = report


class CrashPoint:
    """One crash, for `pytest.mark.parametrize("crash", crash_points(...))`."""

    def __init__(self, trials: "_Trials", fault: AtCommit, commit: int, times: int) -> None:
        self._trials = trials
        self._where = (fault, commit, times)
        self.__name__ = trials.name(fault, commit)
        """What pytest shows."""

    def play(self) -> CrashReport:
        """Play the workflow with this crash.

        Raises:
            NotCrashProof: it made a difference.
        """
        return apart(lambda: self._trials.report([self._trials.crashed(*self._where)]))

    def __repr__(self) -> str:
        return f"<CrashPoint {self.__name__}>"


def run_workflow(workflow: Any, body: Any = None, **how: Any) -> RunLog:
    """Run a workflow to its end in virtual time, and return the run with its steps.

    A plain function, for tests that are not async. Its keywords are those of `crash_everywhere`
    that are attributes of `Play`: events, world, model, served, outside, check, environment.
    A run that fails is returned as well.
    """
    return apart(lambda: _Trials(Play(workflow=workflow, body=body, **how)).first_log())


def crash_everywhere(
    workflow: Any,
    body: Any = None,
    *,
    faults: Sequence[AtCommit] = CRASHES,
    times: int = 1,
    **how: Any,
) -> CrashReport:
    """Run a workflow with a crash before and after each of its commits.

    It may be called in async tests too; their loop stands still meanwhile.

    Args:
        workflow: it, or its function.
        body: its payload.
        faults: what happens at a commit.
        times: how many commits in a row: with 2, the process that recovers crashes too.
        how: the attributes of `Play`: events, world, model, served, outside, check, environment.

    Raises:
        NotCrashProof: a crash made a difference: another result, no end, or something recorded
            that was done again.
        AssertionError: without any crash it fails already.
    """

    def play() -> CrashReport:
        trials = _Trials(Play(workflow=workflow, body=body, **how))
        trials.learn()
        points = [(fault, n) for n in range(1, trials.commits + 1) for fault in faults]
        return trials.report([trials.crashed(fault, n, times) for fault, n in points])

    return apart(play)


def crash_points(
    workflow: Any,
    body: Any = None,
    *,
    faults: Sequence[AtCommit] = CRASHES,
    times: int = 1,
    **how: Any,
) -> list[CrashPoint]:
    """The crashes of `crash_everywhere`, each to be a test of its own; the same arguments."""

    def learn() -> list[CrashPoint]:
        trials = _Trials(Play(workflow=workflow, body=body, **how))
        trials.learn()
        commits = range(1, trials.commits + 1)
        return [CrashPoint(trials, fault, n, times) for n in commits for fault in faults]

    return apart(learn)


class _Trials:
    """Plays it, first without a crash and then with each."""

    def __init__(self, play: Play) -> None:
        self._play = play
        self._database = Database()
        self._said = _Said()
        self._commit_names: dict[int, str] = {}
        self._first: Trial | None = None
        self.commits = 0

    def first_log(self) -> RunLog:
        """The run without a crash, however it ends."""
        trial = Trial("")
        _Theatre(self._play, trial, self._database, self._said).play(FaultAt(None))
        if trial.log is None or trial.problems:
            raise AssertionError("\n".join(trial.problems))
        return trial.log

    def learn(self) -> None:
        """Play it without a crash, and count its commits."""
        trial, faults = Trial("no crash"), FaultAt(None)
        theatre = _Theatre(self._play, trial, self._database, self._said)
        theatre.commit_names = self._commit_names
        theatre.play(faults)
        log = trial.log
        if log is not None and log.state != "RUN_SUCCESS":
            trial.problems.append(f"it ends as {log.state}: {log.failure}")
        if trial.problems:
            problems = "\n  ".join(trial.problems)
            raise AssertionError(f"without any crash it goes wrong already\n  {problems}")
        self.commits, self._first = faults.commits, trial

    def crashed(self, fault: AtCommit, commit: int, times: int) -> Trial:
        """Play it with a crash."""
        trial = Trial(self.name(fault, commit))
        self._said.again()
        theatre = _Theatre(self._play, trial, self._database, self._said)
        theatre.play(FaultAt(fault, *range(commit, commit + times)))
        first = self._first
        if first is not None and first.log is not None and trial.log is not None:
            expected, found = _end(first.log), _end(trial.log)
            if expected != found:
                trial.problems.append(f"it ended as {found}, without a crash as {expected}")
        return trial

    def name(self, fault: AtCommit, commit: int) -> str:
        """Where a crash is."""
        return f"{fault.value} {commit}, {self._commit_names.get(commit, 'the start')}"

    def report(self, trials: list[Trial]) -> CrashReport:
        """What came of them."""
        assert self._first is not None  # noqa: S101  # for the type checker
        assert self._first.log is not None  # noqa: S101  # as above
        report = CrashReport(self._first.log, trials, self._first)
        if report.problems:
            raise NotCrashProof(report)
        return report


class _Theatre:
    """One trial: processes that follow each other until the run has ended."""

    def __init__(self, play: Play, trial: Trial, database: Database, said: "_Said") -> None:
        self._play = play
        self._trial = trial
        self._database = database
        self._time = VirtualTime()
        self._processes = 0
        self._http = FakeHttp()
        self._http.on_loopback = said
        self._http.watch = self._sent
        self._store: SqliteStore | None = None
        self.commit_names: dict[int, str] | None = None

    def play(self, faults: FaultAt) -> None:
        """Play it. What goes wrong is a problem of the trial."""
        trial = self._trial
        self._database.empty()
        if self._play.world is not None:
            self._play.world(self._http)
        try:
            while trial.log is None:
                try:
                    trial.log = run_process(
                        lambda store: self._process(store, faults),
                        self._database,
                        faults,
                        self._time,
                        unhandled=self._unhandled,
                    )
                except (Crash, StoreError):
                    # Whoever supervises the process starts another one.
                    self._processes += 1
                    if self._processes > _PROCESSES:
                        raise
            if self._play.check is not None:
                self._play.check(trial.log)
        except (AssertionError, Deadlock) as error:
            trial.problems.append(str(error) or repr(error))

    async def _process(self, store: SqliteStore, faults: FaultAt) -> RunLog:
        play = self._play
        self._store = store
        env = WorkflowEnvironment(
            http=self._http,
            model=play.model,
            environment=play.environment,
            store=store,
            seed=self._processes,
            time=self._time,
            # Whatever dies, it is not the run that is to blame.
            limits=Limits(recoveries=1_000),
        )
        env.invocation_type = self._watching()
        for one in play.served:
            env.include(one)
        for event, data in play.events.items():
            env.when_waiting(event, data)
        self._name_commits(env, faults)
        await env.start()
        run = await env.trigger(play.workflow, play.body, workflow_run_id=_RUN_ID, **play.options)
        outside = None
        if play.outside is not None:
            outside = asyncio.ensure_future(play.outside(env, run))
        log = await env.ended(run)
        if outside is not None:
            await _over(outside, first=self._processes == 0)
        await env.stop()
        return log

    def _watching(self) -> type[Invocation]:
        body_starts = self._body_starts

        class Watched(Invocation):
            """Tells when a body starts."""

            def body_starts(self, key: StepKey, name: str) -> None:
                """See `Invocation.body_starts`."""
                body_starts(cast("LiveRun", self.journal).row, key, name)

        return Watched

    def _body_starts(self, row: RunRow, key: StepKey, name: str) -> None:
        self._trial.executions[row.run_id, key, name] += 1
        if self._is_recorded(row.run_id, str(key)):
            self._trial.problems.append(f"the body of {name!r} ran after its result was recorded")

    def _sent(self, request: SentRequest) -> None:
        self._trial.requests[request.method, request.url, request.body] += 1
        run_id, _, key = request.idempotency_key.partition("/")
        if self._is_recorded(run_id, key):
            what = f"{request.method} {request.url}"
            self._trial.problems.append(f"{what} was sent after its answer was recorded")

    def _is_recorded(self, run_id: str, key: str) -> bool:
        row = None if self._store is None else self._store.run(run_id)
        if self._store is None or row is None:
            return False
        return any(str(r.key) == key for r in self._store.history(row.id).recorded)

    def _name_commits(self, env: WorkflowEnvironment, faults: FaultAt) -> None:
        names, tell = self.commit_names, env.engine.core.on_commit
        if names is None or tell is None:
            return

        def told(changes: Sequence[Change], outcomes: Any) -> None:
            names[faults.commits] = commit_name(changes)
            tell(changes, outcomes)

        env.engine.core.on_commit = told

    def _unhandled(self, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), Crash):
            self._trial.problems.append(f"nobody handled: {context.get('message')}: {context}")


class _Said:
    """What servers on loopback answered in the first trial, they answer in all."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str, bytes], list[HttpResponse | NoAnswer]] = {}
        self._asked: Counter[tuple[str, str, bytes]] = Counter()
        self._learning = True

    def again(self) -> None:
        """Another trial begins."""
        self._learning = False
        self._asked.clear()

    async def __call__(self, sent: SentRequest, url: str) -> HttpResponse:
        """See `FakeHttp.on_loopback`."""
        asked = (sent.method, sent.url, sent.body)
        known = self._answers.get(asked)
        if known is None or self._learning:
            try:
                answer: HttpResponse | NoAnswer = await send_on_loopback(sent, url)
            except NoAnswer as error:
                answer = error
            if self._learning:
                self._answers.setdefault(asked, []).append(answer)
        else:
            answer = known[min(self._asked[asked], len(known) - 1)]
            self._asked[asked] += 1
        if isinstance(answer, NoAnswer):
            raise answer
        return answer


async def _over(outside: "asyncio.Future[object]", *, first: bool) -> None:
    """The run has ended: what others wanted of it is over, or failed before.

    Where they began again after a crash, what they wait for may have been already.
    """
    if not outside.done():
        outside.cancel()
    done = await asyncio.gather(outside, return_exceptions=True)
    if first and isinstance(done[0], Exception):
        raise AssertionError(f"outside raised {done[0]!r}") from done[0]


def _end(log: RunLog) -> tuple[Any, ...]:
    failure = log.failure or {}
    if log.state == "RUN_SUCCESS":
        return log.state, log.result
    return log.state, failure.get("error"), failure.get("message")


def _worst(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    worst: dict[str, int] = {}
    for name, n in pairs:
        worst[name] = max(n, worst.get(name, 0))
    return worst
