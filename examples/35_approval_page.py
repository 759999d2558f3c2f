"""The app of `examples/approval_page`, asked as its page asks: follow a run, and decide it.

For the page itself: uvicorn examples.approval_page.app:app
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2

os.environ |= {"APPROVAL_PACE": "0", "APPROVAL_STORE": "payouts.db"}
sys.path.insert(0, str(Path(__file__).parent))

from approval_page.app import app


async def told(http: httpx2.AsyncClient, run_id: str) -> AsyncIterator[tuple[str, Any]]:
    """What a visitor hears of a run: names of events, and their data."""
    ticket = (await http.get(f"/api/runs/{run_id}/ticket")).text
    head = {"authorization": f"Bearer {ticket}"}
    asked = {"workflowRunId": run_id}
    async with http.stream("GET", "/events/", params=asked, headers=head) as stream:
        name = ""
        async for line in stream.aiter_lines():
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                yield name, json.loads(value)


async def main() -> None:
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", ws="none"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
        asked = {"supplier": "Meyer & Daughters", "euros": 480, "reason": "the chairs of May"}
        run_id = (await http.post("/api/runs", json=asked)).json()["runId"]
        async for name, data in told(http, run_id):
            if data.get("kind") == "STEP_WAITING":
                print("asked:", data["data"]["details"]["ask"])
                decision = {"approved": True, "by": "ada"}
                await http.post(f"/api/runs/{run_id}/decision", json=decision)
            elif data.get("kind") == "STEP_SUCCESS":
                print("done:", data["stepName"])
            elif name == "end":
                print(data["result"])
        late = await http.post(f"/api/runs/{run_id}/decision", json=decision)
        print(late.status_code, late.json()["detail"])
    server.should_exit = True
    await serving


asyncio.run(main())

# prints:
#   done: Check the invoice
#   done: Look the supplier up
#   asked: Pay 480 euros to Meyer & Daughters for the chairs of May?
#   done: Wait for approval
#   done: Pay
#   done: Send the receipt
#   Paid 480 euros to Meyer & Daughters, approved by ada.
#   409 It is decided already.
