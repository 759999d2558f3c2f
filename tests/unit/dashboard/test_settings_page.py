"""The page of settings shows what counts, and no secret."""

import json

import httpx2
import pytest

from workflow_agents.dashboard.settings_page import masked, of_environment, without_password
from workflow_agents.dashboard.site import Dashboard
from workflow_agents.server.app import _told_of
from workflow_agents.server.settings import Account, ServerSettings, digest_of
from workflow_agents.testing import WorkflowEnvironment

SECRET = "sk-0123456789-abcdefghij-WXYZ"


def test_secrets_are_masked_and_short_ones_whole() -> None:
    assert masked(SECRET) == "…WXYZ"
    assert masked("short-password") == "…"
    assert without_password("http://me:s3cret@proxy:8080/v1") == "http://…@proxy:8080/v1"
    assert without_password("http://[broken") == "…"
    assert without_password("/var/lib/runs.db") == "/var/lib/runs.db"


def test_variables_are_told_as_far_as_they_are_set() -> None:
    given = {
        "OPENAI_API_KEY": SECRET,
        "QSTASH_URL": "http://127.0.0.1:8080",
        "QSTASH_TOKEN": "",
        "HOME": "/root",
    }
    told = of_environment(given)
    assert told == [["QSTASH_URL", "http://127.0.0.1:8080"], ["OPENAI_API_KEY", "…WXYZ"]]


async def test_what_is_told_of_a_server_has_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    account = Account("ada", digest_of(SECRET))
    server = _told_of(ServerSettings(accounts=(account,), rate=5.0))
    async with WorkflowEnvironment() as env:
        transport = httpx2.ASGITransport(Dashboard(env.engine, server=server))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
            answer = await http.get("/api/settings")
    told = answer.json()
    assert ["accounts", ["ada (admin)"]] in told["server"]
    assert ["steps", 100_000, 100_000] in told["limits"]
    assert told["store"] == {"path": ":memory:", "bytes": None}
    assert told["retentionMs"] is None
    assert SECRET[:10] not in json.dumps(told)
    assert account.digest.hex() not in json.dumps(told)
