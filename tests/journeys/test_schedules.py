"""Schedules: one message for each tick, over restarts, pauses and missed ticks."""

from pathlib import Path

import pytest

from tests.journeys.message_world import NOW, HandClock, World, open_shop
from workflow_agents.core.cron import MissedTicks
from workflow_agents.engine.http_out import HttpResponse
from workflow_agents.store.message_lists import MessageFilter
from workflow_agents.store.resource_changes import TickSchedule
from workflow_agents.store.resource_rows import EndpointRow

MINUTE = 60_000


@pytest.fixture
def world() -> World:
    return World()


async def test_each_tick_is_one_message(tmp_path: Path, world: World) -> None:
    async with open_shop(tmp_path, world) as shop:
        schedule = await shop.schedule("x", "* * * * *", "hi", upstash_forward_x_a="1")
        await shop.pass_time(MINUTE - 1)
        await shop.at_rest()
        assert world.urls == []
        for n in range(1, 4):
            await shop.pass_time(1 if n == 1 else MINUTE)
            await shop.until(lambda n=n: len(world.seen) == n)
            await shop.at_rest()
        row = shop.wire.schedules.get(schedule)
        assert (row.last_at, row.due_at) == (NOW + 3 * MINUTE, NOW + 4 * MINUTE)
        (message,) = row.last_messages
        assert shop.wire.schedules.states(row) == {message: "SUCCESS"}
    assert {r.headers["Upstash-Schedule-Id"] for r in world.seen} == {schedule}
    assert {r.headers["X-A"] for r in world.seen} == {"1"}
    assert len({r.headers["Upstash-Message-Id"] for r in world.seen}) == 3
    assert world.bodies == ["hi"] * 3


async def test_a_schedule_goes_on_after_restarts_more_frequent_than_it(
    tmp_path: Path, world: World
) -> None:
    """Whoever starts the engine declares the schedule again, just before and just after a tick."""
    clock = HandClock()
    for _ in range(8):
        async with open_shop(tmp_path, world, clock) as shop:
            await shop.schedule("x", "* * * * *", upstash_schedule_id="s")
            await shop.at_rest()
        clock.ms += MINUTE // 2
    assert len(world.seen) == 3


async def test_a_tick_that_is_due_survives_that_the_schedule_is_made_again(
    tmp_path: Path, world: World
) -> None:
    clock = HandClock()
    async with open_shop(tmp_path, world, clock) as shop:
        await shop.schedule("x", "0 * * * *", upstash_schedule_id="s")
    clock.ms += 60 * MINUTE + 5
    async with open_shop(tmp_path, world, clock) as shop:
        await shop.schedule("y", "0 * * * *", upstash_schedule_id="s")
        await shop.until(lambda: len(world.seen) == 1)
        await shop.at_rest()
        # Another line begins anew.
        await shop.schedule("y", "30 * * * *", upstash_schedule_id="s")
        assert shop.wire.schedules.get("s").due_at == NOW + 90 * MINUTE


@pytest.mark.parametrize(
    ("policy", "messages"), [(MissedTicks.ONCE, 1), (MissedTicks.ALL, 25), (MissedTicks.SKIP, 0)]
)
async def test_missed_ticks(
    tmp_path: Path, world: World, policy: MissedTicks, messages: int
) -> None:
    clock = HandClock()
    async with open_shop(tmp_path, world, clock) as shop:
        await shop.schedule("x", "0 * * * *", upstash_schedule_id="s")
    clock.ms += 25 * 60 * MINUTE + 30 * MINUTE
    async with open_shop(tmp_path, world, clock) as shop:
        shop.wire.schedules.missed = policy
        await shop.until(lambda: shop.wire.schedules.get("s").due_at == NOW + 26 * 60 * MINUTE)
        await shop.at_rest()
    assert len(world.seen) == messages


async def test_a_paused_schedule_stays_paused(tmp_path: Path, world: World) -> None:
    clock = HandClock()
    async with open_shop(tmp_path, world, clock) as shop:
        await shop.schedule("x", "* * * * *", upstash_schedule_id="s")
        await shop.wire.schedules.pause("s", paused=True)
        await shop.pass_time(5 * MINUTE)
        await shop.at_rest()
    async with open_shop(tmp_path, world, clock) as shop:
        await shop.schedule("x", "* * * * *", upstash_schedule_id="s")
        assert shop.wire.schedules.get("s").paused
        await shop.pass_time(5 * MINUTE)
        await shop.at_rest()
        assert world.urls == []
        await shop.wire.schedules.pause("s", paused=False)
        await shop.at_rest()
        assert world.urls == []
        await shop.pass_time(MINUTE)
        await shop.until(lambda: len(world.seen) == 1)
        await shop.at_rest()
        await shop.wire.schedules.delete("s")
        await shop.pass_time(5 * MINUTE)
        await shop.at_rest()
    assert len(world.seen) == 1


async def test_a_schedule_may_go_to_a_group_and_through_a_queue(
    tmp_path: Path, world: World
) -> None:
    world.answer = lambda r: HttpResponse(500 if r.url.endswith("b") else 200)
    async with open_shop(tmp_path, world) as shop:
        ends = [EndpointRow(f"https://a.test/{name}", None) for name in "abc"]
        await shop.wire.url_groups.put_endpoints("g", ends)
        await shop.wire.queues.put("q", parallelism=1, paused=True)
        await shop.schedule(
            "group:g",
            "* * * * *",
            upstash_schedule_id="s",
            upstash_queue_name="q",
            upstash_retries="0",
        )
        await shop.pass_time(MINUTE)
        await shop.until(lambda: shop.wire.queues.get("q").lag == 3)
        row = shop.wire.schedules.get("s")
        assert set(shop.wire.schedules.states(row).values()) == {"IN_PROGRESS"}
        await shop.wire.queues.pause("q", paused=False)
        await shop.until(lambda: len(world.seen) == 3)
        await shop.at_rest()
        assert [*shop.wire.schedules.states(row).values()] == ["SUCCESS", "FAIL", "SUCCESS"]
        await shop.wire.url_groups.delete("g")
        await shop.pass_time(MINUTE)
        await shop.at_rest()
        row = shop.wire.schedules.get("s")
        assert (row.error, row.due_at) == ("there is no such URL group", NOW + 3 * MINUTE)
    assert world.urls == ["a", "b", "c"]


async def test_a_tick_is_claimed_with_its_message(tmp_path: Path, world: World) -> None:
    """Whoever comes second with a tick adds nothing."""
    async with open_shop(tmp_path, world) as shop:
        await shop.schedule("x", "* * * * *", upstash_schedule_id="s")
        shop.clock.ms += MINUTE
        mine = shop.wire.schedules.tick("s", shop.clock.ms)
        assert mine is not None
        assert isinstance(mine.ops[-1], TickSchedule)
        await shop.pass_time(0)
        await shop.until(lambda: len(world.seen) == 1)
        await shop.wire.messages.commit(mine.ops, mine.entries)
        await shop.at_rest()
        assert len(world.seen) == 1
        assert shop.engine.store.messages.owed_messages(MessageFilter(), 0, 10) == []
