"""A middleware that prints each step, beside one that keeps what a run did in its own table."""

import asyncio
import sqlite3

from workflow_agents import (
    AfterExecution,
    AsyncWorkflowContext,
    BeforeExecution,
    Engine,
    MiddlewareCallbacks,
    RunCompleted,
    RunError,
    RunStarted,
    WorkflowMiddleware,
)


async def before(event: BeforeExecution) -> None:
    print(f"-> {event.step_name}")


async def after(event: AfterExecution) -> None:
    print(f"<- {event.step_name}: {event.result}")


steps = WorkflowMiddleware(
    "steps", callbacks={"before_execution": before, "after_execution": after}
)


def open_table() -> MiddlewareCallbacks:
    """Called once, before the first event."""
    table = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    table.execute("CREATE TABLE runs (id TEXT PRIMARY KEY, state TEXT)")

    def started(event: RunStarted) -> None:
        table.execute("INSERT INTO runs VALUES (?, 'started')", [event.context.workflow_run_id])

    def completed(event: RunCompleted) -> None:
        row = [f"completed: {event.result}", event.context.workflow_run_id]
        table.execute("UPDATE runs SET state = ? WHERE id = ?", row)
        print("table:", *table.execute("SELECT state FROM runs").fetchone())

    async def failed(event: RunError) -> None:
        print("error:", event.error)

    return {"run_started": started, "run_completed": completed, "on_error": failed}


in_a_table = WorkflowMiddleware("table", init=open_table)

engine = Engine(":memory:")


@engine.workflow("/order", middlewares=[steps, in_a_table])
async def order(context: AsyncWorkflowContext[int]) -> str:
    """Reserve at the second attempt, wait a moment, and pay."""
    attempts = iter([ConnectionError("the stock does not answer"), None])

    def reserve() -> str:
        if (error := next(attempts)) is not None:
            raise error
        return f"{context.request_payload} chairs"

    reserved = await context.run("reserve", reserve, retry_delay="10")
    await context.sleep("cool down", 0.01)
    return await context.run("pay", lambda: f"paid {reserved}")


async def main() -> None:
    async with engine:
        await engine.run(order, 4)


asyncio.run(main())

# prints:
#   -> reserve
#   error: the stock does not answer
#   -> reserve
#   <- reserve: 4 chairs
#   -> cool down
#   <- cool down: None
#   -> pay
#   <- pay: paid 4 chairs
#   table: completed: paid 4 chairs
