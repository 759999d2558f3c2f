"""Code that is changed under a running run is told, and never guessed.

Each program runs until one of its steps hangs, and its process stops. Then it goes on with
changed code: a step renamed, inserted, deleted, or swapped with the one after it, at every
position. Where the change touches what is recorded, the run fails with WA201, which says what
was expected and what was found, and no body has run; elsewhere it goes on as the new code says.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from workflow_agents import AsyncWorkflowContext, Engine, RunFailed
from workflow_agents.testing.faults import Database, Faults
from workflow_agents.testing.virtual_time import VirtualClock, VirtualTime, run_virtually

Program = list["str | list[Program]"]
"""Names of steps, and forks: lists of programs that run side by side."""


@dataclass
class World:
    """What outlives the process: its database, and which bodies ran."""

    database: Database = field(default_factory=Database)
    time: VirtualTime = field(default_factory=VirtualTime)
    bodies: list[str] = field(default_factory=list)


def workflow(program: Program, world: World, hang: str | None) -> Callable[..., Any]:
    async def follow(context: AsyncWorkflowContext[Any], program: Program) -> list[Any]:
        results: list[Any] = []
        for part in program:
            if isinstance(part, list):
                results.append(await asyncio.gather(*(follow(context, p) for p in part)))
            elif part.startswith("sleep"):
                await context.sleep(part, 1)
                results.append(part)
            else:
                results.append(await context.run(part, body(part)))
        return results

    def body(name: str) -> Callable[[], Any]:
        async def run() -> str:
            world.bodies.append(name)
            if name == hang:
                await asyncio.get_running_loop().create_future()
            return name

        return run

    async def main(context: AsyncWorkflowContext[Any]) -> list[Any]:
        return await follow(context, program)

    return main


async def live(world: World, program: Program, hang: str | None) -> Any:
    """One life of the process: the run's result, or None where a step hangs."""
    engine = Engine(
        ":memory:",
        store=world.database.store(Faults()),
        clock=VirtualClock(world.time),
        seed=1,
        keep=0,
    )
    served = engine.workflow("/changing", retries=0)(workflow(program, world, hang))
    async with engine:
        handle = await engine.client.trigger(served, workflow_run_id="run")
        if hang is None:
            return await handle.result()
        await asyncio.sleep(30)
        return None


def recorded(world: World) -> list[str]:
    return [name for (name,) in world.database.all("SELECT name FROM feed WHERE mark = 0")]


SEQUENCE: Program = ["a", "b", "sleep c", "d", "e"]
FORKS: Program = ["a", [["b1", "b2"], ["c1", "c2", "c3"], ["d1"]], "e", "f"]
NESTED: Program = ["a", [["b1", [["x1", "x2"], ["y1"]], "b2"], ["c1"]], "e"]


def flat(program: Program) -> list[str]:
    return [
        name
        for part in program
        for name in ([part] if isinstance(part, str) else itertools.chain(*map(flat, part)))
    ]


def branches(program: Program) -> Iterator[Program]:
    """The program and every one in its forks, as they stand in it."""
    yield program
    for part in program:
        if isinstance(part, list):
            for inner in part:
                yield from branches(inner)


def copied(program: Program) -> Program:
    return [part if isinstance(part, str) else [copied(p) for p in part] for part in program]


def changes(program: Program, name: str) -> Iterator[tuple[str, Program]]:
    """The program with each change at the step of this name."""
    for change in ("rename", "insert", "delete", "swap"):
        changed = copied(program)
        branch = next(b for b in branches(changed) if name in b)
        at = branch.index(name)
        if change == "rename":
            branch[at] = "renamed"
        elif change == "insert":
            branch.insert(at, "inserted")
        elif change == "delete":
            del branch[at]
        elif at + 1 < len(branch) and isinstance(branch[at + 1], str):
            branch[at], branch[at + 1] = branch[at + 1], branch[at]
        else:
            continue
        yield change, changed


CASES = [
    pytest.param(program, hang, name, change, changed, id=f"{title}-{hang}-{change}-{name}")
    for title, program in (("sequence", SEQUENCE), ("forks", FORKS), ("nested", NESTED))
    for hang in flat(program)
    if not hang.startswith("sleep")
    for name in flat(program)
    for change, changed in changes(program, name)
]


@pytest.mark.parametrize(("program", "hang", "name", "change", "changed"), CASES)
def test_changed_code_is_told(
    program: Program, hang: str, name: str, change: str, changed: Program
) -> None:
    world = World()
    assert run_virtually(live(world, program, hang), world.time) is None
    before = recorded(world)
    world.bodies.clear()
    world.database.crash()
    touched = name in before
    if not touched:
        # What is not recorded may change, unless that moves a step that is.
        result = run_virtually(live(world, changed, None), world.time)
        assert flat_result(result) == flat(changed)
        assert [b for b in world.bodies if b in before] == []
        return
    with pytest.raises(RunFailed) as failed:
        run_virtually(live(world, changed, None), world.time)
    assert world.bodies == [], "a body of the changed code ran"
    failure = failed.value.log.failure
    assert failure is not None
    assert failure["error"] == "HistoryMismatch"
    assert failure["detail"]["code"] == "WA201"
    expected, found = failure["detail"]["found"]
    assert expected.startswith("expected  ")
    assert found.startswith("found     ")
    assert any(repr(step) in expected for step in before)
    assert failure["detail"]["fix"]


def flat_result(result: Any) -> list[Any]:
    if isinstance(result, list):
        return [name for part in result for name in flat_result(part)]
    return [result]


@pytest.mark.parametrize("program", [SEQUENCE, FORKS, NESTED])
def test_unchanged_code_goes_on_from_every_step(program: Program) -> None:
    for hang in flat(program):
        if hang.startswith("sleep"):
            continue
        world = World()
        run_virtually(live(world, program, hang), world.time)
        before = recorded(world)
        world.bodies.clear()
        world.database.crash()
        result = run_virtually(live(world, program, None), world.time)
        assert flat_result(result) == flat(program)
        assert [b for b in world.bodies if b in before] == []


def test_a_step_that_is_added_behind_a_join_that_was_passed_is_told() -> None:
    """Its body would run in a branch that the run has long left behind."""
    world = World()
    run_virtually(live(world, FORKS, "f"), world.time)
    world.bodies.clear()
    world.database.crash()
    changed = copied(FORKS)
    fork = changed[1]
    assert isinstance(fork, list)
    fork[0].append("late")
    with pytest.raises(RunFailed, match="HistoryMismatch"):
        run_virtually(live(world, changed, None), world.time)
    assert world.bodies == []
