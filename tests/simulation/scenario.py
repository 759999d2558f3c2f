"""What is to happen, and what came of it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.simulation.model import End
from tests.simulation.processes import Disturbances
from tests.simulation.programs import Invoke, Node, Step, steps_of
from workflow_agents import FlowControl


class Violation(AssertionError):
    """Something that must always be true was not."""


@dataclass
class Started:
    """A run that somebody outside starts.

    Attributes:
        name: of its id.
        program: what it does.
        at_ms: when it is triggered.
        after: it is started when the trigger of the run of this name was acknowledged.
        delay_ms: the trigger asks for a later start.
        cancel_at_ms: when somebody cancels it.
        flow: limits its invocations.
        size: of its payload, in characters.
        resume: its dead letter is resumed, and steps that heal succeed then.
        twice: the caller triggers it twice.
    """

    name: str
    program: Node
    at_ms: int = 0
    after: str | None = None
    delay_ms: int = 0
    cancel_at_ms: int | None = None
    flow: FlowControl | None = None
    size: int = 0
    resume: bool = False
    twice: bool = False

    @property
    def run_id(self) -> str:
        return f"wfr_{self.name}"


@dataclass
class Scenario(Disturbances):
    """What is to happen.

    Attributes:
        runs: that are started from outside.
        keep_ms: how long the engine keeps tasks of parked runs.
    """

    runs: list[Started]
    keep_ms: int = 0

    def steps(self) -> Iterator[Step]:
        """All steps, also those of the runs that are invoked."""
        for run in self.runs:
            yield from _with_children(run.program)


def _with_children(node: Node) -> Iterator[Step]:
    for step in steps_of(node):
        yield step
        if isinstance(step, Invoke):
            yield from _with_children(step.child)


@dataclass
class Report:
    """What came of a scenario.

    Attributes:
        ends: of the runs that were started from outside, by name.
        bodies: how often each body ran, by (run id, step).
        met: what the code of each run met after its steps, in order, by run id.
        fired: how often each thing happened that was not a fault of the store or network.
    """

    ends: dict[str, End]
    bodies: Counter[tuple[str, str]]
    met: dict[str, list[Any]]
    fired: Counter[str]
