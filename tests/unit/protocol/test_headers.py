"""Which headers carry credentials."""

import pytest

from workflow_agents.protocol.headers import is_sensitive


@pytest.mark.parametrize("name", ["Authorization", "x-api-key", "Upstash-Signature", "Set-Cookie"])
def test_what_sounds_like_a_credential_is_one(name: str) -> None:
    assert is_sensitive(name)


@pytest.mark.parametrize(
    "name", ["Content-Type", "Upstash-Flow-Control-Key", "upstash-callback-flow-control-key"]
)
def test_a_name_of_a_limit_is_no_secret(name: str) -> None:
    assert not is_sensitive(name)
