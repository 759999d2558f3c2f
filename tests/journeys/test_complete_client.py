"""All that a client offers, over HTTP and in process: the same body does the same in both."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.journeys.client_worlds import WORLDS, ClientWorld, client_world
from tests.unit.server.conftest import Endpoints
from workflow_agents import (
    Client,
    ConfigurationError,
    FlowControl,
    NotFound,
    Secret,
    StateError,
)
from workflow_agents.core.resources import GroupEndpoint

pytestmark = pytest.mark.parametrize("over", WORLDS)


@pytest.fixture
async def world(over: str, tmp_path, monkeypatch) -> AsyncIterator[ClientWorld]:
    async with client_world(over, tmp_path, monkeypatch) as made:
        yield made


@pytest.fixture
async def endpoints() -> AsyncIterator[Endpoints]:
    made = Endpoints()
    async with await made.listen():
        yield made


async def until(check: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(20):
        while not (found := await check()):
            await asyncio.sleep(0.02)
        return found


# Runs.


async def test_many_are_triggered_at_once(world: ClientWorld) -> None:
    runs = await world.client.trigger_many(
        [
            {"workflow": world.work, "body": 1, "label": "odd"},
            {"url": world.work, "body": "zwei", "workflow_run_id": "second"},
            {"workflow": world.work, "body": b"\xff\x00", "headers": {"content-type": "x/y"}},
            {"workflow": world.work, "body": 4, "workflow_run_id": "second"},
        ]
    )
    assert [run.deduplicated for run in runs] == [False, False, False, True]
    assert runs[1].run_id == runs[3].run_id == "wfr_second"
    assert await runs[0].result() == 1
    assert await runs[1].result() == "zwei"
    assert (await runs[0].log()).labels == ("odd",)
    with pytest.raises(ConfigurationError, match="did you mean 'label'"):
        await world.client.trigger_many([{"workflow": world.work, "lable": "x"}])
    assert await world.client.trigger_many([]) == []


async def test_runs_are_cancelled_in_every_way(world: ClientWorld) -> None:
    client = world.client

    async def waiting(workflow: str, **options: Any) -> str:
        return (await client.trigger(workflow, "wait", **options)).run_id

    first, second = await waiting(world.work), await waiting(world.work)
    assert await client.cancel_many([first, second, "wfr_nobody"]) == 2
    assert await client.cancel_many([first]) == 0
    assert await client.cancel_many([]) == 0

    vip, keyed = (
        await waiting(world.work, label="vip"),
        await waiting(world.work, flow_control=FlowControl("tenant", parallelism=9)),
    )
    assert await client.cancel_many(where={"label": "vip"}) == 1
    assert await client.cancel_many(where={"flow_control_key": "tenant"}) == 1
    for run_id in (vip, keyed):
        assert await client.handle(run_id).status() == "RUN_CANCELED"

    later = time.time() + 3600
    kept, other = await waiting(world.work), await waiting(world.other)
    assert await client.cancel_many(where={"workflow": world.work, "since": later}) == 0
    assert await client.cancel_many(where={"workflow": world.work[:-1]}) == 0
    assert await client.cancel_many(where={"url_prefix": world.work[:-2]}) == 1
    assert await client.handle(kept).status() == "RUN_CANCELED"
    assert await client.handle(other).status() == "RUN_STARTED"
    assert await client.cancel_many(all=True) == 1
    assert await client.handle(other).status() == "RUN_CANCELED"


async def test_nothing_is_done_to_all_by_mistake(world: ClientWorld) -> None:
    client = world.client
    for verb in (client.cancel_many, client.dlq.resume_many, client.dlq.delete_many):
        for wrong in ({}, {"where": {}}, {"ids": ["x"], "all": True}):
            with pytest.raises(ConfigurationError, match="either ids, or where="):
                await verb(**wrong)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(ConfigurationError, match="did you mean 'label'"):
        await client.cancel_many(where={"labels": "x"})  # type: ignore[typeddict-unknown-key]
    with pytest.raises(ConfigurationError, match="known are"):
        await client.cancel_many(where={"state": "RUN_STARTED"})
    with pytest.raises(ConfigurationError, match="expected an id, or a list of ids"):
        await client.cancel_many([7])  # type: ignore[list-item]
    with pytest.raises(ConfigurationError, match="one of RUN_STARTED"):
        await client.logs(state="RUN_RUNNING")


async def test_runs_are_listed_part_by_part_and_by_filters(world: ClientWorld) -> None:
    client = world.client
    for n in range(12):
        label = "even" if n % 2 == 0 else "odd"
        flow = FlowControl("tenant", parallelism=99) if n < 3 else None
        run = await client.trigger(
            world.work, n, label=label, flow_control=flow, workflow_run_id=f"r{n}"
        )
        await run.result()
    await client.trigger(world.other, workflow_run_id="other")

    seen: list[str] = []
    page = await client.logs(workflow=world.work, limit=5)
    while True:
        seen += [log.workflow_run_id for log in page]
        if page.cursor is None:
            break
        page = await client.logs(workflow=world.work, limit=5, cursor=page.cursor)
    assert seen == [f"wfr_r{n}" for n in reversed(range(12))]

    behind = await client.logs(workflow=world.work, before="wfr_r5", limit=3)
    assert [log.workflow_run_id for log in behind] == ["wfr_r4", "wfr_r3", "wfr_r2"]
    labelled = await client.logs(label="even", state="RUN_SUCCESS", limit=4)
    assert [log.workflow_run_id for log in labelled] == [f"wfr_r{n}" for n in (10, 8, 6, 4)]
    keyed = await client.logs(flow_control_key="tenant")
    assert [log.workflow_run_id for log in keyed] == ["wfr_r2", "wfr_r1", "wfr_r0"]
    address = urlsplit((await client.logs(label="even", limit=1))[0].workflow)
    caller = {"caller_ip": "127.0.0.1"} if address.netloc else {}
    whole = {"path": address.path, "host": address.netloc, **caller}
    assert len(await client.logs(**{n: v for n, v in whole.items() if v})) == 12
    for elsewhere in ({"path": "/x"}, {"host": "x.test"}, {"caller_ip": "203.0.113.9"}):
        assert await client.logs(**elsewhere) == []
    assert await client.logs(since=time.time() + 60) == []
    assert len(await client.logs(until=time.time() + 60)) == 13
    assert [log.state for log in await client.logs(state="RUN_STARTED")] == ["RUN_STARTED"]
    assert (await client.logs("wfr_r0"))[0].steps[0].name == "before"
    with pytest.raises(ConfigurationError, match="limit"):
        await client.logs(limit=0)


async def test_notify_looks_back_and_waiters_are_told(world: ClientWorld) -> None:
    client = world.client
    run = await client.trigger(world.work, "wait", workflow_run_id="patient")
    (waiter,) = await until(lambda: client.get_waiters("go"))
    assert waiter.workflow_run_id == run.run_id
    assert abs(waiter.deadline - time.time() - 3600) < 60
    assert [w.workflow_run_id for w in await client.notify("go", {"by": "me"})] == [run.run_id]
    assert await run.result() == {"by": "me"}

    later = await client.trigger(world.work, "wait", workflow_run_id="later", delay="1s")
    assert await client.notify("go", "early", workflow_run_id=later.run_id) == []
    assert await later.result() == "early"


# Dead letters.


async def failed(world: ClientWorld, name: str, **options: Any) -> str:
    run = await world.client.trigger(world.work, "fail", workflow_run_id=name, retries=0, **options)
    async with asyncio.timeout(20):
        while True:
            for letter in await world.client.dlq.list():
                its = letter.workflow_run_id == run.run_id
                if its and letter.failure_function_state == "CALLBACK_FAIL":
                    return letter.dlq_id
            await asyncio.sleep(0.02)


async def test_dead_letters_one_by_one(world: ClientWorld) -> None:
    client, dlq = world.client, world.client.dlq
    letter_id = await failed(world, "one", label="vip")
    letter = await dlq.get(letter_id)
    assert letter.failure["message"] == "no such order"
    assert letter.log.steps[0].name == "before"

    world.broken.clear()
    told = len(world.told)
    await dlq.retry_failure_function(letter_id)
    await until(lambda: _state(dlq, letter_id, "CALLBACK_SUCCESS"))
    assert len(world.told) == told + 1

    resumed = await dlq.resume(letter_id, retries=1, label="again")
    assert await resumed.result() == "fail"
    assert "again" in (await resumed.log()).labels
    with pytest.raises(NotFound):
        await dlq.get(letter_id)
    assert await client.handle("wfr_one").status() == "RUN_FAILED"


async def _state(dlq: Any, letter_id: str, state: str) -> bool:
    return (await dlq.get(letter_id)).failure_function_state == state


async def test_dead_letters_in_bulk_and_by_filter(world: ClientWorld) -> None:
    dlq = world.client.dlq
    ids = [await failed(world, f"f{n}", label="even" if n % 2 == 0 else "odd") for n in range(6)]

    first = await dlq.list(limit=4)
    rest = await dlq.list(limit=4, cursor=first.cursor)
    assert [letter.dlq_id for letter in [*first, *rest]] == ids[::-1]
    assert rest.cursor is None
    assert [letter.dlq_id for letter in await dlq.list(before=ids[2])] == ids[:2][::-1]
    assert len(await dlq.list(label="odd")) == 3
    assert len(await dlq.list(failure_function_state="CALLBACK_FAIL")) == 6
    assert await dlq.list(failure_function_state="CALLBACK_SUCCESS") == []
    assert await dlq.list(workflow=world.other) == []
    status = first[0].failure["status"]
    assert len(await dlq.list(response_status=status)) == 6
    assert await dlq.list(response_status=status + 1) == []
    over_http = bool(urlsplit(first[0].workflow).netloc)
    assert {letter.caller_ip for letter in first} == {"127.0.0.1" if over_http else None}
    assert await dlq.list(since=time.time() + 60) == []

    world.broken.clear()
    assert await dlq.delete_many([ids[0], "gone"]) == 1
    (resumed,) = await dlq.resume_many([ids[1]], retries=2)
    restarted = await dlq.restart_many(where={"label": "even"})
    assert len(restarted) == 2
    rest_of_all = await dlq.resume_many(all=True)
    assert len(rest_of_all) == 2
    for run in (resumed, *restarted, *rest_of_all):
        assert await run.result() == "fail"
    assert await dlq.list() == []
    assert await dlq.delete_many(all=True) == 0


# Messages and what rules them.


async def test_a_message_with_every_option(
    world: ClientWorld, endpoints: Endpoints, monkeypatch
) -> None:
    monkeypatch.setenv("TENANT", "acme")
    client = world.client
    (sent,) = await client.messages.publish(
        f"{endpoints.url}/hook?x=1",
        {"id": 1},
        headers={"X-Tenant": "acme", "X-Kind": "test"},
        method="PUT",
        retries=2,
        retry_delay="10 * (1 + retried)",
        timeout="30s",
        callback=f"{endpoints.url}/done",
        failure_callback=f"{endpoints.url}/failed",
        deduplication_id="only-once",
        flow_control=FlowControl("hooks", parallelism=5),
        label=["a", "b"],
    )
    await endpoints.until(2)
    method, target, headers, body = endpoints.seen[0]
    assert (method, target, body) == ("PUT", "/hook?x=1", b'{"id":1}')
    assert (headers["x-tenant"], headers["content-type"]) == ("acme", "application/json")
    assert endpoints.seen[1][:2] == ("POST", "/done")
    (again,) = await client.messages.publish(f"{endpoints.url}/hook", deduplication_id="only-once")
    assert again.deduplicated
    assert again.message_id == sent.message_id


async def test_messages_are_looked_at_and_cancelled(
    world: ClientWorld, endpoints: Endpoints
) -> None:
    messages = world.client.messages
    (sent,) = await messages.publish(
        endpoints.url, "text", delay="1h", label="slow", headers={"X-A": "b"}, retries=7
    )
    found = await messages.get(sent.message_id)
    assert (found.url, found.body, found.max_retries) == (endpoints.url, "text", 7)
    assert (found.labels, found.headers["X-A"]) == (("slow",), ["b"])
    assert found.not_before_at - found.created_at == 3_600_000
    await messages.cancel(sent.message_id)
    for verb in (messages.get, messages.cancel):
        with pytest.raises(NotFound, match="there is no") as refused:
            await verb("msg_nobody")
        assert refused.value.code == "WA611"

    for n in range(4):
        await messages.publish(endpoints.url, delay="1h", label=f"l{n % 2}")
    (one,) = await messages.publish(endpoints.url, delay="1h")
    assert await messages.cancel_many(where={"label": "l1"}) == 2
    assert await messages.cancel_many([one.message_id, "msg_x"]) == 1
    assert await messages.cancel_many(where={"url": "https://elsewhere.test"}) == 0
    assert await messages.cancel_many(all=True) == 2


async def test_json_batches_and_queues(world: ClientWorld, endpoints: Endpoints) -> None:
    client = world.client
    await client.messages.publish_json(f"{endpoints.url}/json", "text")
    await endpoints.until(1)
    assert endpoints.seen[0][3] == b'"text"'
    assert endpoints.seen[0][2]["content-type"] == "application/json"

    await client.queues.upsert("emails", parallelism=3)
    await client.queues.pause("emails")
    await client.messages.enqueue("emails", f"{endpoints.url}/queued", {"n": 1})
    made = await client.messages.batch(
        [
            {"destination": f"{endpoints.url}/one", "body": 1, "retries": 0},
            {"destination": f"{endpoints.url}/two", "queue": "emails"},
            {"destination": "no-such-group"},
        ]
    )
    assert [bool(one[0].error) for one in made] == [False, False, True]
    queue = await client.queues.get("emails")
    assert (queue.name, queue.parallelism, queue.paused, queue.lag) == ("emails", 3, True, 2)
    await client.queues.resume("emails")
    await endpoints.until(4)
    assert {seen[1] for seen in endpoints.seen} == {"/json", "/queued", "/one", "/two"}
    assert [one.name for one in await client.queues.list()] == ["emails"]
    await client.queues.delete("emails")
    assert await client.queues.list() == []
    with pytest.raises(NotFound):
        await client.queues.get("emails")
    with pytest.raises(ConfigurationError, match="did you mean 'retries'"):
        await client.messages.batch([{"destination": endpoints.url, "retrys": 1}])
    with pytest.raises(ConfigurationError, match="destination"):
        await client.messages.publish("not an address")


async def test_url_groups(world: ClientWorld, endpoints: Endpoints) -> None:
    client, groups = world.client, world.client.url_groups
    await groups.add_endpoints(
        "all", [f"{endpoints.url}/a", GroupEndpoint(f"{endpoints.url}/b", "second")]
    )
    group = await groups.get("all")
    assert [(end.url, end.name) for end in group.endpoints] == [
        (f"{endpoints.url}/a", None),
        (f"{endpoints.url}/b", "second"),
    ]
    sent = await client.messages.publish("all", "to both")
    assert {one.url for one in sent} == {f"{endpoints.url}/a", f"{endpoints.url}/b"}
    await endpoints.until(2)
    await groups.remove_endpoints("all", [f"{endpoints.url}/a"])
    assert len((await groups.list())[0].endpoints) == 1
    await groups.remove_endpoints("all", names=["second"])
    assert await groups.list() == []
    await groups.add_endpoints("all", [f"{endpoints.url}/a"])
    await groups.delete("all")
    with pytest.raises(NotFound):
        await groups.get("all")


async def test_schedules(world: ClientWorld, endpoints: Endpoints) -> None:
    client, schedules = world.client, world.client.schedules
    made = await schedules.create(
        f"{endpoints.url}/tick",
        {"daily": True},
        cron="CRON_TZ=Europe/Berlin 0 9 * * *",
        schedule_id="digest",
        queue="digests",
        headers={"X-Kind": "digest"},
        retries=1,
        delay="2m",
        timeout="30s",
        label="daily",
        callback=f"{endpoints.url}/done",
    )
    assert made == "digest"
    schedule = await schedules.get("digest")
    assert (schedule.cron, schedule.destination) == (
        "CRON_TZ=Europe/Berlin 0 9 * * *",
        f"{endpoints.url}/tick",
    )
    assert (schedule.retries, schedule.delay_ms, schedule.timeout_ms) == (1, 120_000, 30_000)
    assert (schedule.queue, schedule.labels, schedule.body) == (
        "digests",
        ("daily",),
        '{"daily":true}',
    )
    assert schedule.next_at is not None
    await schedules.pause("digest")
    assert (await schedules.get("digest")).paused
    await schedules.resume("digest")
    assert [one.paused for one in await schedules.list()] == [False]
    other = await schedules.create(endpoints.url, cron="* * * * *")
    assert other.startswith("scd_")
    assert len(await schedules.list()) == 2
    await schedules.delete("digest")
    with pytest.raises(NotFound):
        await schedules.get("digest")
    with pytest.raises(ConfigurationError, match="cron"):
        await client.schedules.create(endpoints.url, cron="every day")


async def test_flow_control(world: ClientWorld, endpoints: Endpoints) -> None:
    client, flow = world.client, world.client.flow_control
    await flow.pin("hooks", parallelism=2, rate=10, period="1m")
    key = await flow.get("hooks")
    assert (key.parallelism, key.rate, key.period_ms) == (2, 10, 60_000)
    assert key.pinned_parallelism
    assert key.pinned_rate
    await flow.pause("hooks")
    await client.messages.publish(endpoints.url, flow_control=FlowControl("hooks", parallelism=7))
    key = await until(lambda: _waiting(flow, "hooks"))
    assert (key.paused, key.parallelism, key.waiting) == (True, 2, 1)
    assert endpoints.seen == []
    await flow.resume("hooks")
    await endpoints.until(1)
    await flow.unpin("hooks", rate=False)
    key = await flow.get("hooks")
    assert (key.pinned_parallelism, key.pinned_rate) == (False, True)
    await flow.reset_rate("hooks")
    assert (await flow.get("hooks")).started == 0
    assert [one.key for one in await flow.list()] == ["hooks"]
    assert await flow.list("nothing") == []
    assert (await flow.global_parallelism()).most > 0
    with pytest.raises(NotFound):
        await flow.get("nobody")
    with pytest.raises(ConfigurationError):
        await flow.pin("hooks")


async def _waiting(flow: Any, name: str) -> Any:
    key = await flow.get(name)
    return key if key.waiting else None


async def test_signing_keys(world: ClientWorld) -> None:
    keys = world.client.keys
    if world.over == "process":
        for verb in (keys.get, keys.rotate):
            with pytest.raises(StateError, match="without a server"):
                await verb()
        return
    before = await keys.get()
    after = await keys.rotate()
    assert after.current == before.following
    assert (await keys.get()).following == after.following != before.following
    assert after.following not in repr(after)


async def test_secrets_are_looked_up_when_a_message_is_published(
    world: ClientWorld, endpoints: Endpoints, monkeypatch
) -> None:
    monkeypatch.setenv("HOOK_KEY", "very-secret")
    await world.client.messages.publish(
        endpoints.url, headers={"Authorization": Secret("HOOK_KEY", prefix="Bearer ")}
    )
    await endpoints.until(1)
    assert endpoints.seen[0][2]["authorization"] == "Bearer very-secret"
    with pytest.raises(ConfigurationError) as refused:
        await world.client.messages.publish(endpoints.url, headers={"X": Secret("NOT_SET")})
    assert refused.value.code == "WA109"


# Without await.


async def test_the_sync_face_does_the_same(world: ClientWorld, endpoints: Endpoints) -> None:
    def all_of_it() -> None:
        client = Client(world.client)
        (run,) = client.trigger_many([{"workflow": world.work, "body": 5}])
        assert run.result() == 5
        assert client.logs(workflow=world.work, limit=1).cursor is None
        client.trigger(world.work, "wait")
        assert client.cancel_many(where={"workflow": world.work}) == 1
        (sent,) = client.messages.publish_json(endpoints.url, None, delay="1h")
        assert client.messages.get(sent.message_id).body == "null"
        assert client.messages.cancel_many(all=True) == 1
        client.queues.upsert("q")
        assert client.queues.get("q").parallelism == 1
        client.url_groups.add_endpoints("g", [endpoints.url])
        assert client.url_groups.get("g").name == "g"
        made = client.schedules.create(endpoints.url, cron="0 0 1 1 *")
        client.schedules.pause(made)
        assert client.schedules.list()[0].paused
        client.flow_control.pin("k", rate=1)
        assert client.flow_control.list()[0].rate == 1
        assert client.dlq.delete_many(all=True) == 0
        assert client.dlq.list() == []
        client.close()

    await asyncio.to_thread(all_of_it)
