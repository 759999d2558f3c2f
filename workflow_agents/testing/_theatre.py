"""One trial of a workflow: processes that follow each other until the run has ended.

`crashes` says where they end; here they run, each on a loop of its own in virtual time, and
what is executed and sent is counted.
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
from workflow_agents.testing.faults import Crash, Database, FaultAt
from workflow_agents.testing.processes import run_process
from workflow_agents.testing.virtual_time import Deadlock, VirtualTime

World = Callable[[FakeHttp], object]
Outside = Callable[[WorkflowEnvironment, AsyncRunHandle], Awaitable[object]]
Check = Callable[[RunLog], object]

_RUN_ID = "wfr_played"
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


class Theatre:
    """One trial: processes that follow each other until the run has ended."""

    def __init__(self, play: Play, trial: Trial, database: Database, said: "Said") -> None:
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


class Said:
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
