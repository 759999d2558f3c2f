"""The signing keys of a server last, rotate, and lie in the store in no readable form."""

from pathlib import Path

import pytest

from tests.unit.server.conftest import Site, serving
from workflow_agents.errors import StoreError
from workflow_agents.protocol.signature import SigningKeys
from workflow_agents.server.settings import DEV_KEYS


async def test_the_keys_of_a_developers_server_are_the_documented_ones(site: Site) -> None:
    """A client in its own dev mode looks for exactly these. Source: protocol 9."""
    assert (await site.ask("GET", "/v2/keys")).json == {
        "current": "sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r",
        "next": "sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs",
    }


async def test_rotation_moves_the_next_key_up(site: Site) -> None:
    rotated = (await site.ask("POST", "/v2/keys/rotate")).json
    assert rotated["current"] == DEV_KEYS.following
    assert rotated["next"].startswith("sig_")
    assert rotated["next"] not in {DEV_KEYS.current, DEV_KEYS.following}
    assert (await site.ask("GET", "/v2/keys")).json == rotated
    assert site.engine.wire.signing == SigningKeys(rotated["current"], rotated["next"])


async def test_made_keys_last_and_are_sealed(tmp_path: Path) -> None:
    path = tmp_path / "server.db"
    async with serving(path) as site:
        made = await site.engine.wire.credentials.load_keys()
        assert len({made.current, made.following}) == 2
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("server.db*"))
    assert made.current.encode() not in stored
    async with serving(path) as site:
        assert await site.engine.wire.credentials.load_keys() == made


@pytest.mark.parametrize("times", [1, 2, 5])
async def test_given_keys_that_were_rotated_stay_rotated(tmp_path: Path, times: int) -> None:
    path, given = tmp_path / "server.db", SigningKeys("sig_a" * 9, "sig_b" * 9)
    async with serving(path) as site:
        await site.engine.wire.credentials.load_keys(given)
        for _ in range(times):
            rotated = await site.engine.wire.credentials.rotate()
    async with serving(path) as site:
        assert await site.engine.wire.credentials.load_keys(given) == rotated
        other = SigningKeys("sig_c" * 9, "sig_d" * 9)
        assert await site.engine.wire.credentials.load_keys(other) == other


async def test_without_the_key_of_the_store_the_keys_stay_shut(tmp_path: Path) -> None:
    path = tmp_path / "server.db"
    async with serving(path) as site:
        await site.engine.wire.credentials.load_keys()
    (tmp_path / "server.db.key").unlink()
    async with serving(path) as site:
        with pytest.raises(StoreError) as told:
            await site.engine.wire.credentials.load_keys()
    assert told.value.code == "WA401"


async def test_a_token_is_known_again_by_its_hash(tmp_path: Path) -> None:
    path = tmp_path / "server.db"
    async with serving(path) as site:
        assert site.engine.wire.credentials.token() is None
        await site.engine.wire.credentials.keep_token("user", b"\x01" * 32)
    async with serving(path) as site:
        assert site.engine.wire.credentials.token() == ("user", b"\x01" * 32)
