"""The process that `test_streaming` kills: one run with one streamed reply, told on stdout.

usage: python streaming_worker.py STORE MODEL_URL
"""

import asyncio
import sys
from typing import Any

from workflow_agents import AsyncWorkflowContext, Engine, FeedEntry

STORE, MODEL = sys.argv[1], sys.argv[2]
engine = Engine(STORE)


@engine.workflow("/talk")
async def talk(context: AsyncWorkflowContext[Any]) -> Any:
    answer = await context.call(
        "Ask",
        url=f"{MODEL}/chat/completions",
        method="POST",
        headers={"authorization": "Bearer sk-test"},
        body={"model": "m", "stream": True, "messages": [{"role": "user", "content": "?"}]},
        stream="chat.completions",
    )
    return answer.body["choices"][0]["message"]["content"]


async def main() -> None:
    async with engine:
        run = await engine.client.trigger(talk, workflow_run_id="talk")
        async for event in run.stream():
            if not isinstance(event, FeedEntry):
                print(type(event).__name__, getattr(event, "attempt", ""), flush=True)
        print("result", await run.result(), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
