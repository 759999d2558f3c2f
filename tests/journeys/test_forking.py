"""A run is forked at a step: what was before is kept, what comes behind runs again."""

import asyncio

import pytest

from workflow_agents import AsyncWorkflowContext, NotFound


@pytest.fixture
def bodies() -> list[str]:
    return []


@pytest.fixture
def trip(serve, bodies):
    async def did(what: str, value: str) -> str:
        bodies.append(what)
        return value

    @serve.post("/trip")
    async def trip(context: AsyncWorkflowContext[str]) -> str:
        city = await context.run("choose", lambda: did("choose", context.request_payload))
        train, hotel = await asyncio.gather(
            context.run("train", lambda: did("train", f"train to {city}")),
            context.run("hotel", lambda: did("hotel", f"bed in {city}")),
        )
        paid = await context.wait_for_event("paid", f"paid-{city}", timeout="1d")
        return await context.run(
            "sum up", lambda: did("sum up", f"{train}, {hotel}, {paid.event_data}")
        )

    return trip


async def finished(site, bodies: list[str]):
    run = await site.trigger("/trip", "Delft")
    await site.waits(run, "paid")
    await site.client.notify("paid-Delft", "in cash")
    assert await run.result() == "train to Delft, bed in Delft, in cash"
    bodies.clear()
    return run


async def test_a_fork_at_the_last_step_runs_only_that(site, trip, bodies) -> None:
    run = await finished(site, bodies)
    fork = await run.fork("sum up")
    assert await fork.result() == "train to Delft, bed in Delft, in cash"
    assert bodies == ["sum up"]
    log = await fork.log()
    assert log.forked_from == run.run_id
    assert [step.name for step in log.steps] == ["choose", "train", "hotel", "paid", "sum up"]


async def test_a_wait_behind_the_fork_asks_again(site, trip, bodies) -> None:
    run = await finished(site, bodies)
    fork = await run.fork("paid")
    await site.waits(fork, "paid")
    assert bodies == []
    await site.client.notify("paid-Delft", "by card")
    assert await fork.result() == "train to Delft, bed in Delft, by card"
    assert (await run.log()).result == "train to Delft, bed in Delft, in cash"


async def test_a_step_is_given_another_result(site, trip, bodies) -> None:
    run = await finished(site, bodies)
    fork = await run.fork("choose", result="Porto")
    await site.waits(fork, "paid")
    assert sorted(bodies) == ["hotel", "train"]
    await site.client.notify("paid-Porto", "in cash")
    assert await fork.result() == "train to Porto, bed in Porto, in cash"
    assert (await fork.log()).steps[0].out == "Porto"


async def test_a_fork_from_the_top_takes_another_input(site, trip, bodies) -> None:
    run = await finished(site, bodies)
    fork = await run.fork(body="Cork")
    await site.waits(fork, "paid")
    assert len(bodies) == 3
    await fork.cancel()


async def test_a_running_run_is_forked_and_both_go_on(site, trip, bodies) -> None:
    run = await site.trigger("/trip", "Delft")
    await site.waits(run, "paid")
    fork = await run.fork("hotel")
    await site.waits(fork, "paid")
    await site.client.notify("paid-Delft", "for both")
    assert await run.result() == await fork.result() == "train to Delft, bed in Delft, for both"


async def test_a_fork_survives_a_restart(site, trip, bodies) -> None:
    run = await finished(site, bodies)
    fork = await run.fork("paid")
    await site.waits(fork, "paid")
    await site.engine.stop()
    await site.engine.start()
    await site.client.notify("paid-Delft", "later")
    assert await fork.result() == "train to Delft, bed in Delft, later"
    assert (await fork.log()).forked_from == run.run_id


async def test_a_step_that_is_not_there_is_told(site, trip, bodies) -> None:
    run = await finished(site, bodies)
    with pytest.raises(NotFound, match="WA212") as raised:
        await run.fork("pay")
    assert "'paid'" in str(raised.value)
