"""The endpoint of S3: a workflow of the official Python SDK whose steps do nothing.

usage: python -m benchmarks.sdk_endpoint PORT. It prints the seconds that each run took, from its
first step to its last.
"""

import os
import sys
import time

import uvicorn
from fastapi import FastAPI
from qstash import AsyncQStash
from upstash_workflow import AsyncWorkflowContext
from upstash_workflow.fastapi import Serve

app = FastAPI()
serve = Serve(app)
began: dict[str, float] = {}

# Without it, the SDK makes a client for each visit, and reads all certificates of the system.
client = AsyncQStash(os.environ["QSTASH_TOKEN"], base_url=os.environ["QSTASH_URL"])


@serve.post("/steps", qstash_client=client)
async def steps(context: AsyncWorkflowContext[int]) -> None:
    """As many steps as asked for, one after the other."""
    run, wanted = context.workflow_run_id, int(context.request_payload)

    async def first() -> None:
        began[run] = time.perf_counter()

    async def last() -> None:
        print(time.perf_counter() - began[run], flush=True)

    async def nothing() -> None:
        pass

    await context.run("first", first)
    for number in range(wanted):
        await context.run(f"step {number}", nothing)
    await context.run("last", last)


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
