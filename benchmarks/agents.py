"""A1: what the agents layer adds, in CPU time, to each turn of a conversation.

One agent calls a tool in each of n turns. The same requests and tool calls are then made by
bare `context.call` and `context.run`. Engine, store and the model, which answers in place of
the network at next to no cost, are the same; what is left between the two is the layer: what to
do next, the request, the reply, the arguments, the counting.
"""

import json
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.adapter import Json

REPETITIONS = 5
FOUND = "A paragraph of what the tool has found, as long as such things usually are. " * 5


def reply(turn: int, turns: int) -> Json:
    """What the model answers in a turn: a tool call, at the end a text."""
    message: Json = {"role": "assistant", "content": f"That was turn {turn}."}
    if turn < turns:
        function = {"name": "search", "arguments": json.dumps({"query": f"number {turn}"})}
        call = {"id": f"call_{turn}", "type": "function", "function": function}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
    usage = {"prompt_tokens": 100 * turn, "completion_tokens": 20, "total_tokens": 100 * turn + 20}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": f"c{turn}", "model": "gpt-4o", "choices": [choice], "usage": usage}


class Model:
    """The network and the provider behind it: the next reply, made beforehand."""

    def __init__(self, turns: int) -> None:
        self.bodies: list[bytes] = []
        self._replies = [json.dumps(reply(turn, turns)).encode() for turn in range(1, turns + 1)]
        self._next = 0

    async def send(self, request: Any) -> Any:
        from workflow_agents.engine.http_out import HttpResponse

        self.bodies.append(request.body)
        body = self._replies[self._next % len(self._replies)]
        self._next += 1
        return HttpResponse(200, {"content-type": ["application/json"]}, body)

    async def close(self) -> None:
        """Nothing is open."""


def search(query: str) -> str:
    """Search for something.

    Args:
        query: what is searched for.
    """
    return f"{query}: {FOUND}"


async def cpu_per_turn(folder: str, turns: int) -> Json:
    """The figures: CPU milliseconds per turn of both, and what lies between them."""
    from workflow_agents import (
        Agent,
        AsyncWorkflowContext,
        Engine,
        OpenAIModel,
        UsageLimits,
        agent_workflow,
    )

    model = Model(turns)
    engine = Engine(str(Path(folder) / "agents.db"), http=model)
    address = "http://127.0.0.1:9/v1"
    llm = OpenAIModel("gpt-4o", base_url=address, api_key="none")
    limits = UsageLimits(total_tokens=10**9)
    agent = Agent(model=llm, name="a", tools=[search], max_steps=turns, limits=limits)

    async def by_agent(context: AsyncWorkflowContext[None]) -> int:
        task = agent_workflow(context).task(agent=agent, prompt="Search.")
        return (await task.run()).turns

    requests: list[Any] = []

    async def bare(context: AsyncWorkflowContext[None]) -> int:
        for turn, body in enumerate(requests, 1):
            url = f"{address}/chat/completions"
            await context.call("Call Agent a", url=url, method="POST", body=body)
            if turn < turns:
                await context.run("Run tool search", lambda n=turn: search(f"number {n}"))
        return len(requests)

    engine.add("/agent", by_agent)
    engine.add("/bare", bare)
    async with engine:

        async def run(path: str) -> None:
            assert await (await engine.client.trigger(path)).result() == turns

        await run("/agent")  # also the warm-up: imports, schemas, statements
        requests += [json.loads(body) for body in model.bodies]
        await run("/bare")
        used = {path: await _median_cpu(lambda p=path: run(p)) for path in ("/agent", "/bare")}
    per_turn = {path: seconds * 1e3 / turns for path, seconds in used.items()}
    return {
        "agent_ms": per_turn["/agent"],
        "bare_ms": per_turn["/bare"],
        "added_ms": per_turn["/agent"] - per_turn["/bare"],
    }


async def _median_cpu(run: Callable[[], Coroutine[Any, Any, None]]) -> float:
    used: list[float] = []
    for _ in range(REPETITIONS):
        start = time.process_time()
        await run()
        used.append(time.process_time() - start)
    return median(used)
