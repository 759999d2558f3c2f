"""From a seed to runs that are kept by checkpoints, and to what goes wrong with them."""

import random

from tests.simulation.checkpoints.endpoint import SERVER
from tests.simulation.checkpoints.world import URL, World
from tests.simulation.generate import RandomFaults
from tests.simulation.generate import scenario_of as embedded
from tests.simulation.scenario import Scenario
from workflow_agents.core.checkpoints import HEADER, VISIT
from workflow_agents.engine.http_out import HttpRequest
from workflow_agents.testing.faults import AtRequest


def scenario_of(seed: int) -> Scenario:
    """What happens under this seed: what happens embedded, but for what a server does not do."""
    scenario = embedded(seed, large=seed % 4 == 0)
    scenario.runs = [run for run in scenario.runs if not run.resume]
    return scenario


def world_of(seed: int) -> tuple[World, "CheckpointFaults"]:
    """The world of a seed."""
    draw = random.Random(f"checkpoints {seed}")
    faults = CheckpointFaults(seed)
    deaths = tuple(draw.randint(1, 900) for _ in range(draw.choice((0, 1, 1, 2, 3))))
    channels = draw.random() < 0.7
    return World(scenario_of(seed), faults, seed, deaths_ms=deaths, channels=channels), faults


class CheckpointFaults(RandomFaults):
    """What goes wrong under a seed: also on the way between the endpoint and the server.

    Attributes:
        repeated: runs of which a visit came twice. Its bodies run twice, and one counts.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.repeated: set[str] = set()
        self._own = random.Random(f"faults of checkpoints {seed}")
        self._left = self._own.choice((0, 2, 4, 8))
        self._rate = self._own.choice((0.05, 0.2, 0.5))

    def at_request(self, request: HttpRequest) -> AtRequest | None:
        if request.url != URL and not request.url.startswith(SERVER):
            return super().at_request(request)
        if self._left <= 0 or self._own.random() >= self._rate:
            return None
        fault = self._own.choice([*AtRequest])
        first = request.url == URL and request.headers.get(HEADER) != VISIT
        if fault is AtRequest.GARBAGE and first:
            # Such an answer to the first visit says that there is no workflow.
            return None
        self._left -= 1
        if fault is AtRequest.DUPLICATE and request.url == URL:
            self.repeated.add(request.headers["Upstash-Workflow-Runid"])
        where = "visit" if request.url == URL else "checkpoints"
        self.fired[f"{where}: {fault.name}"] += 1
        return fault
