"""URL groups: one publish, a message for each endpoint, all or none."""

from pathlib import Path

import pytest

from tests.journeys.message_world import World, open_shop
from workflow_agents.errors import ConfigurationError, NotFound
from workflow_agents.store.resource_rows import EndpointRow


@pytest.fixture
def world() -> World:
    return World()


def ends(*names: str) -> list[EndpointRow]:
    return [EndpointRow(f"https://a.test/{name}", name) for name in names]


async def test_each_endpoint_gets_a_message(tmp_path: Path, world: World) -> None:
    async with open_shop(tmp_path, world) as shop:
        await shop.wire.url_groups.put_endpoints("news", [*ends("a", "b")])
        taken = await shop.publish_group("news", "hi", upstash_callback="https://a.test/told")
        await shop.until(lambda: len(world.seen) == 4)
        await shop.at_rest()
        assert [one.url for one in taken] == ["https://a.test/a", "https://a.test/b"]
        assert len({one.message for one in taken}) == 2
    sent = [r for r in world.seen if "told" not in r.url]
    assert {r.headers["Upstash-Topic-Name"] for r in sent} == {"news"}
    told = [r.body for r in world.seen if "told" in r.url]
    assert all(b'"topicName":"news"' in body for body in told)
    assert b'"endpointName":"a"' in told[0] + told[1]


async def test_a_group_publish_is_deduplicated_as_one(tmp_path: Path, world: World) -> None:
    async with open_shop(tmp_path, world) as shop:
        groups = shop.wire.url_groups
        await groups.put_endpoints("news", ends("a", "b"))
        first = await shop.publish_group("news", upstash_deduplication_id="one")
        await groups.put_endpoints("news", ends("c"))
        second = await shop.publish_group("news", upstash_deduplication_id="one")
        await shop.at_rest()
        assert [one.message for one in second] == [one.message for one in first]
        assert all(one.deduplicated for one in second)
        assert not any(one.deduplicated for one in first)
        assert sorted(world.urls) == ["a", "b"]
        await shop.pass_time(10 * 60_000)
        third = await shop.publish_group("news", upstash_deduplication_id="one")
        assert len(third) == 3
        await shop.at_rest()


async def test_endpoints_are_told_apart_by_url_and_by_name(tmp_path: Path, world: World) -> None:
    async with open_shop(tmp_path, world) as shop:
        groups = shop.wire.url_groups
        await groups.put_endpoints("g", [EndpointRow("https://a.test/1", None), *ends("b", "c")])
        made = groups.get("g")
        await shop.pass_time(1_000)
        await groups.put_endpoints("g", [EndpointRow("https://a.test/other", "b")])
        now = groups.get("g")
        assert [(e.url[15:], e.name) for e in now.endpoints] == [
            ("1", None),
            ("c", "c"),
            ("other", "b"),
        ]
        assert (now.created_at, now.updated_at) == (made.created_at, made.created_at + 1_000)
        await groups.remove_endpoints("g", ["https://a.test/1"], ["c"])
        assert [e.name for e in groups.get("g").endpoints] == ["b"]
        await groups.remove_endpoints("g", [], ["b"])
        assert groups.all() == []


async def test_what_is_refused(tmp_path: Path, world: World) -> None:
    async with open_shop(tmp_path, world) as shop:
        groups = shop.wire.url_groups
        with pytest.raises(NotFound):
            await shop.publish_group("none")
        with pytest.raises(NotFound):
            await groups.delete("none")
        with pytest.raises(NotFound):
            await groups.remove_endpoints("none", ["https://a.test/1"], [])
        for name, url in (("a b", "https://a.test/"), ("g", "ftp://a.test/")):
            with pytest.raises(ConfigurationError):
                await groups.put_endpoints(name, [EndpointRow(url, None)])
        await groups.put_endpoints("g", ends("a"))
        await groups.delete("g")
        with pytest.raises(NotFound):
            groups.get("g")


async def test_a_group_may_go_through_a_queue(tmp_path: Path, world: World) -> None:
    async with open_shop(tmp_path, world) as shop:
        await shop.wire.url_groups.put_endpoints("news", ends("a", "b", "c"))
        await shop.publish_group("news", upstash_queue_name="q")
        await shop.until(lambda: len(world.seen) == 3)
        await shop.at_rest()
    assert world.urls == ["a", "b", "c"]
    assert world.most_at_once == 1
