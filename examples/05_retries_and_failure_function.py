"""Steps that raise are tried again; a run that fails for good calls its failure function."""

import asyncio

from workflow_agents import (
    AsyncWorkflowContext,
    Engine,
    StepFailed,
    WorkflowNonRetryableError,
    WorkflowRetryAfterError,
)

engine = Engine("shipping.db")
attempts: list[str] = []
told = asyncio.Event()


@engine.workflow("/ship")
async def ship(context: AsyncWorkflowContext[str]) -> str:
    """Ship by courier, or else by post."""

    async def courier() -> str:
        attempts.append("courier")
        raise ConnectionError("the courier does not answer")

    async def post() -> str:
        attempts.append("post")
        if attempts.count("post") == 1:
            raise WorkflowRetryAfterError("the counter is closed", retry_after="50ms")
        return f"{context.request_payload} by post"

    try:
        return await context.run("courier", courier, retries=2, retry_delay="10 * pow(2, retried)")
    except StepFailed as failed:
        print(f"{failed.step_name}: {failed.message}, {failed.attempts} times")
    return await context.run("post", post)


async def on_failure(context: AsyncWorkflowContext[str], status: int, message: str, _: dict) -> str:
    """Called once, when all retries are spent."""
    print(f"{context.request_payload} failed with {status}: {message}")
    told.set()
    return "told"


@engine.workflow("/bank", failure_function=on_failure)
async def bank(context: AsyncWorkflowContext[str]) -> None:
    """Fail at once: some errors do not get better."""

    async def transfer() -> None:
        attempts.append("transfer")
        raise WorkflowNonRetryableError("no such account")

    await context.run("transfer", transfer)


async def main() -> None:
    async with engine:
        run = await engine.client.trigger(ship, "chair")
        print(await run.result())
        await engine.client.trigger(bank, "order 7")
        await told.wait()
        print({name: attempts.count(name) for name in dict.fromkeys(attempts)})


asyncio.run(main())

# prints:
#   courier: the courier does not answer, 3 times
#   chair by post
#   order 7 failed with 489: no such account
#   {'courier': 3, 'post': 2, 'transfer': 1}
