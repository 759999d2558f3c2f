"""A message is taken once: by its id, or by its content, for ten minutes."""

import asyncio
from pathlib import Path

import pytest

from tests.journeys.message_world import HandClock, World, incoming, open_shop
from workflow_agents.protocol.message import content_key


@pytest.fixture
def world() -> World:
    return World()


async def test_an_id_is_taken_once_until_its_time_is_over(tmp_path: Path, world: World) -> None:
    clock = HandClock()
    async with open_shop(tmp_path, world, clock) as shop:
        first = await shop.publish("x", upstash_deduplication_id="one")
        again = await asyncio.gather(
            *(shop.publish("x", "other", upstash_deduplication_id="one") for _ in range(5))
        )
        other = await shop.publish("x", upstash_deduplication_id="two")
    assert {(one.message, one.deduplicated) for one in again} == {(first.message, True)}
    assert not other.deduplicated
    clock.ms += 10 * 60_000 - 1
    async with open_shop(tmp_path, world, clock) as shop:
        assert (await shop.publish("x", upstash_deduplication_id="one")).deduplicated
        clock.ms += 1
        assert not (await shop.publish("x", upstash_deduplication_id="one")).deduplicated
        await shop.at_rest()


async def test_content_is_taken_once(tmp_path: Path, world: World) -> None:
    by_content = {"upstash_content_based_deduplication": "True"}
    async with open_shop(tmp_path, world) as shop:
        first = await shop.publish("x", "a", **by_content, upstash_forward_a="1")
        variants = [
            ("x", "a", {"upstash_forward_a": "1"}, True),
            ("x", "a", {"upstash_forward_a": "1", "upstash_retries": "1"}, True),
            ("x", "b", {"upstash_forward_a": "1"}, False),
            ("y", "a", {"upstash_forward_a": "1"}, False),
            ("x", "a", {"upstash_forward_a": "2"}, False),
        ]
        for name, body, headers, same in variants:
            taken = await shop.publish(name, body, **headers, **by_content)
            assert taken.deduplicated == same, (name, body, headers)
            assert (taken.message == first.message) == same
        await shop.at_rest()


async def test_an_id_is_none_of_a_content(tmp_path: Path, world: World) -> None:
    async with open_shop(tmp_path, world) as shop:
        await shop.publish("x", "a", upstash_content_based_deduplication="true")
        key = content_key(incoming("https://a.test/x", "a", {}).spec, b"a")
        assert (
            await shop.publish("x", "a", upstash_content_based_deduplication="true")
        ).deduplicated
        named = await shop.publish("x", upstash_deduplication_id=f"content:{key}")
        assert not named.deduplicated
        await shop.at_rest()
