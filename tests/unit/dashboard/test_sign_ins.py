"""Who fails to sign in too often waits; everybody else does not."""

import httpx2

from workflow_agents.dashboard.sign_ins import MOST, WINDOW_MS, SignIns
from workflow_agents.dashboard.site import Dashboard
from workflow_agents.testing import WorkflowEnvironment

TOKEN = "t" * 32


def test_a_few_failures_of_an_address_are_enough_for_a_minute() -> None:
    rule = SignIns()
    for second in range(MOST):
        assert rule.wait_of("a", second * 1_000) == 0
        rule.failed("a", second * 1_000)
    assert rule.wait_of("a", 5_000) == 55
    assert rule.wait_of("b", 5_000) == 0
    assert rule.wait_of("a", WINDOW_MS - 1) == 1
    # The first is forgotten: one more may be tried, and no two.
    assert rule.wait_of("a", WINDOW_MS) == 0
    rule.failed("a", WINDOW_MS)
    assert rule.wait_of("a", WINDOW_MS) == 1
    assert rule.wait_of("a", 10 * WINDOW_MS) == 0


def test_few_addresses_are_kept() -> None:
    rule = SignIns()
    for number in range(10_500):
        rule.failed(str(number), 0)
    assert len(rule._failed) == 10_000


async def test_the_dashboard_says_when_to_try_again() -> None:
    async with WorkflowEnvironment() as env:
        app = Dashboard(env.engine, token=TOKEN)

        async def sign_in(token: str, client: str = "10.0.0.1") -> httpx2.Response:
            transport = httpx2.ASGITransport(app, client=(client, 1))
            async with httpx2.AsyncClient(transport=transport, base_url="http://app") as http:
                return await http.post("/api/session", json={"token": token})

        for _ in range(MOST):
            assert (await sign_in("guessed")).status_code == 401
        # Not even the right one is looked at, so that nobody learns which it is.
        for token in ("guessed", TOKEN):
            answer = await sign_in(token)
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
            assert answer.json()["error"].endswith("try again in 60 s")
        assert (await sign_in(TOKEN, "10.0.0.2")).status_code == 200
        await env.advance("1m")
        assert (await sign_in(TOKEN)).status_code == 200
