"""Plain messages through the engine: delivered, tried again, called back, kept as dead letters."""

import json
from pathlib import Path

import pytest

from tests.journeys.message_world import KEYS, NOW, HandClock, World, incoming, open_shop
from workflow_agents.engine.http_out import HttpResponse, NoAnswer
from workflow_agents.errors import ConfigurationError, LimitError, NotFound, StoreError
from workflow_agents.store.message_lists import MessageFilter


@pytest.fixture
def world() -> World:
    return World()


async def test_a_message_is_delivered_signed_with_its_headers(tmp_path: Path, world: World) -> None:
    async with open_shop(tmp_path, world) as shop:
        taken = await shop.publish(
            "x", '{"a":1}', content_type="application/json", upstash_forward_x_shop="7"
        )
        await shop.until(lambda: not shop.owed(taken))
        message_id = shop.wire.messages.id_of(taken.message)
    (sent,) = world.seen
    assert (sent.method, sent.url, sent.body) == ("POST", "https://a.test/x", b'{"a":1}')
    assert sent.headers["X-Shop"] == "7"
    assert sent.headers["Content-Type"] == "application/json"
    assert sent.headers["Upstash-Message-Id"] == message_id
    assert sent.headers["Upstash-Caller-Ip"] == "203.0.113.7"
    KEYS.verify(sent.headers["Upstash-Signature"], sent.body, now_s=NOW // 1000, url=sent.url)


async def test_it_is_tried_again_then_kept_and_told_of(tmp_path: Path, world: World) -> None:
    world.answer = lambda r: HttpResponse(200 if "told" in r.url else 500, {}, b"no")
    async with open_shop(tmp_path, world) as shop:
        await shop.publish(
            "x",
            "hello",
            upstash_retries="2",
            upstash_retry_delay="1000",
            upstash_callback="https://a.test/told",
            upstash_callback_forward_x_name="c",
            upstash_failure_callback="https://a.test/told-f",
            upstash_failure_callback_method="PUT",
        )
        for _ in range(2):
            await shop.at_rest()
            await shop.pass_time(1_000)
        await shop.until(lambda: len(world.seen) == 5)
        await shop.at_rest()
        (letter,) = shop.wire.letters.page(MessageFilter(), None, 10)[0]
    assert [r.headers["Upstash-Retried"] for r in world.seen[:3]] == ["0", "1", "2"]
    told = {r.url: json.loads(r.body) for r in world.seen[3:]}
    sent = {r.url: r for r in world.seen[3:]}
    first = told["https://a.test/told"]
    assert (first["status"], first["retried"], first["maxRetries"]) == (500, 2, 2)
    assert sent["https://a.test/told"].headers["X-Name"] == "c"
    assert told["https://a.test/told-f"]["dlqId"] == letter.id
    assert sent["https://a.test/told-f"].method == "PUT"


async def test_a_callback_tells_of_the_answer_once(tmp_path: Path, world: World) -> None:
    world.answer = lambda r: HttpResponse(201, {"x-a": ["1"]}, b"made")
    async with open_shop(tmp_path, world) as shop:
        await shop.publish(
            "x",
            "hello",
            upstash_callback="https://a.test/told",
            upstash_failure_callback="https://a.test/never",
        )
        await shop.until(lambda: len(world.seen) == 2)
        await shop.at_rest()
    assert world.urls == ["x", "told"]
    told = json.loads(world.seen[1].body)
    assert (told["status"], told["body"], told["sourceBody"]) == (201, "bWFkZQ==", "aGVsbG8=")
    assert told["header"] == {"X-A": ["1"]}


@pytest.mark.parametrize(
    ("status", "headers", "attempts"),
    [
        (489, {"upstash-nonretryable-error": ["true"]}, 1),
        (489, {}, 3),
        (404, {}, 3),
        (302, {"location": ["https://a.test/y"]}, 3),
    ],
)
async def test_what_an_answer_means(
    tmp_path: Path, world: World, status: int, headers: dict[str, list[str]], attempts: int
) -> None:
    world.answer = lambda _request: HttpResponse(status, headers)
    async with open_shop(tmp_path, world) as shop:
        taken = await shop.publish("x", upstash_retries="2", upstash_retry_delay="0")
        await shop.until(lambda: not shop.owed(taken))
        (letter,) = shop.wire.letters.page(MessageFilter(), None, 10)[0]
        assert json.loads(letter.failure)["status"] == status
    assert len(world.seen) == attempts


async def test_the_other_side_says_when_to_come_back(tmp_path: Path, world: World) -> None:
    world.answer = lambda _request: HttpResponse(429, {"retry-after": ["7"]})
    async with open_shop(tmp_path, world) as shop:
        await shop.publish("x", upstash_retry_delay="1")
        await shop.until(lambda: len(world.seen) == 1)
        await shop.at_rest()
        await shop.pass_time(6_999)
        await shop.at_rest()
        assert len(world.seen) == 1
        await shop.pass_time(1)
        await shop.until(lambda: len(world.seen) == 2)
        await shop.at_rest()


async def test_no_answer_is_a_failed_attempt(tmp_path: Path, world: World) -> None:
    def silent(request: object) -> HttpResponse:
        raise NoAnswer("no answer within 1 s")

    world.answer = silent
    async with open_shop(tmp_path, world) as shop:
        taken = await shop.publish("x", upstash_retries="0", upstash_timeout="1s")
        await shop.until(lambda: not shop.owed(taken))
        (letter,) = shop.wire.letters.page(MessageFilter(), None, 10)[0]
        assert json.loads(letter.failure)["error"] == "no answer within 1 s"
    assert world.seen[0].timeout_ms == 1_000


async def test_what_waits_goes_on_after_a_restart(tmp_path: Path, world: World) -> None:
    clock = HandClock()
    async with open_shop(tmp_path, world, clock) as shop:
        await shop.publish("delayed", upstash_delay="10s")
        await shop.publish("later", upstash_not_before=str(NOW // 1000 + 20))
        await shop.pass_time(9_999)
    async with open_shop(tmp_path, world, clock) as shop:
        await shop.at_rest()
        assert world.urls == []
        await shop.pass_time(1)
        await shop.until(lambda: world.urls == ["delayed"])
        await shop.pass_time(10_000)
        await shop.until(lambda: world.urls == ["delayed", "later"])
        await shop.at_rest()


async def test_an_attempt_that_died_with_its_process_is_made_again(
    tmp_path: Path, world: World
) -> None:
    gate = world.hold("x")
    async with open_shop(tmp_path, world) as shop:
        await shop.publish("x")
        await shop.until(lambda: len(world.seen) == 1)
    gate.set()
    async with open_shop(tmp_path, world) as shop:
        await shop.until(lambda: len(world.seen) == 2)
        await shop.at_rest()
    first, second = (r.headers["Upstash-Message-Id"] for r in world.seen)
    assert first == second


@pytest.mark.parametrize(
    "headers",
    [
        {"upstash_retries": "1001"},
        {"upstash_retry_delay": "1 +"},
        {"upstash_flow_control_key": "k", "upstash_flow_control_value": "speed=3"},
        {"upstash_callback": "https://a.test/c", "upstash_callback_retries": "1001"},
        {"upstash_failure_callback": "https://a.test/c", "upstash_failure_callback_delay": "x"},
    ],
)
async def test_what_could_not_be_carried_out_is_refused(
    tmp_path: Path, world: World, headers: dict[str, str]
) -> None:
    async with open_shop(tmp_path, world) as shop:
        with pytest.raises((ConfigurationError, LimitError)):
            await shop.publish("x", **headers)
        assert shop.engine.store.messages.owed_messages(MessageFilter(), 0, 10) == []


async def test_a_cancelled_message_is_not_delivered(tmp_path: Path, world: World) -> None:
    gate = world.hold("x")
    async with open_shop(tmp_path, world) as shop:
        under_way = await shop.publish("x", upstash_callback="https://a.test/told")
        waits = await shop.publish("y", upstash_delay="1m")
        await shop.until(lambda: len(world.seen) == 1)
        for taken in (under_way, waits):
            await shop.wire.messages.cancel(shop.wire.messages.id_of(taken.message))
        await shop.at_rest()
        gate.set()
        await shop.pass_time(60_000)
        await shop.at_rest()
        with pytest.raises(NotFound):
            await shop.wire.messages.cancel(shop.wire.messages.id_of(waits.message))
    assert world.urls == ["x"]


async def test_messages_are_cancelled_by_what_they_have_in_common(
    tmp_path: Path, world: World
) -> None:
    async with open_shop(tmp_path, world) as shop:
        for name, label in (("a/1", "eu"), ("a/2", "us"), ("b?c=d", "eu")):
            await shop.publish(name, upstash_delay="1m", upstash_label=label)
        elsewhere = incoming("http://b.test:8080/a/1", "", {"upstash_delay": "1m"})
        await shop.wire.messages.publish(elsewhere)
        cancel = shop.wire.messages.cancel_all
        assert await cancel(MessageFilter(labels=("eu",), paths=("/a/1",))) == (1, False)
        assert await cancel(MessageFilter(hosts=("b.test",))) == (1, False)
        assert await cancel(MessageFilter(until=NOW - 1)) == (0, False)
        assert await cancel(MessageFilter(), 1) == (1, True)
        assert await cancel(MessageFilter()) == (1, False)
        assert await cancel(MessageFilter()) == (0, False)
        await shop.pass_time(60_000)
        await shop.at_rest()
    assert world.urls == []


async def test_what_was_answered_is_not_sent_again_because_the_store_cannot_be_read(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose turn in a queue a callback's own callback is, is read after the answer."""
    async with open_shop(tmp_path, world) as shop:
        stored = shop.engine.store.messages
        read, refusals = stored.message, [StoreError("WA603"), StoreError("WA603")]

        def sometimes(message: int) -> object:
            if "told" in world.urls and refusals:
                raise refusals.pop()
            return read(message)

        monkeypatch.setattr(stored, "message", sometimes)
        await shop.publish(
            "x",
            upstash_queue_name="q",
            upstash_callback="https://a.test/told",
            upstash_callback_callback="https://a.test/told-of-that",
        )
        await shop.until(lambda: len(world.urls) > 2)
        await shop.at_rest()
    assert not refusals
    assert world.urls == ["x", "told", "told-of-that"]
