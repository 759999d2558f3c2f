"""Queues: one message after the other, with its retries and callbacks, in order."""

import asyncio
from pathlib import Path

import pytest

from tests.journeys.message_world import HandClock, World, open_shop
from workflow_agents.engine.http_out import HttpRequest, HttpResponse
from workflow_agents.errors import ConfigurationError, NotFound
from workflow_agents.store.message_lists import MessageFilter


@pytest.fixture
def world() -> World:
    return World()


async def test_messages_of_a_queue_go_one_by_one_in_order(tmp_path: Path, world: World) -> None:
    async with open_shop(tmp_path, world) as shop:
        for n in range(20):
            await shop.publish("x", str(n), upstash_queue_name="q")
        await shop.until(lambda: len(world.seen) == 20)
        await shop.at_rest()
        queue = shop.wire.queues.get("q")
        assert (queue.parallelism, queue.lag, queue.paused) == (1, 0, False)
    assert world.bodies == [str(n) for n in range(20)]
    assert world.most_at_once == 1


async def test_the_next_waits_for_the_retries_and_callbacks_of_the_one_before(
    tmp_path: Path, world: World
) -> None:
    """Until the failed head is a dead letter and its callbacks are through, nothing else goes."""
    failing = {"https://a.test/head": 2, "https://a.test/told": 1}

    def answer(request: HttpRequest) -> HttpResponse:
        left = failing.get(request.url, 0)
        failing[request.url] = left - 1
        return HttpResponse(500 if left > 0 else 200)

    world.answer = answer
    async with open_shop(tmp_path, world) as shop:
        await shop.publish(
            "head",
            upstash_queue_name="q",
            upstash_retries="1",
            upstash_retry_delay="1000",
            upstash_callback="https://a.test/told",
            upstash_callback_retry_delay="1000",
            upstash_failure_callback="https://a.test/told-f",
        )
        await shop.publish("next", upstash_queue_name="q")
        for _ in range(2):
            await shop.at_rest()
            assert "next" not in world.urls
            assert shop.wire.queues.get("q").lag == 2
            await shop.pass_time(1_000)
        await shop.until(lambda: "next" in world.urls)
        await shop.at_rest()
    assert world.urls[:2] == ["head", "head"]
    assert sorted(world.urls[2:-1]) == ["told", "told", "told-f"]
    assert world.urls[-1] == "next"


async def test_a_callback_of_a_callback_is_a_part_of_the_turn(tmp_path: Path, world: World) -> None:
    world.answer = lambda r: HttpResponse(500 if "told" in r.url else 200)
    gate = world.hold("told-f")
    async with open_shop(tmp_path, world) as shop:
        await shop.publish(
            "head",
            upstash_queue_name="q",
            upstash_callback="https://a.test/told",
            upstash_callback_retries="0",
            upstash_callback_failure_callback="https://a.test/told-f",
            upstash_callback_failure_callback_retries="0",
        )
        await shop.publish("next", upstash_queue_name="q")
        await shop.until(lambda: world.urls == ["head", "told", "told-f"])
        await asyncio.sleep(0.02)
        assert len(world.seen) == 3
        gate.set()
        await shop.until(lambda: world.urls[-1] == "next")
        await shop.at_rest()


async def test_as_many_at_once_as_the_queue_allows(tmp_path: Path, world: World) -> None:
    gates = [world.hold(str(n)) for n in range(6)]
    async with open_shop(tmp_path, world) as shop:
        await shop.wire.queues.put("q", parallelism=3)
        for n in range(6):
            await shop.publish(str(n), upstash_queue_name="q")
        await shop.until(lambda: len(world.seen) == 3)
        gates[1].set()
        await shop.until(lambda: len(world.seen) == 4)
        await shop.wire.queues.put("q", parallelism=5)
        await shop.until(lambda: len(world.seen) == 6)
        for gate in gates:
            gate.set()
        await shop.at_rest()
    assert world.urls == ["0", "1", "2", "3", "4", "5"]
    assert world.most_at_once == 5


async def test_less_at_once_holds_back_what_has_not_begun(tmp_path: Path, world: World) -> None:
    world.answer = lambda r: HttpResponse(500 if r.headers["Upstash-Retried"] == "0" else 200)
    async with open_shop(tmp_path, world) as shop:
        await shop.wire.queues.put("q", parallelism=3)
        for n in range(3):
            await shop.publish(str(n), upstash_queue_name="q", upstash_retry_delay="1000")
        await shop.until(lambda: len(world.seen) == 3)
        await shop.at_rest()
        await shop.wire.queues.put("q", parallelism=1)
        world.most_at_once = 0
        await shop.pass_time(1_000)
        await shop.until(lambda: len(world.seen) == 6)
        await shop.at_rest()
    assert world.urls[3:] == ["0", "1", "2"]
    assert world.most_at_once == 1


