"""Random branch programs do on an engine what they do by plain asyncio.

Each of 5,000 programs runs three ways, in virtual time. By plain asyncio: that is the model.
On an engine: it returns the same, and its code meets the same results in the same order, also
where branches share a list or the first to finish cancels the others. And on an engine to whose
process, disk, network and clock things happen, as in `tests/simulation`, to whose seeds these
belong: it ends as it must, and every replay meets what was met before.
"""

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from tests.simulation.generate import Generator, RandomFaults, disturbances
from tests.simulation.model import End, Plain, end_of, matches
from tests.simulation.programs import Node
from tests.simulation.scenario import Scenario, Started
from tests.simulation.world import World
from workflow_agents import AsyncWorkflowContext, Engine
from workflow_agents.context import turns
from workflow_agents.testing.faults import AtCommit, AtRequest, AtStatement, Faults
from workflow_agents.testing.virtual_time import VirtualClock, VirtualTime, run_virtually

PROGRAMS = 5_000
BLOCK = 250
FAULTS = (
    *(fault.name for faults in (AtCommit, AtStatement, AtRequest) for fault in faults),
    "crash",
)


def plainly(program: Node) -> tuple[End, list[Any], bool]:
    """How plain asyncio ends it, what its code meets, and whether the order is determined."""

    async def main() -> tuple[End, list[Any], bool]:
        plain = Plain()
        end = await end_of(program, plain)
        return end, [*plain.notes], plain.determined

    return run_virtually(main(), VirtualTime())


def determined_program(seed: int) -> tuple[Node, End, list[Any]]:
    """The program of a seed, one in four large. If two steps end at one instant, another one."""
    for attempt in range(20):
        generator = Generator(random.Random(f"branches {seed}.{attempt}"), exact=True)
        program = generator.branches(large=seed % 4 == 0)
        end, notes, determined = plainly(program)
        if determined:
            return program, end, notes
    raise AssertionError("no program is determined")


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_logged")
@pytest.mark.parametrize("block", range(PROGRAMS // BLOCK))
def test_programs_do_what_plain_asyncio_does(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if block % 5 == 0:
        # As where other work keeps the loop busy, or the loop does not tell when it is quiet.
        monkeypatch.setattr(turns, "_QUIET_TURNS", 1_000_000)
    fired: Counter[str] = Counter()
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        program, end, notes = determined_program(seed)
        draw = random.Random(seed)
        keep_ms = draw.choice((0, 100, 100_000))

        clean = World(Scenario([Started("r", program)], keep_ms), Faults(), seed).play()
        assert matches(end, clean.ends["r"]), f"seed {seed}: {end} became {clean.ends['r']}"
        assert clean.met["wfr_r"] == notes, f"seed {seed}: another order"

        crashes = [draw.randint(1, 2_000) for _ in range(draw.randint(0, 2))]
        torn = Scenario(
            [Started("r", program)], keep_ms, crashes_ms=crashes, clock=disturbances(draw)
        )
        faults = RandomFaults(seed)
        # That it ends as it must, and that replays repeat what was, is asked in there.
        fired += World(torn, faults, seed).play().fired + faults.fired
    seldom = {kind: fired[kind] for kind in FAULTS if fired[kind] < BLOCK // 20}
    assert not seldom, f"too seldom to have tested anything: {seldom}"


@pytest.mark.parametrize("keep", [0, 10])
def test_a_branch_that_waits_for_an_event_delays_no_other(keep: int) -> None:
    time = VirtualTime()
    ended: dict[str, float] = {}

    async def program(context: AsyncWorkflowContext[None]) -> list[Any]:
        async def patient() -> Any:
            event = await context.wait_for_event("approval", "approved", timeout="3d")
            ended.setdefault("patient", time.ms)
            return event.event_data

        async def busy(name: str, pause: int) -> str:
            for i in range(3):
                await context.run(f"{name}-{i}", lambda i=i: i)
                await context.sleep(f"{name}-nap-{i}", pause)
            ended.setdefault(name, time.ms)
            return name

        return await asyncio.gather(patient(), busy("quick", 1), busy("slow", 60))

    async def main() -> Any:
        engine = Engine(":memory:", clock=VirtualClock(time), keep=keep, seed=1)
        served = engine.workflow("/program")(program)
        async with engine:
            run = await engine.client.trigger(served)
            await asyncio.sleep(3_600)
            await engine.client.notify("approved", "yes")
            return await run.result()

    assert run_virtually(main(), time) == ["yes", "quick", "slow"]
    assert ended == {"quick": 3_000, "slow": 180_000, "patient": 3_600_000}
