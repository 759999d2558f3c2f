"""A run that failed for good is a dead letter: mend the cause, and resume it where it stopped."""

import asyncio

from workflow_agents import AsyncWorkflowContext, Engine, RunFailed

engine = Engine("payments.db")
ran: list[str] = []
accounts: dict[str, str] = {}


@engine.workflow("/pay", retries=0)
async def pay(context: AsyncWorkflowContext[str]) -> str:
    """Count the money, then move it."""

    async def count() -> int:
        ran.append("count")
        return 30

    async def transfer() -> str:
        ran.append("transfer")
        return f"{amount} to {accounts[context.request_payload]}"

    amount = await context.run("count", count)
    return await context.run("transfer", transfer)


async def main() -> None:
    async with engine:
        run = await engine.client.trigger(pay, "ada")
        try:
            await run.result()
        except RunFailed as failed:
            print(failed.log.failure["error"], failed.log.failure["message"])

        [letter] = await engine.client.dlq.list()
        accounts["ada"] = "DE02"
        resumed = await engine.client.dlq.resume(letter.dlq_id)
        print(await resumed.result())
        print("ran:", ran)
        print("dead letters:", len(await engine.client.dlq.list()))


asyncio.run(main())

# prints:
#   KeyError 'ada'
#   30 to DE02
#   ran: ['count', 'transfer', 'transfer']
#   dead letters: 0
