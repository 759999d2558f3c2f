"""The endpoint that `test_checkpoints_sigkill` kills: each body is noted in a file.

usage: python checkpoint_worker.py PORT NOTES
"""

import asyncio
import os
import sys
from typing import Any

import uvicorn
from fastapi import FastAPI

from workflow_agents import AsyncWorkflowContext
from workflow_agents.fastapi import Serve

STEPS = 25
PORT, NOTES = int(sys.argv[1]), sys.argv[2]

app = FastAPI()
serve = Serve(app)
notes = os.open(NOTES, os.O_CREAT | os.O_WRONLY | os.O_APPEND)


@serve.post("/work")
async def work(context: AsyncWorkflowContext[Any]) -> Any:
    run = context.workflow_run_id
    total = 0
    for n in range(STEPS):

        async def body(n: int = n) -> int:
            os.write(notes, f"{run} {n}\n".encode())
            await asyncio.sleep(0.02)
            return n

        total += await context.run(str(n), body)
        if n == STEPS // 2:
            await context.sleep("nap", 0.05)
    return total


uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="error", access_log=False)
