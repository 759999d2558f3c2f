"""A branch waits for long while the code that has forked it goes on: neither holds up the other.

The wait is longer than a task is kept for, so that a run which counted as at rest too early would
lose its invocation at once.
"""

import asyncio

import pytest

from workflow_agents import AsyncWorkflowContext


@pytest.fixture
def gate() -> asyncio.Event:
    return asyncio.Event()


async def test_a_step_of_the_parent_runs_to_its_end(site, serve, gate) -> None:
    """The run is not at rest while a body runs, whatever its branches wait for."""
    told: list[str] = []

    @serve.post("/trip")
    async def trip(context: AsyncWorkflowContext) -> str:
        nap = asyncio.create_task(context.sleep("nap", "1h"))

        async def search() -> str:
            told.append("begins")
            try:
                await gate.wait()
            except asyncio.CancelledError:
                told.append("cancelled")
                raise
            return "found"

        found = await context.run("search", search)
        await nap
        return found

    run = await site.trigger("/trip")
    await site.told(run, "STEP_WAITING", "nap")
    for _ in range(100):
        await asyncio.sleep(0)
    gate.set()
    await site.told(run, "STEP_SUCCESS", "search")
    site.pass_time("1h")
    assert (await site.ended(run)).result == "found"
    assert told == ["begins"]


async def test_steps_of_the_parent_follow_each_other(site, serve) -> None:
    """Nor while the result of a step is on its way to the disk."""

    @serve.post("/trip")
    async def trip(context: AsyncWorkflowContext) -> list[int]:
        nap = asyncio.create_task(context.sleep("nap", "1h"))
        done = [await context.run(f"step {i}", lambda i=i: i) for i in range(20)]
        await nap
        return done

    run = await site.trigger("/trip")
    await site.told(run, "STEP_SUCCESS", "step 19")
    site.pass_time("1h")
    assert (await site.ended(run)).result == [*range(20)]


async def test_a_step_of_the_parent_is_given_up_and_the_run_parks(site, serve, gate) -> None:
    """When the parent gives a body up and joins its branch, the run is rows again."""
    given_up = asyncio.Event()

    @serve.post("/trip")
    async def trip(context: AsyncWorkflowContext) -> str:
        nap = asyncio.create_task(context.sleep("nap", "1h"))
        try:
            async with asyncio.timeout(0.05):
                await context.run("search", gate.wait)
        except TimeoutError:
            given_up.set()
        await nap
        return "rested"

    run = await site.trigger("/trip")
    await given_up.wait()
    await site.parked()
    site.pass_time("1h")
    assert (await site.ended(run)).result == "rested"
