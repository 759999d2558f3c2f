"""The Anthropic SDK as it is, with one argument more: its requests are durable steps."""

import asyncio
import os
from typing import Any

from anthropic import AsyncAnthropic

from workflow_agents import AsyncWorkflowContext, Engine, durable_client
from workflow_agents.testing.model_server import ScriptedModel

engine = Engine("anthropic.db")
model_server = ScriptedModel()


@engine.workflow("/translate")
async def translate(context: AsyncWorkflowContext[str]) -> list[str]:
    """Into two languages at once; each request is a branch of its own."""
    base_url = model_server.base_url.removesuffix("/v1")
    anthropic = AsyncAnthropic(base_url=base_url, http_client=durable_client(context))

    async def into(language: str) -> str:
        answer: Any = await anthropic.messages.create(
            model="claude-sonnet",
            max_tokens=200,
            messages=[{"role": "user", "content": f"{language}: {context.request_payload}"}],
        )
        return answer.content[0].text

    return list(await asyncio.gather(into("Dutch"), into("Portuguese")))


async def main() -> None:
    os.environ["ANTHROPIC_API_KEY"] = "sk-any"  # the store holds its name, not its value
    with model_server as model:
        model.when(lambda request: "Dutch" in request.prompt, "Goedemorgen")
        model.when(lambda request: "Portuguese" in request.prompt, "Bom dia")
        async with engine:
            run = await engine.client.trigger(translate, "Good morning")
            print(await run.result())


asyncio.run(main())

# prints:
#   ['Goedemorgen', 'Bom dia']
