"""The world around an engine of messages whose process dies; see `tests.simulation.world`."""

import random

from tests.simulation.processes import Processes
from tests.simulation.scenario import Violation
from tests.simulation.wire import records
from tests.simulation.wire.invariants import Judgement, cleaned
from tests.simulation.wire.logs import surprises
from tests.simulation.wire.outside import Outside
from tests.simulation.wire.post_watch import PostWatch
from tests.simulation.wire.scenario import Report, Scenario
from tests.simulation.wire.services import Services
from workflow_agents import Limits
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
        processes.time.advance(scenario.begins_ms)
        self._watch = PostWatch(scenario, processes, self._faults)
        self._services = Services(scenario, self._watch)
        self._outside = Outside(scenario, processes, self._watch)

    def play(self) -> Report:
        """Let it happen.

        Raises:
            Violation: something that must be true is not.
        """
        database = self._processes.database
        problems, ended = self._processes.problems, False
        with surprises(problems):
            while not ended and not problems:
                ended = self._processes.live()
                if self._outside.is_late:
                    problems.append(f"it does not end: {records.leftovers(database)} (I1)")
        if not problems:
            problems += Judgement(self._scenario, database, self._watch, self._outside).problems()
            problems += cleaned(database)
        if problems:
            raise Violation("\n".join(problems))
        return Report(self._watch.most_requests(), self._watch.fired)

    def _new_engine(self, store: SqliteStore) -> DurableEngine:
        engine = DurableEngine(
            store,
            clock=self._processes.clock,
            random_bytes=random.Random(self._random.getrandbits(32)).randbytes,
            http=self._services.network(
                self._faults, lambda message_id: engine.wire.messages.row_of(message_id)
            ),
            environment=records.KEY.get,
            limits=Limits(concurrent_deliveries=self._scenario.at_once),
            inline=True,
        )
        return engine

    async def _act(self, engine: DurableEngine) -> None:
        await self._outside.act(engine)
        if engine.deliveries.busy:
            self._processes.problems.append("attempts are still being made (I13)")
