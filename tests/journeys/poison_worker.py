"""The process that `test_poison` lets die: beside a good run, one whose step kills the process.

usage: python poison_worker.py STORE NOTES ("kill" | "mended") RECOVERIES
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from workflow_agents import AsyncWorkflowContext, Engine, Limits, RunFailed

STORE, NOTES, BODY, RECOVERIES = sys.argv[1:]

engine = Engine(STORE, limits=Limits(recoveries=int(RECOVERIES)))


@engine.workflow("/poison")
async def poison(context: AsyncWorkflowContext[None]) -> str:
    def body() -> str:
        with Path(NOTES).open("a") as notes:
            notes.write("poison\n")
        if BODY == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        return "harmless"

    await context.run("before", lambda: "recorded")
    return await context.run("needs too much", body)


@engine.workflow("/good")
async def good(context: AsyncWorkflowContext[None]) -> int:
    async def body() -> int:
        await asyncio.sleep(0.05)
        return 1

    return sum([await context.run(f"step {n}", body) for n in range(40)])


async def main() -> None:
    async with engine:
        bad = await engine.client.trigger(poison, workflow_run_id="bad")
        fine = await engine.client.trigger(good, workflow_run_id="fine")
        print(f"good: {await fine.result()}", flush=True)
        try:
            print(f"bad: {await bad.result()}", flush=True)
        except RunFailed as failed:
            print(f"bad: {failed}", flush=True)
        if BODY == "mended":
            [letter] = await engine.client.dlq.list()
            resumed = await engine.client.dlq.resume(letter.dlq_id)
            print(f"resumed: {await resumed.result()}", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
