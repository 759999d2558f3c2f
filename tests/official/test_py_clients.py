"""Every method of the official Python client `qstash`, sync and async."""

import asyncio
import inspect
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from qstash import AsyncQStash, QStash, Receiver
from qstash.errors import QStashError, SignatureError
from qstash.log import LogState

from tests.official.outside import Outside, Received
from tests.official.processes import HERE, Server

PATIENCE_S = 20
YEARLY = "0 0 1 1 *"


@pytest.fixture(scope="module", autouse=True)
def no_certificates() -> Iterator[None]:
    """Nothing is asked over TLS here; each client would read all certificates that there are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", "")
        patch.setenv("SSL_CERT_DIR", str(HERE / "py"))
        yield


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("python"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    outside = Outside()
    yield outside
    outside.stop()


class Desk:
    """A client, sync or async, and what tests do with it.

    Attributes:
        unique: a word that no other test has.
    """

    def __init__(self, client: Any, outside: Outside) -> None:
        self.client = client
        self.outside = outside
        self.unique = secrets.token_hex(5)

    def sink(self, name: str = "sink") -> str:
        return f"{self.outside.url}/sink/{name}-{self.unique}"

    def url(self, path: str) -> str:
        return f"{self.outside.url}/{path}"

    async def received(self, name: str = "sink", count: int = 1) -> list[Received]:
        await self.until(lambda: len(self.outside.received(f"{name}-{self.unique}")) >= count)
        return self.outside.received(f"{name}-{self.unique}")

    async def until(self, give: Callable[[], Any]) -> Any:
        """What `give` gives (an awaitable of it, too), as soon as it is true."""
        async with asyncio.timeout(PATIENCE_S):
            while not (given := await of(give())):
                await asyncio.sleep(0.05)
        return given


async def of(value: Any) -> Any:
    """The result of a method of either client."""
    return await value if inspect.isawaitable(value) else value


@pytest.fixture(params=["sync", "async"])
async def desk(
    request: pytest.FixtureRequest, server: Server, outside: Outside
) -> AsyncIterator[Desk]:
    kind = QStash if request.param == "sync" else AsyncQStash
    client = kind(server.env["QSTASH_TOKEN"], base_url=server.url, retry=False)
    yield Desk(client, outside)
    inner = client.http._client
    await of(inner.aclose() if hasattr(inner, "aclose") else inner.close())


async def test_publish_with_every_option(desk: Desk) -> None:
    message = desk.client.message
    begun = time.time()
    answer = await of(
        message.publish(
            url=f"{desk.sink()}?a=1",
            body="Grüße".encode(),
            content_type="text/plain",
            method="PUT",
            headers={"x-own": "kept"},
            callback=desk.sink("callback"),
            callback_headers={"Forward-X-Of-Callback": "yes"},
            failure_callback=desk.sink("never"),
            retries=1,
            retry_delay="100",
            delay=1,
            timeout="10s",
            label="a-label",
            flow_control={"key": f"key-{desk.unique}", "parallelism": 2, "rate": 5, "period": 60},
        )
    )
    assert answer.message_id.startswith("msg_")
    assert not answer.deduplicated
    kept = await of(message.get(answer.message_id))
    assert (kept.url, kept.method, kept.body) == (f"{desk.sink()}?a=1", "PUT", "Grüße")
    assert kept.headers["X-Own"] == ["kept"]
    assert (kept.max_retries, kept.retry_delay_expression, kept.label) == (1, "100", "a-label")
    assert kept.flow_control.key == f"key-{desk.unique}"
    assert (kept.flow_control.parallelism, kept.flow_control.rate) == (2, 5)
    assert kept.flow_control.period == 60
    assert abs(kept.not_before - kept.created_at - 1000) < 200
    [request] = await desk.received()
    assert (request.method, request.text) == ("PUT", "Grüße")
    assert request.headers["content-type"] == "text/plain"
    assert request.at - begun >= 0.9
    [callback] = await desk.received("callback")
    assert callback.json["status"] == 200
    assert callback.headers["x-of-callback"] == "yes"


async def test_publish_json_and_deduplication(desk: Desk) -> None:
    message = desk.client.message
    told: dict[str, Any] = {"url": desk.sink(), "body": {"a": ["ä", None]}}
    by_id = {**told, "deduplication_id": desk.unique}
    first, second = [await of(message.publish_json(**by_id)) for _ in range(2)]
    assert (first.deduplicated, second.deduplicated) == (False, True)
    assert first.message_id == second.message_id
    by_content = {**told, "content_based_deduplication": True}
    third, fourth = [await of(message.publish_json(**by_content)) for _ in range(2)]
    assert (third.deduplicated, fourth.deduplicated) == (False, True)
    requests = await desk.received(count=2)
    assert [r.json for r in requests] == [{"a": ["ä", None]}] * 2
    assert requests[0].headers["content-type"] == "application/json"


async def test_publish_not_before_and_redacted(desk: Desk) -> None:
    at = int(time.time()) + 3600
    message = desk.client.message
    answer = await of(
        message.publish_json(
            url=desk.sink(),
            body={"a": 1},
            not_before=at,
            headers={"x-own": "hidden"},
            redact={"body": True, "header": ["x-own"]},
        )
    )
    kept = await of(message.get(answer.message_id))
    assert kept.not_before == at * 1000
    assert kept.body.startswith("REDACTED:")
    assert kept.headers["X-Own"][0].startswith("REDACTED:")
    await of(message.cancel(answer.message_id))


async def test_failure_callback(desk: Desk) -> None:
    await of(
        desk.client.message.publish(
            url=desk.url("status/404?text=none"),
            retries=0,
            failure_callback=desk.sink("failed"),
            failure_callback_headers={"Forward-X-Failed": "yes"},
        )
    )
    [request] = await desk.received("failed")
    assert (request.json["status"], request.callback_body) == (404, "none")
    assert request.headers["x-failed"] == "yes"


async def test_batch(desk: Desk) -> None:
    name = f"batch-{desk.unique}"
    urls = [desk.sink("one"), desk.sink("two")]
    await of(desk.client.url_group.upsert_endpoints(name, [{"url": url} for url in urls]))
    raw = [
        {"url": desk.sink(), "body": "text", "headers": {"x-number": "1"}},
        {"url_group": name, "body": "group"},
        {"url": desk.sink(), "queue": name},
    ]
    alone, group, queued = await of(desk.client.message.batch(raw))
    assert alone.message_id != queued.message_id
    assert sorted(answer.url for answer in group) == sorted(urls)
    told = [{"url": desk.sink("json"), "body": {"a": 1}, "method": "PUT"}]
    await of(desk.client.message.batch_json(told))
    assert sorted(r.text for r in await desk.received(count=2)) == ["", "text"]
    assert [r.text for r in await desk.received("two")] == ["group"]
    assert [r.json for r in await desk.received("json")] == [{"a": 1}]
    await of(desk.client.queue.delete(name))
    await of(desk.client.url_group.delete(name))


async def test_enqueue(desk: Desk) -> None:
    queue = f"queue-{desk.unique}"
    message = desk.client.message
    await of(message.enqueue(queue=queue, url=desk.sink(), body="one", content_type="text/plain"))
    await of(message.enqueue_json(queue=queue, url=desk.sink(), body={"number": 2}))
    assert [r.text for r in await desk.received(count=2)] == ["one", '{"number": 2}']
    await of(desk.client.queue.delete(queue))


async def test_messages_are_cancelled(desk: Desk) -> None:
    message = desk.client.message

    async def later() -> str:
        told = {"url": desk.sink("never"), "body": 1, "delay": "1h"}
        return (await of(message.publish_json(**told))).message_id

    one = await later()
    await of(message.cancel(one))
    with pytest.raises(QStashError, match="404"):
        await of(message.get(one))
    assert await of(message.cancel_many([await later(), await later(), "msg_unknown"])) == 2
    await later()
    assert await of(message.cancel_all()) >= 1
    assert await of(message.cancel_all()) == 0


async def test_queues(desk: Desk) -> None:
    queue, name = desk.client.queue, f"queue-{desk.unique}"
    await of(queue.upsert(name, parallelism=3, paused=True))
    made = await of(queue.get(name))
    assert (made.name, made.parallelism, made.lag, made.paused) == (name, 3, 0, True)
    assert made.updated_at >= made.created_at > 1.7e12
    await of(desk.client.message.enqueue(queue=name, url=desk.sink(), body="x"))
    assert (await of(queue.get(name))).lag == 1
    await of(queue.resume(name))
    await desk.received()
    assert (await of(queue.get(name))).paused is False
    await of(queue.pause(name))
    assert (await of(queue.get(name))).paused is True
    assert name in [listed.name for listed in await of(queue.list())]
    await of(queue.delete(name))
    with pytest.raises(QStashError, match="404"):
        await of(queue.get(name))


async def test_url_groups(desk: Desk) -> None:
    group, name = desk.client.url_group, f"group-{desk.unique}"
    one, two = desk.sink("one"), desk.sink("two")
    await of(group.upsert_endpoints(name, [{"url": one}, {"url": two, "name": "two"}]))
    made = await of(group.get(name))
    assert {(e.url, e.name) for e in made.endpoints} == {(one, None), (two, "two")}
    answers = await of(desk.client.message.publish_json(url_group=name, body={"a": 1}))
    assert sorted(answer.url for answer in answers) == sorted([one, two])
    await desk.received("one")
    await desk.received("two")
    assert name in [listed.name for listed in await of(group.list())]
    await of(group.remove_endpoints(name, [{"name": "two"}]))
    assert [e.url for e in (await of(group.get(name))).endpoints] == [one]
    await of(group.delete(name))
    with pytest.raises(QStashError, match="404"):
        await of(group.get(name))


async def test_schedules(desk: Desk) -> None:
    schedule = desk.client.schedule
    made = await of(
        schedule.create(
            destination=desk.sink(),
            cron=YEARLY,
            body="Grüße",
            content_type="text/plain",
            method="PUT",
            headers={"x-own": "kept"},
            callback=desk.sink("callback"),
            failure_callback=desk.sink("failed"),
            retries=2,
            retry_delay="10",
            delay="10s",
            timeout=20,
            schedule_id=f"schedule-{desk.unique}",
            flow_control={"key": f"key-{desk.unique}", "rate": 1, "period": "1m"},
            label="a-label",
        )
    )
    assert made == f"schedule-{desk.unique}"
    told = await of(schedule.get(made))
    assert (told.destination, told.cron, told.method) == (desk.sink(), YEARLY, "PUT")
    assert (told.body, told.headers["X-Own"], told.retries) == ("Grüße", ["kept"], 2)
    assert (told.retry_delay_expression, told.delay, told.timeout) == ("10", 10, 20)
    assert (told.callback, told.failure_callback) == (desk.sink("callback"), desk.sink("failed"))
    assert (told.flow_control.rate, told.flow_control.period) == (1, 60)
    assert (told.label, told.paused) == ("a-label", False)
    assert told.next_schedule_time > time.time() * 1000
    await of(schedule.pause(made))
    assert (await of(schedule.get(made))).paused is True
    await of(schedule.resume(made))
    assert (await of(schedule.get(made))).paused is False
    by_json = await of(
        schedule.create_json(destination=desk.sink(), cron=YEARLY, body={"a": 1}, queue="a-queue")
    )
    assert by_json.startswith("scd_")
    listed = {one.schedule_id: one for one in await of(schedule.list())}
    assert (listed[by_json].body, listed[by_json].queue) == ('{"a": 1}', "a-queue")
    for schedule_id in (made, by_json):
        await of(schedule.delete(schedule_id))
    with pytest.raises(QStashError, match="404"):
        await of(schedule.get(made))


async def test_dead_letters(desk: Desk) -> None:
    dlq, label = desk.client.dlq, f"dead-{desk.unique}"
    url = desk.url(f"status/500?text={desk.unique}")
    sent = []
    for _ in range(4):
        told = {"url": url, "body": {"a": 1}, "retries": 0, "label": label}
        sent.append((await of(desk.client.message.publish_json(**told))).message_id)

    async def letters(**filters: Any) -> list[Any]:
        return (await of(dlq.list(filter=filters))).messages

    await desk.until(lambda: _count(letters(label=label), 4))
    [letter] = await letters(message_id=sent[0])
    assert (letter.url, letter.response_status) == (url, 500)
    assert (letter.response_body, letter.body, letter.label) == (desk.unique, '{"a": 1}', label)
    assert letter.response_headers["Content-Type"] == ["text/plain"]
    for filters in (
        {"url": url}, {"label": label, "response_status": 500},
        {"label": label, "from_time": letter.created_at - 60_000},
    ):  # fmt: skip
        assert len(await letters(**filters)) == 4, filters
    assert await letters(label=label, response_status=404) == []
    first = await of(dlq.list(count=3, filter={"label": label}))
    assert (len(first.messages), bool(first.cursor)) == (3, True)
    rest = await of(dlq.list(cursor=first.cursor, count=3, filter={"label": label}))
    assert (len(rest.messages), rest.cursor) == (1, None)
    assert (await of(dlq.get(letter.dlq_id))).message_id == sent[0]
    await of(dlq.delete(letter.dlq_id))
    with pytest.raises(QStashError, match="404"):
        await of(dlq.get(letter.dlq_id))
    others = [other.dlq_id for other in await letters(label=label)]
    assert await of(dlq.delete_many([*others, letter.dlq_id])) == 3


async def _count(listed: Any, count: int) -> bool:
    return len(await listed) == count


async def test_logs(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    log, label = desk.client.log, f"logs-{desk.unique}"
    told = {"url": desk.sink(), "body": {"a": 1}, "label": label, "headers": {"x-own": "kept"}}
    message_id = (await of(desk.client.message.publish_json(**told))).message_id

    async def logs(**filters: Any) -> list[Any]:
        return (await of(log.list(filter=filters))).logs

    await desk.until(lambda: logs(message_id=message_id, state=LogState.DELIVERED))
    seen = await logs(message_id=message_id)
    assert {entry.state for entry in seen} >= {LogState.CREATED, LogState.DELIVERED}
    assert {(entry.message_id, entry.url, entry.label) for entry in seen} == {
        (message_id, desk.sink(), label)
    }
    for filters in ({"label": label}, {"url": desk.sink()}, {"message_ids": [message_id]}):
        assert len(await logs(**filters)) == len(seen), filters
    assert await logs(label=label, to_time=seen[-1].time - 60_000) == []
    page = await of(log.list(count=1, filter={"label": label}))
    assert (len(page.logs), bool(page.cursor)) == (1, True)
    following = await of(log.list(count=1, cursor=page.cursor, filter={"label": label}))
    assert following.logs[0].time <= page.logs[0].time
    capsys.readouterr()  # the package prints what it got


async def test_flow_control(desk: Desk) -> None:
    control, key = desk.client.flow_control, f"key-{desk.unique}"
    told = {"url": desk.sink(), "body": 1, "flow_control": {"key": key, "parallelism": 2}}
    await of(desk.client.message.publish_json(**told))
    await desk.received()
    info = await of(control.get(key))
    assert (info.key, info.parallelism_max, info.is_paused) == (key, 2, False)
    await of(control.pause(key))
    assert (await of(control.get(key))).is_paused is True
    await of(desk.client.message.publish_json(**told))
    assert (await of(control.get(key))).wait_list_size == 1
    await of(control.resume(key))
    await desk.received(count=2)
    await of(control.pin(key, {"parallelism": 5, "rate": 50, "period": 60}))
    pinned = await of(control.get(key))
    assert (pinned.parallelism_max, pinned.rate_max, pinned.rate_period) == (5, 50, 60)
    assert (pinned.is_pinned_parallelism, pinned.is_pinned_rate) == (True, True)
    await of(control.unpin(key, {"parallelism": True, "rate": False}))
    half = await of(control.get(key))
    assert (half.is_pinned_parallelism, half.is_pinned_rate) == (False, True)
    await of(control.unpin(key, {"rate": True}))
    await of(control.reset_rate(key))
    assert (await of(control.get(key))).rate_count == 0
    assert (await of(control.get_global_parallelism())).parallelism_max >= 0


async def test_keys_and_receiver(desk: Desk, server: Server) -> None:
    keys = await of(desk.client.signing_key.get())
    await of(desk.client.message.publish(url=desk.sink(), body="Grüße"))
    [request] = await desk.received()
    signed = {"signature": request.headers["upstash-signature"], "body": request.text}
    receiver = Receiver(keys.current, keys.next)
    receiver.verify(**signed, url=desk.sink())
    with pytest.raises(SignatureError):
        receiver.verify(**{**signed, "body": "another"})
    with pytest.raises(SignatureError):
        receiver.verify(**signed, url=desk.sink("another"))
    rotated = await of(desk.client.signing_key.rotate())
    assert rotated.current == keys.next
    await of(desk.client.message.publish(url=desk.sink("rotated"), body="x"))
    [request] = await desk.received("rotated")
    told = {"signature": request.headers["upstash-signature"], "body": "x"}
    receiver.verify(**told)
    Receiver(rotated.current, rotated.next).verify(**told)


async def test_a_wrong_token_is_refused(desk: Desk, server: Server) -> None:
    stranger = type(desk.client)("wrong", base_url=server.url, retry=False)
    with pytest.raises(QStashError, match="401"):
        await of(stranger.queue.list())
    inner = stranger.http._client
    await of(inner.aclose() if hasattr(inner, "aclose") else inner.close())
