"""From a seed to remote runs, and to what goes wrong with them."""

import random

from tests.simulation.generate import RandomFaults, disturbances
from tests.simulation.programs import (
    Call,
    Hook,
    Invoke,
    Node,
    Notify,
    Par,
    Run,
    Seq,
    Sleep,
    Step,
    Wait,
)
from tests.simulation.scenario import Scenario, Started
from tests.simulation.wire.runs.sdk import URL
from workflow_agents import FlowControl
from workflow_agents.engine.http_out import HttpRequest
from workflow_agents.testing.faults import AtRequest

RUN_KEY = FlowControl("runs", parallelism=1)
BIG = 5_000


class Generator:
    """Draws programs. Names of steps count up, so that every step has its own."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self._names = 0
        self._depth = 0

    def program(self, size: int) -> Node:
        """A program of about `size` steps."""
        parts: list[Node] = []
        while size > 0:
            if size > 1 and self._draw.random() < 0.25:
                count = self._draw.choice((2, 2, 3))
                parts.append(Par(tuple(self._step(in_group=True) for _ in range(count)), "direct"))
                size -= count
            else:
                parts.append(self._step())
                size -= 1
        if self._draw.random() < 0.08:
            how = self._draw.choice(("error", "final"))
            parts.append(Run(self._name("r"), fails=-1, how=how))
        return Seq(tuple(parts))

    def _step(self, *, in_group: bool = False) -> Step:
        draw = self._draw
        kinds = ["run"] * 6 + ["sleep", "call", "call", "wait", "wait"]
        if not self._depth:
            kinds += ["invoke"]
            if not in_group:
                kinds += ["hook", "told"]
        match draw.choice(kinds):
            case "sleep":
                return Sleep(self._name("s"), 1_000)
            case "call":
                down = draw.random() < 0.2
                answer, retries = ("down", draw.randint(0, 2)) if down else ("ok", 30)
                return Call(self._name("c"), draw.randint(1, 80), answer, retries)
            case "wait":
                return self._wait()
            case "invoke":
                self._depth += 1
                child = self.program(draw.randint(1, 2))
                self._depth -= 1
                return Invoke(self._name("i"), child)
            case "hook":
                return Hook(self._name("h"), draw.choice((1, 2)), draw.choice((5, 40)))
            case "told":
                return Notify(self._name("n"), f"e{self._names}")
            case _:
                fails = draw.choice((0, 0, 0, 1, 2))
                size = BIG if draw.random() < 0.1 else 0
                return Run(self._name("r"), draw.randint(1, 60), size, fails=fails)

    def _wait(self) -> Wait:
        draw = self._draw
        name, at_ms = self._name("w"), draw.randint(1, 400)
        match "nobody" if self._depth else draw.choice(("run", "run", "nobody", "contested")):
            case "nobody":
                return Wait(name, f"e{name}", "nobody", timeout_ms=draw.randint(1, 300))
            case "contested":
                return Wait(name, f"e{name}", "run", at_ms, at_ms, contested=True)
            case _:
                return Wait(name, f"e{name}", "run", at_ms)

    def _name(self, kind: str) -> str:
        self._names += 1
        return f"{kind}{self._names}"


def scenario_of(seed: int) -> Scenario:
    """What happens under this seed."""
    draw = random.Random(f"remote runs {seed}")
    generator = Generator(draw)
    runs: list[Started] = []
    for i in range(draw.choice((1, 1, 2))):
        run = Started(f"run{i}", generator.program(draw.randint(2, 5)), at_ms=draw.randint(0, 100))
        if draw.random() < 0.1:
            run.delay_ms = draw.randint(1, 200)
        if draw.random() < 0.15:
            run.cancel_at_ms = draw.randint(0, 600)
        if draw.random() < 0.15:
            run.flow = RUN_KEY
        if draw.random() < 0.15:
            run.twice = True
        if draw.random() < 0.1:
            run.size = BIG
        runs.append(run)
    return Scenario(
        runs,
        stops_ms=[draw.randint(1, 800) for _ in range(draw.choice((0, 0, 1, 2)))],
        crashes_ms=[draw.randint(1, 800) for _ in range(draw.choice((0, 0, 1, 2)))],
        clock=disturbances(draw),
    )


class RunFaults(RandomFaults):
    """What goes wrong under a seed."""

    def at_request(self, request: HttpRequest) -> AtRequest | None:
        if self._requests <= 0 or self._draw.random() >= self._request_rate / 2:
            return None
        if "/third/down/" in request.url:
            # A service that fails by itself is what is to be seen there.
            return None
        fault = self._draw.choice([*AtRequest])
        first = request.url == URL and request.body.count(b'"messageId"') == 1
        if fault is AtRequest.GARBAGE and first:
            # Such an answer to the first visit says that there is no workflow.
            return None
        self._requests -= 1
        return self._fire(fault)
