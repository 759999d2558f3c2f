"""The world around an engine of remote runs whose process dies; see `tests.simulation.world`."""

import json
import random
from typing import Any

from tests.simulation.invariants import leftovers, never, recorded_steps, unended, whole
from tests.simulation.model import End, expected_end, matches
from tests.simulation.processes import Processes
from tests.simulation.scenario import Report, Scenario, Started, Violation
from tests.simulation.wire import records
from tests.simulation.wire.logs import surprises
from tests.simulation.wire.network import WatchedHttp
from tests.simulation.wire.runs.outside import Outside
from tests.simulation.wire.runs.run_watch import RunWatch
from tests.simulation.wire.runs.sdk import Sdk
from workflow_agents.core.lifecycle import Phase
from workflow_agents.engine.engine import DurableEngine
from workflow_agents.store.sqlite import SqliteStore
from workflow_agents.testing.faults import Faults


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
        self._processes = processes = Processes(
            scenario, self._faults, self._random, self._new_engine, self._act
        )
        self._database = processes.database
        self._watch = RunWatch(scenario, processes, self._faults)
        self._sdk = Sdk(scenario, self._watch)
        self._outside = Outside(scenario, processes, self._watch, self._sdk)
        self._histories: dict[str, list[Any]] = {}

    def play(self) -> Report:
        """Let it happen.

        Raises:
            Violation: something that must be true is not.
        """
        problems, ended = self._processes.problems, False
        with surprises(problems):
            while not ended and not problems:
                ended = self._processes.live()
                self._look_at_history()
                if self._outside.is_late:
                    problems.append(f"it does not end: {unended(self._database)} (I1)")
        if not problems:
            problems += leftovers(self._database) + never(self._database)
            for run in self._scenario.runs:
                self._judge(run)
        if problems:
            raise Violation("\n".join(problems))
        ends = {run.name: self._end_of(run) for run in self._scenario.runs}
        return Report(ends, self._watch.bodies, {}, self._watch.fired)

    def _new_engine(self, store: SqliteStore) -> DurableEngine:
        engine = DurableEngine(
            store,
            clock=self._processes.clock,
            random_bytes=random.Random(self._random.getrandbits(32)).randbytes,
            http=WatchedHttp(
                self._faults,
                self._sdk.send,
                self._watch,
                lambda message_id: engine.wire.messages.row_of(message_id),
            ),
            environment=records.KEY.get,
            inline=True,
        )
        return engine

    async def _act(self, engine: DurableEngine) -> None:
        await self._outside.act(engine)
        if engine.deliveries.busy:
            self._processes.problems.append("attempts are still being made (I13)")

    def _look_at_history(self) -> None:
        """What was recorded stays, in its order; more may follow (I2, I11)."""
        for run_id, steps in recorded_steps(self._database).items():
            before = self._histories.get(run_id, [])
            if steps[: len(before)] != before:
                self._processes.problems.append(f"{run_id}: {before} became {steps}")
            self._histories[run_id] = steps

    def _judge(self, run: Started) -> None:
        """It has ended as its program says (I1)."""
        found, expected = self._end_of(run), expected_end(run.program)
        if run.cancel_at_ms is not None and found.state == "canceled":
            return
        # What is told of a failure is its last answer, which may be the network's.
        failed = found.state == expected.state == "failed"
        if not failed and not matches(expected, found):
            self._processes.problems.append(f"{run.run_id} ended {found}, expected {expected}")

    def _end_of(self, run: Started) -> End:
        sql = "SELECT phase, result, result_payload FROM runs WHERE run_id = ?"
        [(phase, *result)] = self._database.all(sql, run.run_id)
        found = json.loads(whole(self._database, *result) or b"null")
        return End(Phase(phase).name.lower(), found["value"] if phase == Phase.SUCCESS else found)