async def test_a_paused_queue_takes_and_does_not_deliver(tmp_path: Path, world: World) -> None:
    clock = HandClock()
    world.answer = lambda r: HttpResponse(500 if r.headers["Upstash-Retried"] == "0" else 200)
    async with open_shop(tmp_path, world, clock) as shop:
        await shop.publish("0", upstash_queue_name="q", upstash_retry_delay="1000")
        await shop.until(lambda: len(world.seen) == 1)
        await shop.at_rest()
        await shop.wire.queues.pause("q", paused=True)
        await shop.publish("1", upstash_queue_name="q", upstash_retry_delay="1000")
        await shop.pass_time(5_000)
        await shop.at_rest()
        assert (shop.wire.queues.get("q").paused, shop.wire.queues.get("q").lag) == (True, 2)
    async with open_shop(tmp_path, world, clock) as shop:
        await shop.at_rest()
        assert world.urls == ["0"]
        await shop.wire.queues.put("q", parallelism=2)
        assert shop.wire.queues.get("q").paused
        await shop.wire.queues.pause("q", paused=False)
        await shop.until(lambda: len(world.seen) == 3)
        await shop.at_rest()
        await shop.pass_time(1_000)
        await shop.until(lambda: len(world.seen) == 4)
        await shop.at_rest()


async def test_an_attempt_of_a_paused_queue_that_died_is_not_made_again(
    tmp_path: Path, world: World
) -> None:
    gate = world.hold("0")
    async with open_shop(tmp_path, world) as shop:
        await shop.publish("0", upstash_queue_name="q")
        await shop.until(lambda: len(world.seen) == 1)
        await shop.wire.queues.pause("q", paused=True)
    gate.set()
    async with open_shop(tmp_path, world) as shop:
        await shop.at_rest()
        assert len(world.seen) == 1
        await shop.wire.queues.pause("q", paused=False)
        await shop.until(lambda: len(world.seen) == 2)
        await shop.at_rest()


async def test_order_survives_a_restart(tmp_path: Path, world: World) -> None:
    gate = world.hold("x")
    async with open_shop(tmp_path, world) as shop:
        for n in range(5):
            await shop.publish("x", str(n), upstash_queue_name="q")
        await shop.until(lambda: len(world.seen) == 1)
    gate.set()
    async with open_shop(tmp_path, world) as shop:
        await shop.until(lambda: len(world.seen) == 6)
        await shop.at_rest()
    assert world.bodies == ["0", "0", "1", "2", "3", "4"]


async def test_cancelling_the_head_lets_the_next_one_go(tmp_path: Path, world: World) -> None:
    world.hold("head")
    async with open_shop(tmp_path, world) as shop:
        head = await shop.publish("head", upstash_queue_name="q")
        await shop.publish("next", upstash_queue_name="q")
        await shop.until(lambda: world.urls == ["head"])
        await shop.wire.messages.cancel(shop.wire.messages.id_of(head.message))
        await shop.until(lambda: world.urls == ["head", "next"])
        await shop.at_rest()


async def test_a_deleted_queue_takes_what_waits_with_it(tmp_path: Path, world: World) -> None:
    gate = world.hold("head")
    async with open_shop(tmp_path, world) as shop:
        await shop.publish("head", upstash_queue_name="q", upstash_callback="https://a.test/told")
        waits = await shop.publish("next", upstash_queue_name="q")
        await shop.until(lambda: world.urls == ["head"])
        await shop.wire.queues.delete("q")
        gate.set()
        await shop.until(lambda: world.urls == ["head", "told"])
        await shop.at_rest()
        assert not shop.owed(waits)
        assert shop.wire.queues.all() == []
        await shop.publish("new", upstash_queue_name="q")
        await shop.until(lambda: world.urls[-1] == "new")
        await shop.at_rest()
        with pytest.raises(NotFound):
            await shop.wire.queues.delete("other")
        with pytest.raises(NotFound):
            await shop.wire.queues.pause("other", paused=True)
        for name, parallelism in (("a b", 1), ("q", 0)):
            with pytest.raises(ConfigurationError):
                await shop.wire.queues.put(name, parallelism=parallelism)


async def test_a_letter_of_a_queue_is_sent_again_in_it(tmp_path: Path, world: World) -> None:
    failing = {"on": True}
    world.answer = lambda r: HttpResponse(500 if failing["on"] and "bad" in r.url else 200)
    gate = world.hold("slow")
    async with open_shop(tmp_path, world) as shop:
        await shop.publish("bad", upstash_queue_name="q", upstash_retries="0")
        await shop.publish("slow", upstash_queue_name="q")
        await shop.until(lambda: world.urls == ["bad", "slow"])
        failing["on"] = False
        (letter,), _ = shop.wire.letters.page(MessageFilter(queues=("q",)), None, 10)
        await shop.wire.letters.retry(letter.id)
        await asyncio.sleep(0.02)
        assert world.urls == ["bad", "slow"]
        gate.set()
        await shop.until(lambda: world.urls == ["bad", "slow", "bad"])
        await shop.at_rest()
