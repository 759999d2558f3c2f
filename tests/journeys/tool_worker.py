"""A cashier whose tools may be killed in the middle: for `test_tools_and_crashes`.

usage: python tool_worker.py STORE NOTES MODEL POLICY [itself]

Each body notes what it does, with its idempotency key; as a process, it then never returns. With
"itself" it approves what needs an approval.
"""

import asyncio
import os
import sys
import threading
from pathlib import Path
from typing import Any

from workflow_agents import AsyncWorkflowContext, Engine, ToolContext, agent_workflow, tool

RUN = "wfr_paying"


def engine_with(store: str, notes: str, model: str, policy: str, *, hang: bool) -> Engine:
    """The engine, with the one workflow.

    Args:
        store: its file.
        notes: where bodies note that they run.
        model: the address of the model.
        policy: "run_again", "ask" or "fail" of an async tool; "thread" for "ask" of a plain one;
            "approve" for an async tool that needs an approval.
        hang: whether bodies stop in the middle, and say so.
    """
    engine = Engine(store)

    def note(context: ToolContext, amount: int) -> None:
        with Path(notes).open("a", encoding="utf-8") as file:
            file.write(f"{amount} {context.idempotency_key} {context.attempt}\n")
            file.flush()
            os.fsync(file.fileno())

    options: dict[str, Any] = {"on_unknown_outcome": policy}
    if policy == "thread":
        options = {"on_unknown_outcome": "ask"}
    elif policy == "approve":
        options = {"needs_approval": True}

    async def pay(amount: int, call: ToolContext) -> str:
        """Pay an amount."""
        note(call, amount)
        if hang:
            print("in the body", flush=True)
            await asyncio.Event().wait()
        return f"paid {amount}"

    def pay_in_a_thread(amount: int, call: ToolContext) -> str:
        """Pay an amount."""
        note(call, amount)
        if hang:
            print("in the body", flush=True)
            threading.Event().wait()
        return f"paid {amount}"

    body = tool(**options, name="pay")(pay_in_a_thread if policy == "thread" else pay)

    @engine.workflow("/pay", retries=0)
    async def paying(context: AsyncWorkflowContext[None]) -> str:
        agents = agent_workflow(context)
        cashier = agents.agent(
            model=agents.openai("gpt-4o", base_url=model, api_key="sk-t0p"),
            name="cashier",
            tools=[body],
        )
        return (await agents.task(agent=cashier, prompt="Pay 30.").run()).text

    return engine


async def main() -> None:
    engine = engine_with(*sys.argv[1:5], hang=True)
    async with engine:
        handle = await engine.client.trigger("/pay", workflow_run_id=RUN)
        if sys.argv[4] == "approve":
            async for entry in handle.feed():
                if entry.kind == "STEP_WAITING" and entry.step_type == "WAIT":
                    print("waiting", flush=True)
                    if sys.argv[5:] == ["itself"]:
                        [approval] = await engine.client.approvals.list()
                        await engine.client.approvals.approve(approval)
                        break
        await handle.result()


if __name__ == "__main__":
    asyncio.run(main())
