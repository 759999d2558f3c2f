"""Middlewares where a QStash server keeps the runs, and visits for each step."""

import asyncio
import json
from collections import Counter
from typing import Any

from tests.journeys.test_middleware import STEPS, Ears
from workflow_agents import AsyncWorkflowContext

Context = AsyncWorkflowContext[Any]


async def test_each_step_is_told_of_once(site, serve, server) -> None:
    ears = Ears()

    @serve.post("/order", middlewares=[ears.middleware])
    async def order(context: Context) -> Any:
        first = await context.run("first", lambda: {"n": 1})
        await context.sleep("nap", "1h")
        both = await asyncio.gather(
            context.run("a", lambda: 2), context.run("b", lambda: 3), context.sleep("c", "2h")
        )
        return [first, both[:2]]

    run = await site.run("/order", 7)

    assert json.loads(run.result) == [{"n": 1}, [2, 3]]
    told = ears.of(*STEPS)
    assert told[:5] == [
        ("run_started",),
        ("before_execution", "first"),
        ("after_execution", "first", {"n": 1}),
        ("before_execution", "nap"),
        ("after_execution", "nap", None),
    ]
    assert told[-1] == ("run_completed", [{"n": 1}, [2, 3]])
    counts = Counter(entry[:2] for entry in told[5:-1])
    names = ("before_execution", "after_execution")
    assert counts == {(name, step): 1 for name in names for step in "abc"}


async def test_a_step_that_fails_is_told_with_each_visit(site, serve, server) -> None:
    ears = Ears()

    @serve.post("/fails", middlewares=[ears.middleware], retries=1)
    async def fails(context: Context) -> None:
        await context.run("well", lambda: 1)
        await context.run("charge", lambda: 1 / 0)

    run = await site.run("/fails")

    assert run.state == "RUN_FAILED"
    assert [entry[1] for entry in ears.of("on_error")] == ["division by zero"] * 2
    assert [entry[:2] for entry in ears.of(*STEPS)] == [
        ("run_started",),
        ("before_execution", "well"),
        ("after_execution", "well"),
        ("before_execution", "charge"),
        ("before_execution", "charge"),
    ]
