"""A provider allows so many requests a minute: nobody fails for it, and nobody waits in memory.

Most of it happens in virtual time, at a provider that counts what arrives; the rest on real
sockets, with a limit of 20 in 2 seconds.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from workflow_agents import AsyncWorkflowContext, ConfigurationError, Engine, FlowControl
from workflow_agents.engine import dispatcher
from workflow_agents.engine.http_out import HttpRequest, HttpResponse
from workflow_agents.testing.virtual_time import VirtualClock, VirtualTime, run_virtually

MINUTE_MS = 60_000
_REFUSAL_S = 0.05
JSON = {"content-type": ["application/json"]}


class Account:
    """An account at a provider: `rate` requests pass in any window of `period_ms`.

    A request arrives up to `jitter_ms` after it was sent, and is answered `takes_ms` later.

    Attributes:
        arrived: when requests arrived, in order, those that were refused too.
        passed: when those arrived that were not refused.
    """

    def __init__(
        self,
        time: VirtualTime,
        *,
        rate: int = 60,
        period_ms: int = MINUTE_MS,
        jitter_ms: int = 0,
        takes_ms: int = 700,
        tells: bool = True,
    ) -> None:
        self.arrived: list[float] = []
        self.passed: list[float] = []
        self.always: HttpResponse | None = None
        self._time = time
        self._rate = rate
        self._period_ms = period_ms
        self._jitter_ms = jitter_ms
        self._takes_ms = takes_ms
        self._tells = tells
        self._random = random.Random(1)

    async def send(self, request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(self._random.uniform(0, self._jitter_ms) / 1000)
        now = self._time.ms
        self.arrived.append(now)
        if self.always is not None:
            return self.always
        within = [at for at in self.passed if at > now - self._period_ms]
        if len(within) >= self._rate:
            after = {"retry-after": [f"{(within[0] + self._period_ms - now) / 1000:.3f}"]}
            await asyncio.sleep(_REFUSAL_S)
            return HttpResponse(429, after if self._tells else {}, b"slow down")
        self.passed.append(now)
        await asyncio.sleep(self._takes_ms / 1000)
        return HttpResponse(200, JSON, b'{"ok": true}')

    async def close(self) -> None:
        pass

    @property
    def refused(self) -> int:
        return len(self.arrived) - len(self.passed)

    def most_in_a_window(self) -> int:
        """How many arrived at most in any window, refused or not."""
        at = self.arrived
        return max(sum(t - self._period_ms < other <= t for other in at) for t in at)


def asking(account: Account, time: VirtualTime, path: str = ":memory:", **call: Any) -> Engine:
    """An engine with "/ask", which makes one request to the account."""
    engine = Engine(path, clock=VirtualClock(time), http=account, seed=1, keep=0)
    call = {"pause_key": "account"} | call

    @engine.workflow("/ask")
    async def ask(context: AsyncWorkflowContext[Any]) -> Any:
        key = context.request_payload or call["pause_key"]
        answer = await context.call("ask", url="http://provider/", **{**call, "pause_key": key})
        answer.raise_for_status()
        return answer.body

    return engine


async def begun(engine: Engine, count: int, body: Any = None) -> list[Any]:
    return [await engine.client.trigger("/ask", body) for _ in range(count)]


async def all_succeed(runs: list[Any]) -> None:
    for run in runs:
        assert await run.result() == {"ok": True}


def virtually(story: Callable[[VirtualTime], Coroutine[Any, Any, None]]) -> None:
    time = VirtualTime()
    with pytest.MonkeyPatch.context() as patch:
        # This clock does not step, and to look at it once a second for a day takes seconds.
        patch.setattr(dispatcher, "_POLL_S", 60.0)
        run_virtually(story(time), time)


async def reach(time: VirtualTime, ms: float) -> None:
    await asyncio.sleep(max(0.0, (ms - time.ms) / 1000))


# A limit that is known.


def test_with_flow_control_the_limit_is_never_exceeded_in_any_window() -> None:
    async def story(time: VirtualTime) -> None:
        account = Account(time, jitter_ms=1_000)
        limit = FlowControl("account", rate=60, period=60)
        async with asking(account, time, flow_control=limit) as engine:
            await all_succeed(await begun(engine, 200))
        assert account.most_in_a_window() <= 60
        assert (len(account.passed), account.refused) == (200, 0)
        assert time.ms < 3 * MINUTE_MS + 10_000

    virtually(story)


# A limit that the provider tells of, by refusing.


@pytest.mark.parametrize("tells", [True, False], ids=["Retry-After", "no header"])
def test_without_flow_control_a_refusal_is_a_wait_that_all_share(tells: bool) -> None:
    async def story(time: VirtualTime) -> None:
        account = Account(time, tells=tells)
        async with asking(account, time) as engine:
            idle = len(asyncio.all_tasks())
            runs = await begun(engine, 200)
            await reach(time, 30_000)
            if tells:
                # 60 have passed; the rest are rows until the minute is over.
                assert len(account.passed) == 60
                assert 61 <= len(account.arrived) <= 200
                assert engine.core.live == {}
                assert len(asyncio.all_tasks()) == idle
            await all_succeed(runs)
        # The rush at first, before anybody could know; then no more than pass.
        assert account.refused <= 140 + (90 if tells else 150)
        assert time.ms < (4 if tells else 6) * MINUTE_MS

    virtually(story)


def test_two_processes_share_an_account_and_each_respects_its_pauses() -> None:
    async def story(time: VirtualTime) -> None:
        account = Account(time)
        async with asking(account, time) as one, asking(account, time) as two:
            runs = await begun(one, 100) + await begun(two, 100)
            await all_succeed(runs)
        assert len(account.passed) == 200
        assert account.refused <= 140 + 120
        assert time.ms < 6 * MINUTE_MS

    virtually(story)


def test_nobody_asks_while_the_key_is_paused() -> None:
    async def story(time: VirtualTime) -> None:
        account = Account(time, rate=1)
        async with asking(account, time) as engine:
            await all_succeed(await begun(engine, 1))
            refused = await begun(engine, 1)
            await reach(time, 5_000)
            assert len(account.arrived) == 2
            others = await begun(engine, 20)  # these come while it is paused
            await reach(time, MINUTE_MS - 1)
            assert len(account.arrived) == 2
            await reach(time, MINUTE_MS + 500)
            assert len(account.arrived) == 3  # one by one
            await all_succeed(refused + others)
        # Each minute one passes, and the two that come next are refused.
        assert account.refused <= 2 * 21

    virtually(story)


def test_the_feed_tells_of_the_wait() -> None:
    async def story(time: VirtualTime) -> None:
        account = Account(time, rate=1)
        async with asking(account, time, retries=0) as engine:
            await all_succeed(await begun(engine, 1))
            [refused] = await begun(engine, 1)
            await reach(time, 5_000)
            [held] = await begun(engine, 1)
            await all_succeed([refused, held])
            told = [e async for e in refused.feed() if e.kind == "STEP_RETRY"]
            assert told[0].data["status"] == 429
            assert told[0].data["pauseKey"] == "account"
            assert 55_000 < told[0].data["until"] - told[0].at <= MINUTE_MS
            waits = [e async for e in held.feed() if e.kind == "STEP_WAITING"]
            assert [e.data.get("pauseKey") for e in waits] == [None, "account"]
            assert waits[1].data["until"] == told[0].data["until"]
            # Nobody has failed.
            for run in (refused, held):
                assert [step.retries for step in (await run.log()).steps] == [0]

    virtually(story)


def test_keys_do_not_hold_each_other() -> None:
    async def story(time: VirtualTime) -> None:
        account = Account(time, rate=1)
        async with asking(account, time) as engine:
            await all_succeed(await begun(engine, 1))
            waits = await begun(engine, 1)
            await reach(time, 5_000)
            account.passed.clear()
            await all_succeed(await begun(engine, 1, "another account"))
            assert time.ms < 10_000
            await all_succeed(waits)
            assert time.ms >= MINUTE_MS

    virtually(story)


def test_other_failures_are_retried_by_the_policy_and_hold_nobody() -> None:
    async def story(time: VirtualTime) -> None:
        account = Account(time)
        account.always = HttpResponse(503, {}, b"broken")
        async with asking(account, time, retries=1, retry_delay="1000") as engine:

            @engine.workflow("/status")
            async def status(context: AsyncWorkflowContext[Any]) -> int:
                answer = await context.call(
                    "ask", url="http://provider/", pause_key="account", retries=1, retry_delay="9"
                )
                return answer.status

            assert await (await engine.client.trigger(status)).result() == 503
            assert len(account.arrived) == 2
            account.always = HttpResponse(429, {}, b'{"error": {"code": "insufficient_quota"}}')
            assert await (await engine.client.trigger(status)).result() == 429
            assert len(account.arrived) == 4
            account.always = HttpResponse(529, {"retry-after": ["7"]}, b"overloaded")
            run = await engine.client.trigger(status)
            began = time.ms
            await reach(time, began + 6_000)
            assert len(account.arrived) == 5
            account.always = None
            assert await run.result() == 200

    virtually(story)


def test_a_request_that_is_refused_for_a_day_has_failed() -> None:
    async def story(time: VirtualTime) -> None:
        account = Account(time)
        account.always = HttpResponse(429, {"retry-after": ["3600"]}, b"no")
        async with asking(account, time) as engine:

            @engine.workflow("/status")
            async def status(context: AsyncWorkflowContext[Any]) -> int:
                return (await context.call("a", url="http://p/", pause_key="account")).status

            assert await (await engine.client.trigger(status)).result() == 429
            assert 23.9 < time.ms / 3_600_000 < 25.1
            assert len(account.arrived) == 25

    virtually(story)


def test_a_pause_outlives_the_process(tmp_path: Path) -> None:
    async def story(time: VirtualTime) -> None:
        account = Account(time, rate=1)
        path = str(tmp_path / "x.db")
        async with asking(account, time, path) as engine:
            await all_succeed(await begun(engine, 1))
            runs = await begun(engine, 5)
            await reach(time, 5_000)
        before = len(account.arrived)
        async with asking(account, time, path) as engine:
            more = await begun(engine, 5)
            await reach(time, MINUTE_MS - 1)
            assert len(account.arrived) == before
            await all_succeed([engine.client.handle(run.run_id) for run in runs] + more)

    virtually(story)


def test_a_run_that_is_cancelled_in_its_turn_lets_the_next_have_it() -> None:
    async def story(time: VirtualTime) -> None:
        account = Account(time, rate=1, takes_ms=20_000)
        async with asking(account, time) as engine:
            first = await begun(engine, 1)
            await reach(time, 1_000)
            turn, follows, last = await begun(engine, 3)
            await reach(time, MINUTE_MS + 5_000)
            arrived = len(account.arrived)
            account.passed.clear()
            await reach(time, MINUTE_MS + 10_000)
            assert len(account.arrived) == arrived  # the others wait for their turn

            await turn.cancel()
            await reach(time, MINUTE_MS + 10_001)
            assert len(account.arrived) == arrived + 1
            await all_succeed([*first, follows, last])

    virtually(story)


@pytest.mark.parametrize("key", ["", "x" * 257, 7, "\ud800"])
async def test_keys_that_cannot_be_used(key: Any, tmp_path: Path) -> None:
    engine = Engine(str(tmp_path / "x.db"))

    @engine.workflow("/ask", retries=0)
    async def ask(context: AsyncWorkflowContext[Any]) -> str:
        with pytest.raises(ConfigurationError, match="WA102"):
            await context.call("a", url="http://p/", pause_key=key)
        with pytest.raises(ConfigurationError, match="anthropic"):
            await context.call("a", url="http://p/", stream=key)  # type: ignore[arg-type]
        return await context.run("done", lambda: "ok")

    async with engine:
        assert await (await engine.client.trigger(ask)).result() == "ok"


# On real sockets.


class LimitedServer:
    """20 requests in 2 seconds pass; counts when requests arrive on its socket."""

    RATE, PERIOD_S = 20, 2.0

    def __init__(self) -> None:
        self.arrived: list[float] = []
        self.passed: list[float] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(self._reply(asyncio.get_running_loop().time()))
                await writer.drain()
        writer.close()

    def _reply(self, now: float) -> bytes:
        self.arrived.append(now)
        within = [at for at in self.passed if at > now - self.PERIOD_S]
        if len(within) >= self.RATE:
            after = within[0] + self.PERIOD_S - now
            return b"HTTP/1.1 429 No\r\nretry-after: %.3f\r\ncontent-length: 0\r\n\r\n" % after
        self.passed.append(now)
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
        return head + b'content-length: 12\r\n\r\n{"ok": true}'


@pytest.fixture
async def server() -> AsyncIterator[tuple[LimitedServer, str]]:
    limited = LimitedServer()
    listening = await asyncio.start_server(limited.answer, "127.0.0.1", 0)
    async with listening:
        yield limited, f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"


@pytest.mark.parametrize("limited", [True, False], ids=["flow control", "refusals only"])
async def test_on_real_sockets(
    server: tuple[LimitedServer, str], tmp_path: Path, limited: bool
) -> None:
    counts, url = server
    engine = Engine(str(tmp_path / "x.db"), synchronous="OFF", keep=0)
    flow = FlowControl("account", rate=20, period=2) if limited else None

    @engine.workflow("/ask")
    async def ask(context: AsyncWorkflowContext[Any]) -> int:
        answer = await context.call("a", url=url, pause_key="account", flow_control=flow)
        return answer.status

    async with engine, asyncio.timeout(60):
        runs = [await engine.client.trigger(ask) for _ in range(60)]
        assert [await run.result() for run in runs] == [200] * 60
    refused = len(counts.arrived) - len(counts.passed)
    # Where the machine is busy, requests are late by more than the margin: refused, not failed.
    assert refused <= (5 if limited else 40 + 40)
