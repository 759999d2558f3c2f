"""A draft waits for a person: approved, sent back with a remark, or forgotten.

Source: the documentation's case "Human in the loop". Whoever decides needs the run's id and
nothing else; the run waits as rows, for as long as it takes.
"""

import asyncio

from workflow_agents import AsyncWorkflowContext, Engine

engine = Engine("drafts.db")
desk: "asyncio.Queue[tuple[str, str]]" = asyncio.Queue()


@engine.workflow("/publish")
async def publish(context: AsyncWorkflowContext[str]) -> str:
    """Draft, ask, improve, ask again."""
    draft = f"A note about {context.request_payload}."
    run_id = context.workflow_run_id
    for version in range(1, 4):
        await context.run("show", lambda text=draft: desk.put_nowait((run_id, text)))
        answer = await context.wait_for_event("decision", f"decision-{run_id}", timeout="2d")
        if answer.timeout:
            return "nobody answered"
        if answer.event_data["approved"]:
            return await context.run("publish", lambda text=draft: f"published: {text}")
        remark = answer.event_data["remark"]
        draft = await context.run(f"improve {version}", lambda new=f"{draft} {remark}": new)
    return "given up"


async def main() -> None:
    decisions = [{"approved": False, "remark": "With a picture."}, {"approved": True}]
    async with engine:
        run = await engine.client.trigger(publish, "rain")
        for decision in decisions:
            run_id, text = await desk.get()
            print("to decide:", text)
            # Look-back: kept for the run if it does not wait yet.
            await engine.client.notify(f"decision-{run_id}", decision, workflow_run_id=run_id)
        print(await run.result())


asyncio.run(main())

# prints:
#   to decide: A note about rain.
#   to decide: A note about rain. With a picture.
#   published: A note about rain. With a picture.
