"""The OpenAI SDK as it is, with one argument more: its requests are durable steps."""

import asyncio
import os

from openai import AsyncOpenAI

from workflow_agents import AsyncWorkflowContext, Engine, durable_client
from workflow_agents.testing.model_server import ScriptedModel

engine = Engine("openai.db")
model_server = ScriptedModel()


@engine.workflow("/haiku")
async def haiku(context: AsyncWorkflowContext[str]) -> str:
    """Draft, then improve. A crash between the two repeats neither."""
    openai = AsyncOpenAI(base_url=model_server.base_url, http_client=durable_client(context))

    async def ask(prompt: str) -> str:
        answer = await openai.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": prompt}]
        )
        return answer.choices[0].message.content or ""

    draft = await ask(f"Write a haiku about {context.request_payload}.")
    await context.sleep("let it rest", "10ms")
    return await ask(f"Improve: {draft}")


async def main() -> None:
    os.environ["OPENAI_API_KEY"] = "sk-any"  # the store holds its name, not its value
    with model_server as model:
        model.say("Rain on the tin roof").say("Rain counts the tin roof")
        async with engine:
            run = await engine.client.trigger(haiku, "rain")
            print(await run.result())
            for step in (await run.log()).steps:
                print(step.type, step.name.partition(" ")[0])


asyncio.run(main())

# prints:
#   Rain counts the tin roof
#   Call POST
#   SleepFor let
#   Call POST
