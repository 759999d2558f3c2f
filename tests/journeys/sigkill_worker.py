"""The process that `test_sigkill` kills: 50 runs on one store, each body noted in a file.

usage: python sigkill_worker.py STORE NOTES LIFE
"""

import asyncio
import os
import random
import sys

from workflow_agents import AsyncWorkflowContext, Engine, Limits

RUNS = 50
ROUNDS = 120
STORE, NOTES, LIFE = sys.argv[1], sys.argv[2], sys.argv[3]

# Killed at random, a run may well make no progress many times: that is no poison here.
engine = Engine(STORE, limits=Limits(recoveries=1_000))
notes = os.open(NOTES, os.O_CREAT | os.O_WRONLY | os.O_APPEND)


def note(run: str, step: str) -> None:
    os.write(notes, f"{LIFE} {run} {step}\n".encode())


@engine.workflow("/work", retries=50, retry_delay="10")
async def work(context: AsyncWorkflowContext[dict[str, int]]) -> int:
    run = context.workflow_run_id

    async def step(name: str, value: int) -> int:
        async def body() -> int:
            note(run, name)
            await asyncio.sleep(0.03)
            if random.random() < 0.05:
                raise OSError("now and then it fails")
            return value

        return await context.run(name, body)

    async def branch(name: str, value: int) -> int:
        first = await step(f"{name}-a", value)
        return first + await step(f"{name}-b", value)

    total = 0
    for i in range(ROUNDS):
        total += await step(f"{i}", i)
        if i % 5 == 4:
            total += sum(await asyncio.gather(*(branch(f"{i}-{j}", j) for j in range(3))))
        if i % 7 == 6:
            await context.sleep(f"{i}-nap", 0.02)
    return total


def expected() -> int:
    """What every run returns."""
    return sum(range(ROUNDS)) + ROUNDS // 5 * 2 * (0 + 1 + 2)


async def main() -> None:
    async with engine:
        handles = await asyncio.gather(
            *(engine.client.trigger(work, workflow_run_id=f"run-{k}") for k in range(RUNS))
        )
        print("ready", flush=True)
        results = [await handle.result() for handle in handles]
        assert results == [expected()] * RUNS, results
        print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
