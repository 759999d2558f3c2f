"""What is watched while programs run: every start of a body, every request, every replay."""

import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from tests.simulation.invariants import is_recorded, paused_until
from tests.simulation.processes import Processes
from tests.simulation.programs import Call, Raise, Run, Step
from tests.simulation.scenario import Scenario
from workflow_agents import Engine, FlowControl
from workflow_agents.testing.faults import Faults


class Watch:
    """Outlives the processes, like the eyes of somebody who looks at them.

    Attributes:
        problems: what was not as it must be.
        bodies: how often each body ran, by (run id, step).
        met: what the code of each run met after its steps, in order.
        canceled: when the cancellation of a run was acknowledged.
        hears_within_ms: how long bodies may still start behind that, where they are elsewhere.
        fired: how often each thing happened that was not a fault of the store or network.
        repeated: runs of which a network in between has delivered a visit twice.
    """

    def __init__(self, scenario: Scenario, processes: Processes[Engine], faults: Faults) -> None:
        self.problems = processes.problems
        self.bodies: Counter[tuple[str, str]] = Counter()
        self.met: dict[str, list[Any]] = {}
        self.canceled: dict[str, float] = {}
        self.hears_within_ms = 0
        self.repeated: set[str] = set()
        self.fired = processes.fired
        self._database = processes.database
        self._time = processes.time
        self._clock = processes.clock
        self._faults = faults
        self._steady_clock = not scenario.clock
        self._first = {run.run_id for run in scenario.runs}
        self._raised: Counter[tuple[str, str]] = Counter()
        self._keys: dict[tuple[str, str], str] = {}
        self._in_flight: defaultdict[str, list[object]] = defaultdict(list)
        self._starts: defaultdict[str, list[float]] = defaultdict(list)
        self._flows = {run.run_id: run.flow for run in scenario.runs}
        flows = [*self._flows.values(), *(getattr(s, "flow", None) for s in scenario.steps())]
        self._limits = {flow.key: flow.parallelism for flow in flows if flow is not None}

    def violated(self, what: str, run_id: str) -> None:
        self.problems.append(f"run {run_id}: {what}")

    def process_began(self) -> None:
        """What was in flight died with the process before."""
        self._in_flight = defaultdict(list)

    def body_starts(self, run_id: str, step: Run) -> int:
        """A body starts; how often it has started, this time included (I3, I10)."""
        self.bodies[run_id, step.name] += 1
        self._not_after_cancel(run_id, step, self.hears_within_ms)
        if run_id not in self.repeated and is_recorded(self._database, run_id, step.name):
            self.violated(f"the body of {step.name} starts after its result was recorded", run_id)
        if step.flow is not None:
            self._starts_under(run_id, step.flow)
        return self.bodies[run_id, step.name]

    def request_starts(self, run_id: str, step: Call, pause_key: str) -> None:
        """No request of a paused key starts before the end of the pause (I9)."""
        until = paused_until(self._database, pause_key)
        if until is None:
            return
        self.fired["start after a pause"] += 1
        if self._steady_clock and self._clock.now_ms() < until:
            self.violated(f"{step.name} starts while {pause_key} is paused", run_id)

    def request_comes(self, run_id: str, step: Call, key: str) -> None:
        """A `call` reaches its service, under this idempotency key."""
        self._not_after_cancel(run_id, step)
        if self._keys.setdefault((run_id, step.name), key) != key:
            self.violated(f"call {step.name} comes under another idempotency key", run_id)

    def _not_after_cancel(self, run_id: str, step: Run | Call, within_ms: int = 0) -> None:
        at = self.canceled.get(run_id)
        if at is not None and self._time.ms >= at + within_ms:
            self.violated(f"{step.name} starts after the cancel was acknowledged", run_id)

    def _starts_under(self, run_id: str, flow: FlowControl) -> None:
        """The rate of a key holds (I9), as long as its starts are not held up by the store."""
        if flow.rate is None or not self._steady_clock or self._faults.errors:
            return
        starts = self._starts[flow.key]
        starts.append(self._time.ms)
        within = [at for at in starts if at > self._time.ms - flow.period_ms]
        # Elsewhere they begin when the network has told of their turn: those of one period may
        # come late, and so beside those of the next.
        most = flow.rate * (2 if self.hears_within_ms else 1)
        if len(within) > most:
            self.violated(f"{len(within)} starts of {flow.key} in a period: {within}", run_id)

    @contextlib.contextmanager
    def in_flight(self, run_id: str, step: Run | Call) -> Iterator[None]:
        """A body or request takes its time; no more of its keys do than may (I9)."""
        in_flight = self._in_flight
        mine: list[tuple[str, object]] = []
        if step.flow is not None:
            mine.append((step.flow.key, object()))
        if isinstance(step, Run) and (flow := self._flows.get(run_id)) is not None:
            mine.append((flow.key, run_id))
        for key, holder in mine:
            in_flight[key].append(holder)
            limit, holders = self._limits[key], len(set(in_flight[key]))
            if limit is not None and holders > limit:
                self.violated(f"{holders} of {key} at a time", run_id)
        try:
            yield
        finally:
            for key, holder in mine:
                in_flight[key].remove(holder)

    def note(self, run_id: str, at: int, step: Step, value: Any) -> None:
        """The code of a run goes on after a step; a replay meets what was met before (I11)."""
        met, now = self.met.setdefault(run_id, []), [step.name, value]
        if at == len(met):
            met.append(now)
        elif met[at] != now:
            self.violated(f"a replay meets {now}, before it was {met[at]}", run_id)

    def raised_before(self, run_id: str, step: Raise) -> int:
        """How often the function has come to a `Raise` before."""
        self._raised[run_id, step.name] += 1
        return self._raised[run_id, step.name] - 1

    def is_healed(self, run_id: str) -> bool:
        """Whether it is another try of a run that has failed."""
        return run_id not in self._first
