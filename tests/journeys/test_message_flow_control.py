"""Flow control of messages: limits, pauses, pins, over restarts."""

import asyncio
from pathlib import Path

import pytest

from tests.journeys.message_world import HandClock, World, open_shop
from workflow_agents.errors import ConfigurationError, NotFound


@pytest.fixture
def world() -> World:
    return World()


def limited(value: str) -> dict[str, str]:
    return {"upstash_flow_control_key": "k", "upstash_flow_control_value": value}


async def test_no_more_at_once_than_the_key_allows(tmp_path: Path, world: World) -> None:
    gates = [world.hold(str(n)) for n in range(5)]
    async with open_shop(tmp_path, world) as shop:
        for n in range(5):
            await shop.publish(str(n), **limited("parallelism=2"))
        await shop.until(lambda: len(world.seen) == 2)
        await asyncio.sleep(0.05)
        use = shop.wire.flow_keys.get("k")
        assert (use.in_flight, use.waiting, len(world.seen)) == (2, 3, 2)
        for gate in gates:
            gate.set()
        await shop.until(lambda: len(world.seen) == 5)
        await shop.at_rest()
        assert shop.wire.flow_keys.get("k").in_flight == 0
    assert world.most_at_once == 2


async def test_no_more_in_a_period_than_the_key_allows(tmp_path: Path, world: World) -> None:
    async with open_shop(tmp_path, world) as shop:
        for n in range(5):
            await shop.publish(str(n), **limited("rate=2, period=10s"))
        await shop.until(lambda: len(world.seen) == 2)
        await shop.at_rest()
        await shop.pass_time(9_999)
        await shop.at_rest()
        assert len(world.seen) == 2
        await shop.wire.flow_keys.reset_rate("k")
        await shop.until(lambda: len(world.seen) == 4)
        await shop.at_rest()
        await shop.pass_time(11_000)
        await shop.until(lambda: len(world.seen) == 5)
        await shop.at_rest()


async def test_callbacks_have_limits_of_their_own(tmp_path: Path, world: World) -> None:
    world.hold("told")
    async with open_shop(tmp_path, world) as shop:
        for _ in range(3):
            await shop.publish(
                "x",
                upstash_callback="https://a.test/told",
                upstash_callback_flow_control_key="c",
                upstash_callback_flow_control_value="parallelism=1",
            )
        await shop.until(lambda: world.urls.count("x") == 3 and "told" in world.urls)
        await asyncio.sleep(0.05)
        assert world.urls.count("told") == 1
        world.gates["https://a.test/told"].set()
        await shop.until(lambda: world.urls.count("told") == 3)
        await shop.at_rest()


async def test_a_paused_key_starts_nothing_until_it_is_resumed(
    tmp_path: Path, world: World
) -> None:
    clock = HandClock()
    async with open_shop(tmp_path, world, clock) as shop:
        await shop.wire.flow_keys.pause("k", paused=True)
        for n in range(3):
            await shop.publish(str(n), upstash_flow_control_key="k")
        await shop.publish("free")
        await shop.until(lambda: shop.wire.flow_keys.get("k").waiting == 3 and world.urls)
        assert world.urls == ["free"]
    async with open_shop(tmp_path, world, clock) as shop:
        await shop.pass_time(3_600_000)
        await shop.publish("3", **limited("parallelism=1"))
        await shop.at_rest()
        assert world.urls == ["free"]
        await shop.wire.flow_keys.pause("k", paused=False)
        await shop.until(lambda: len(world.seen) == 5)
        await shop.at_rest()
    assert sorted(world.urls[1:]) == ["0", "1", "2", "3"]


async def test_a_pause_and_its_end_that_meet_leave_nobody_waiting(
    tmp_path: Path, world: World
) -> None:
    async with open_shop(tmp_path, world) as shop:
        for n in range(60):
            await asyncio.gather(
                shop.wire.flow_keys.pause("k", paused=n % 2 == 0),
                shop.publish(str(n), upstash_flow_control_key="k"),
            )
        await shop.wire.flow_keys.pause("k", paused=False)
        await shop.until(lambda: len(world.seen) == 60)
        await shop.at_rest()


async def test_pinned_limits_hold(tmp_path: Path, world: World) -> None:
    clock = HandClock()
    async with open_shop(tmp_path, world, clock) as shop:
        await shop.wire.flow_keys.pin("k", parallelism=1)
        await shop.publish("x", **limited("parallelism=9, rate=4, period=2s"))
        await shop.at_rest()
    async with open_shop(tmp_path, world, clock) as shop:
        await shop.publish("x", **limited("parallelism=8, rate=5, period=2s"))
        await shop.at_rest()
        limits = shop.wire.flow_keys.get("k").state.limits
        assert (limits.parallelism, limits.rate, limits.period_ms) == (1, 5, 2_000)
        await shop.wire.flow_keys.unpin("k", parallelism=True, rate=False)
        assert shop.wire.flow_keys.get("k").state.limits.parallelism == 1
        await shop.publish("x", **limited("parallelism=7"))
        limits = shop.wire.flow_keys.get("k").state.limits
        assert (limits.parallelism, limits.rate) == (7, None)
        await shop.at_rest()


async def test_what_is_refused(tmp_path: Path, world: World) -> None:
    async with open_shop(tmp_path, world) as shop:
        keys = shop.wire.flow_keys
        with pytest.raises(NotFound):
            keys.get("k")
        with pytest.raises(NotFound):
            await keys.reset_rate("k")
        with pytest.raises(NotFound):
            await keys.unpin("k", parallelism=True, rate=False)
        with pytest.raises(ConfigurationError):
            await keys.pin("k")
        with pytest.raises(ConfigurationError):
            await keys.pause("a b", paused=True)
        assert keys.all() == []
