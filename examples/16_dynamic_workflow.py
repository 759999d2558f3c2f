"""A workflow whose steps are data: the payload says which functions run, in which order.

Source: the documentation's example "Dynamic Workflow".
"""

import asyncio
from collections.abc import Callable
from typing import TypedDict

from workflow_agents import AsyncWorkflowContext, Engine

engine = Engine("dynamic.db")

FUNCTIONS: dict[str, Callable[[int], int]] = {
    "add-one": lambda number: number + 1,
    "double": lambda number: number * 2,
    "negate": lambda number: -number,
}


class Payload(TypedDict):
    start: int
    functions: list[str]


@engine.workflow("/dynamic")
async def dynamic(context: AsyncWorkflowContext[Payload]) -> int:
    """Deterministic for its payload, and so every replay takes the same way."""
    number = context.request_payload["start"]
    for place, name in enumerate(context.request_payload["functions"]):
        function = FUNCTIONS[name]
        number = await context.run(f"{place}: {name}", lambda n=number, f=function: f(n))
    return number


async def main() -> None:
    async with engine:
        for functions in (["double", "add-one"], ["add-one", "double", "negate"]):
            payload: Payload = {"start": 20, "functions": functions}
            handle = await engine.client.trigger(dynamic, payload)
            result = await handle.result()
            print(result, [step.name for step in (await handle.log()).steps])


asyncio.run(main())

# prints:
#   41 ['0: double', '1: add-one']
#   -42 ['0: add-one', '1: double', '2: negate']
