"""The world around an engine whose process dies: one process after the other, then judgement.

`World.play` lets a scenario happen: processes follow each other on one database, each with an
engine of its own, until every run has ended. Then it looks at everything that must be true.
"""

import random
from collections import Counter
from typing import Any

from tests.simulation.durable import PATH, RETRY_DELAY, Durable
from tests.simulation.invariants import (
    done_steps,
    end_of_run,
    leftovers,
    never,
    recorded_steps,
    stored_input,
    unended,
)
from tests.simulation.model import FUNCTION_RETRIES, End, OneOf, expected_end, matches
from tests.simulation.outside import Outside
from tests.simulation.processes import Processes
from tests.simulation.programs import play
from tests.simulation.scenario import Report, Scenario, Started, Violation
from tests.simulation.watch import Watch
from workflow_agents import Engine, Limits
from workflow_agents.engine.http_out import HttpRequest, HttpResponse
from workflow_agents.protocol.codec import encode
from workflow_agents.store.sqlite import SqliteStore
from workflow_agents.testing.faults import Faults, FaultyHttp


class World:
    """See the module.

    Args:
        scenario: what is to happen.
        faults: what goes wrong with the database and the network.
        seed: of the engine's ids, and of how long it is down after a crash.
    """

    def __init__(self, scenario: Scenario, faults: Faults | None = None, seed: int = 0) -> None:
        self._scenario = scenario
        self._faults = faults or Faults()
        self._random = random.Random(seed)
        self._processes = Processes(
            scenario, self._faults, self._random, self._new_engine, self._act
        )
        self._database = self._processes.database
        self._watch = Watch(scenario, self._processes, self._faults)
        self._outside = Outside(scenario, self._database, self._processes.time, self._watch)
        self._failures_told: Counter[str] = Counter()
        self._histories: dict[str, list[Any]] = {}

    def play(self) -> Report:
        """Let it happen.

        Raises:
            Violation: something that must be true is not.
        """
        problems, ended = self._watch.problems, False
        while not ended and not problems:
            self._watch.process_began()
            ended = self._processes.live()
            self._look_at_history()
            if self._outside.is_late:
                problems.append(f"it does not end: {unended(self._database)}")
        if not problems:
            self._judge()
        if problems:
            raise Violation("\n".join(problems))
        return Report(
            {run.name: end_of_run(self._database, run.run_id) for run in self._scenario.runs},
            self._watch.bodies,
            self._watch.met,
            self._watch.fired,
        )

    # The life of a process.

    def _new_engine(self, store: SqliteStore) -> Engine:
        engine = Engine(
            ":memory:",
            clock=self._processes.clock,
            http=_WatchedHttp(self._faults, self._outside),
            seed=self._random.getrandbits(32),
            store=store,
            keep=self._scenario.keep_ms / 1000,
            base_url="http://here",
            # A process that dies at random may well die many times without any progress.
            limits=Limits(recoveries=1_000),
        )

        async def program(context: Any) -> Any:
            node = self._outside.programs[context.request_payload["program"]]
            return {"value": await play(node, Durable(context, self._outside, self._watch))}

        engine.add(
            PATH,
            program,
            retries=FUNCTION_RETRIES,
            retry_delay=RETRY_DELAY,
            failure_function=self._failed,
        )
        return engine

    async def _failed(self, context: Any, status: int, response: str, headers: Any) -> str:
        """The failure function of all runs; sometimes it fails at first."""
        self._failures_told[context.workflow_run_id] += 1
        if self._failures_told[context.workflow_run_id] == 1 and status == 489:
            raise RuntimeError("the first attempt of a failure function")
        return "noted"

    async def _act(self, engine: Engine) -> None:
        await self._outside.act(engine)
        if engine.core.live:
            self._watch.problems.append(f"still in hand: {[*engine.core.live]}")

    # What must be true.

    def _look_at_history(self) -> None:
        """What was recorded stays, in its order; more may follow (I2, I11)."""
        for run_id, steps in recorded_steps(self._database).items():
            before = self._histories.get(run_id, [])
            if steps[: len(before)] != before:
                self._watch.violated(f"the history {before} became {steps}", run_id)
            self._histories[run_id] = steps

    def _judge(self) -> None:
        self._watch.problems += leftovers(self._database) + never(self._database)
        for run in self._scenario.runs:
            expected: Any = expected_end(run.program)
            if run.cancel_at_ms is not None:
                expected = OneOf((expected, End("canceled")))
            self._judge_end(run.run_id, expected)
            if not self._is_as_sent(run, stored_input(self._database, run.run_id)):
                self._watch.violated("another payload is stored than was sent (I14)", run.run_id)
            if run.run_id in self._outside.resumed:
                self._judge_resumed(run, self._outside.resumed[run.run_id])

    def _is_as_sent(self, run: Started, stored: bytes | None) -> bool:
        return stored == encode(self._outside.payload(run))

    def _judge_end(self, run_id: str, expected: Any) -> None:
        found = end_of_run(self._database, run_id)
        if not matches(expected, found):
            self._watch.violated(f"ended {found}, expected {expected}", run_id)

    def _judge_resumed(self, run: Started, run_id: str) -> None:
        """A resumed run goes on from the failure, and does nothing again (I12)."""
        self._judge_end(run_id, expected_end(run.program, healed=True))
        for step in done_steps(self._database, run.run_id):
            if self._watch.bodies[run_id, step]:
                self._watch.violated(f"{step} was done, and again in {run_id}", run.run_id)


class _WatchedHttp(FaultyHttp):
    """A network on which it is seen when requests are sent."""

    def __init__(self, faults: Faults, outside: Outside) -> None:
        super().__init__(faults, outside.answer)
        self._outside = outside

    async def send(self, request: HttpRequest) -> HttpResponse:
        self._outside.request_starts(request)
        return await super().send(request)
