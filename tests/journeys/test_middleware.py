"""Middlewares of a FastAPI app: what they are told, and when; they never change a run."""

import asyncio
from collections import Counter
from copy import deepcopy
from typing import Any

import pytest

from workflow_agents import (
    AsyncWorkflowContext,
    StepFailed,
    WorkflowContext,
    WorkflowMiddleware,
    WorkflowNonRetryableError,
)
from workflow_agents.testing import crash_everywhere

Context = AsyncWorkflowContext[Any]
STEPS = ("run_started", "before_execution", "after_execution", "run_completed")


class Ears:
    """A middleware that writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

        def hear(event: Any) -> None:
            named = [
                deepcopy(getattr(event, n)) for n in ("step_name", "result") if hasattr(event, n)
            ]
            told = [getattr(event, n) for n in ("error", "warning", "info") if hasattr(event, n)]
            self.heard.append((event.callback, *named, *map(str, told)))

        async def listen(event: Any) -> None:
            hear(event)

        names: list[Any] = [*STEPS, "on_error", "on_warning", "on_info"]
        self.middleware = WorkflowMiddleware("ears", callbacks=dict.fromkeys(names, listen))  # type: ignore[arg-type]

    def of(self, *callbacks: str) -> list[tuple[Any, ...]]:
        return [told for told in self.heard if told[0] in callbacks]


@pytest.fixture
def ears() -> Ears:
    return Ears()


async def test_a_run_tells_of_itself_and_of_each_step_once(site, serve, ears) -> None:
    @serve.post("/order", middlewares=[ears.middleware])
    async def order(context: Context) -> dict:
        price = await context.run("price", lambda: {"eur": context.request_payload})
        await context.sleep("nap", "1d")
        paid = await context.wait_for_event("payment", "paid", timeout="3d")
        return {"price": price, "paid": paid.event_data}

    run = await site.trigger("/order", 30)
    await site.sleeps(run, "nap")
    site.pass_time("1d")
    await site.waits(run, "payment")
    await site.client.notify("paid", "by card")
    log = await site.ended(run)

    assert log.result == {"price": {"eur": 30}, "paid": "by card"}
    told = ears.of(*STEPS)
    [waited] = [entry[2] for entry in told if entry[:2] == ("after_execution", "payment")]
    assert waited.event_data == "by card"
    assert [entry[:2] for entry in told] == [
        ("run_started",),
        ("before_execution", "price"),
        ("after_execution", "price"),
        ("before_execution", "nap"),
        ("after_execution", "nap"),
        ("before_execution", "payment"),
        ("after_execution", "payment"),
        ("run_completed", log.result),
    ]
    assert ("on_info", "step 'nap' is handed over: sleep") in ears.heard
    assert not ears.of("on_error", "on_warning")


async def test_branches_are_told_of_once_each(site, serve, ears) -> None:
    @serve.post("/both", middlewares=[ears.middleware])
    async def both(context: Context) -> Any:
        await asyncio.gather(context.sleep("short", "1h"), context.sleep("long", "5d"))
        return await asyncio.gather(*(context.run(f"r{n}", lambda n=n: n) for n in range(3)))

    run = await site.trigger("/both")
    await site.sleeps(run, "short")
    await site.sleeps(run, "long")
    site.pass_time("1h")
    await site.told(run, "STEP_SUCCESS", "short")
    await site.parked()
    site.pass_time("5d")
    assert (await site.ended(run)).result == [0, 1, 2]
    assert {*Counter(ears.of("before_execution", "after_execution")).values()} == {1}
    assert len(ears.of("after_execution")) == 5


async def test_errors_and_warnings(site, serve, ears) -> None:
    tries = iter([ValueError("at first"), None])

    def body() -> str:
        if (error := next(tries)) is not None:
            raise error
        return "well"

    def refuse() -> None:
        raise WorkflowNonRetryableError("never")

    @serve.post("/fails", middlewares=[ears.middleware], retries=1, retry_delay="1000")
    async def fails(context: Context) -> None:
        await context.run("again", body)
        try:
            await context.run("never", refuse)
        except StepFailed:
            raise LookupError("what now") from None

    run = await site.trigger("/fails")
    await site.told(run, "STEP_RETRY", "again")
    site.pass_time("1s")
    await site.told(run, "RUN_RETRY")
    site.pass_time("1s")
    log = await site.ended(run)

    assert log.state == "RUN_FAILED"
    names = [entry[1] for entry in ears.of("before_execution")]
    assert names == ["again", "again", "never"], "each execution is told of"
    assert [e[1] for e in ears.of("after_execution")] == ["again"]
    errors = [entry[1] for entry in ears.of("on_error")]
    assert errors == ["at first", "never", "what now", "what now"]
    assert ears.of("on_warning") == [
        ("on_warning", "step 'again': attempt 1 failed; tried again in 1000 ms")
    ]
    assert not ears.of("run_completed")


async def test_what_a_middleware_does_is_of_no_effect_on_the_run(site, serve, ears) -> None:
    asked: list[Any] = []

    async def spoil(event: Any) -> None:
        event.result["n"] = 99
        raise RuntimeError("spoiled")

    async def ask(event: Any) -> None:
        asked.append(event.context.request_payload)
        await event.context.run("own step", lambda: 1)

    spoils = WorkflowMiddleware(
        "spoils", callbacks={"after_execution": spoil, "run_completed": spoil, "run_started": ask}
    )

    @serve.post("/calm", middlewares=[ears.middleware, spoils])
    def calm(context: WorkflowContext[Any]) -> dict:
        return context.run("step", lambda: {"n": context.request_payload})

    log = await site.run("/calm", 1)
    assert log.result == {"n": 1}
    assert [step.name for step in log.steps if step.name != "init"] == ["step"]
    assert asked == [1]
    errors = [entry[1] for entry in ears.of("on_error")]
    assert "WA208" in errors[0]
    assert errors[1:] == ["spoiled", "spoiled"]
    assert ears.of("run_completed") == [("run_completed", {"n": 1})]


async def test_a_request_that_is_refused_starts_no_run(site, serve, ears) -> None:
    @serve.post("/only", middlewares=[ears.middleware])
    async def only(context: AsyncWorkflowContext[int]) -> None:
        if context.request_payload != "known":
            return
        await context.run("step", lambda: 1)

    assert (await site.post("/only", "stranger")).status_code == 400
    assert not ears.of(*STEPS)
    assert len(ears.of("on_error")) == 1


def test_after_a_crash_nothing_is_missed() -> None:
    """Wherever the process ends: each step is told of, and repeated at most where it ended.

    Of results that were stored in one commit, after which the process dies, only the last is.
    """
    ears = Ears()

    async def work(context: Context) -> int:
        first = await context.run("first", lambda: 1)
        await context.sleep("nap", "1h")
        await asyncio.gather(context.run("a", lambda: 2), context.run("b", lambda: 3))
        await context.run("last", lambda: 4)
        return first

    from workflow_agents import Engine

    served = Engine(":memory:").add("/work", work, middlewares=[ears.middleware])
    report = crash_everywhere(served)
    assert report.result == 1
    trials = 1 + len(report.trials)
    counts = Counter(entry[:2] for entry in ears.of(*STEPS))
    for told in (
        ("run_started",),
        ("before_execution", "first"),
        *[("after_execution", name) for name in ("first", "nap", "last")],
        ("run_completed", 1),
    ):
        assert trials <= counts[told] <= 2 * trials, (told, counts)
