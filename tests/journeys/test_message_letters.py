"""Dead letters of messages: listed, deleted, sent again."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.journeys.message_world import HandClock, World, open_shop
from workflow_agents.engine.http_out import HttpResponse
from workflow_agents.errors import NotFound
from workflow_agents.store.message_lists import MessageFilter

ALL = MessageFilter()


@pytest.fixture
def world() -> World:
    world = World()
    world.answer = lambda _request: HttpResponse(500, {}, b"no")
    return world


async def test_letters_are_listed_the_newest_first(tmp_path: Path, world: World) -> None:
    async with open_shop(tmp_path, world) as shop:
        for n in range(5):
            await shop.publish(str(n), upstash_retries="0", upstash_label=f"l{n % 2}")
            await shop.at_rest()
        letters = shop.wire.letters
        page, more = letters.page(ALL, None, 2)
        assert [one.message.url[-1] for one in page] == ["4", "3"]
        rest, end = letters.page(ALL, more, 10)
        assert [one.message.url[-1] for one in rest] == ["2", "1", "0"]
        assert end is None
        assert len(letters.page(MessageFilter(labels=("l1",)), None, 10)[0]) == 2
        assert len(letters.page(MessageFilter(statuses=(500, 404)), None, 10)[0]) == 5
        assert letters.page(MessageFilter(statuses=(404,)), None, 10)[0] == []
        assert letters.get(page[0].id).message.url == "https://a.test/4"
        assert json.loads(page[0].failure)["body"] == "no"


async def test_a_letter_is_sent_again_once(tmp_path: Path, world: World) -> None:
    clock = HandClock()
    async with open_shop(tmp_path, world, clock) as shop:
        first = await shop.publish(
            "x",
            "body",
            upstash_retries="0",
            upstash_delay="1s",
            upstash_deduplication_id="one",
            upstash_forward_x_a="1",
        )
        await shop.pass_time(1_000)
        await shop.until(lambda: not shop.owed(first))
        (letter,), _ = shop.wire.letters.page(ALL, None, 10)
        world.answer = lambda _request: HttpResponse(200)
        tries = [shop.wire.letters.retry(letter.id) for _ in range(3)]
        outcomes = await asyncio.gather(*tries, return_exceptions=True)
        again = [one for one in outcomes if not isinstance(one, BaseException)]
        assert len(again) == 1
        assert again[0].message != first.message
        await shop.until(lambda: not shop.owed(again[0]))
        assert shop.wire.letters.page(ALL, None, 10) == ([], None)
        with pytest.raises(NotFound):
            await shop.wire.letters.retry(letter.id)
    sent = world.seen[1]
    assert (len(world.seen), sent.body, sent.headers["X-A"]) == (2, b"body", "1")


async def test_many_letters_are_sent_again_or_deleted(tmp_path: Path, world: World) -> None:
    async with open_shop(tmp_path, world) as shop:
        taken = [await shop.publish("x", str(n), upstash_retries="0") for n in range(6)]
        await shop.until(lambda: not any(map(shop.owed, taken)))
        letters = shop.wire.letters
        assert len(letters.page(ALL, None, 10)[0]) == 6
        world.answer = lambda _request: HttpResponse(200)
        again, more = await letters.retry_all(ALL, 2)
        assert (len(again), more is None) == (2, False)
        (first, *_), _ = letters.page(ALL, None, 10)
        await letters.delete(first.id)
        with pytest.raises(NotFound):
            await letters.delete(first.id)
        named = MessageFilter(letters=tuple(one.id for one in letters.page(ALL, None, 2)[0]))
        assert await letters.delete_all(named, None) == (2, None)
        assert await letters.delete_all(ALL, None) == (1, None)
        await shop.at_rest()
        assert letters.page(ALL, None, 10) == ([], None)
    assert len(world.seen) == 8


async def test_letters_of_runs_and_of_messages_do_not_meet(tmp_path: Path, world: World) -> None:
    async with open_shop(tmp_path, world) as shop:
        taken = await shop.publish("x", upstash_retries="0")
        await shop.until(lambda: not shop.owed(taken))
        assert shop.engine.store.dead_letters(None, 10) == []
        (letter,), _ = shop.wire.letters.page(ALL, None, 10)
        with pytest.raises(NotFound):
            shop.engine.admin.letter(letter.id)
