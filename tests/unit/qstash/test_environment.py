"""Which server the environment names."""

from typing import Any

import pytest

from workflow_agents import AsyncClient, ConfigurationError
from workflow_agents.protocol.dev_credentials import DEV_KEYS, DEV_TOKEN
from workflow_agents.qstash.connection import connection_from
from workflow_agents.qstash.environment import dev_port, region_of, server_variables
from workflow_agents.serve.signatures import keys_of

PLAIN = {
    "QSTASH_URL": "http://one.test",
    "QSTASH_TOKEN": "one",
    "QSTASH_CURRENT_SIGNING_KEY": "sig_a",
    "QSTASH_NEXT_SIGNING_KEY": "sig_b",
}
REGION = {f"US_EAST_1_{name}": f"{value}-us" for name, value in PLAIN.items()}


def test_by_itself() -> None:
    assert server_variables(PLAIN) == PLAIN
    assert server_variables({"QSTASH_TOKEN": ""}) == {}
    assert connection_from({}) is None


@pytest.mark.parametrize("region", ["US_EAST_1", "us-east-1", "Us-East_1"])
def test_for_a_region(region: str) -> None:
    env = {**PLAIN, **REGION, "QSTASH_REGION": region}
    assert region_of(env) == "US_EAST_1"
    assert server_variables(env) == {name: f"{value}-us" for name, value in PLAIN.items()}
    connection = connection_from(env)
    assert connection is not None
    assert (connection.token, connection.base_url) == ("one-us", "http://one.test-us")
    keys = keys_of(env)
    assert keys is not None
    assert keys.current == "sig_a-us"


@pytest.mark.parametrize("said", ["true", "1", "TRUE "])
def test_for_development(said: str) -> None:
    env = {**PLAIN, "QSTASH_DEV": said, "QSTASH_DEV_PORT": "8123"}
    assert dev_port(env) == 8123
    told = server_variables(env)
    assert (told["QSTASH_URL"], told["QSTASH_TOKEN"]) == ("http://127.0.0.1:8123", DEV_TOKEN)
    assert keys_of(env) == DEV_KEYS


@pytest.mark.parametrize("said", ["", "0", "false", "False"])
def test_not_for_development(said: str) -> None:
    assert dev_port({"QSTASH_DEV": said}) is None


@pytest.mark.parametrize(
    ("env", "code"),
    [
        ({"QSTASH_DEV": "yes"}, "WA102"),
        ({"QSTASH_DEV": "1", "QSTASH_DEV_PORT": "0"}, "WA102"),
        ({"QSTASH_REGION": "MOON"}, "WA102"),
        ({**PLAIN, "QSTASH_REGION": "US_EAST_1"}, "WA106"),
        ({"QSTASH_URL": "http://one.test"}, "WA106"),
    ],
)
def test_what_cannot_be_used(env: dict[str, str], code: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        connection_from(env)
    assert refused.value.code == code


async def test_a_client_takes_what_the_environment_names(monkeypatch: Any) -> None:
    for name, value in {**REGION, "QSTASH_REGION": "US_EAST_1"}.items():
        monkeypatch.setenv(name, value)
    async with AsyncClient() as client:
        assert client._backend._connection.token == "one-us"  # type: ignore[attr-defined]
    async with AsyncClient("own") as client:
        connection = client._backend._connection  # type: ignore[attr-defined]
        assert (connection.token, connection.base_url) == ("own", "http://one.test-us")
