"""An agent whose run a QStash server keeps: every turn a call, the tools of a turn a group."""

import json
from typing import Any

from workflow_agents import AsyncWorkflowContext, agent_workflow
from workflow_agents.testing.model_server import ScriptedModel


async def test_agent_with_tools(site, serve, server, monkeypatch) -> None:
    ran: list[str] = []

    def price(item: str) -> int:
        """Price of an item."""
        ran.append(item)
        return len(item)

    with ScriptedModel() as model:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        monkeypatch.setenv("OPENAI_BASE_URL", model.base_url)
        model.call_tools(("price", {"item": "pen"}), ("price", {"item": "paper"}))
        model.say("8 in all")

        @serve.post("/ask")
        async def ask(context: AsyncWorkflowContext[str]) -> str:
            agents = agent_workflow(context)
            clerk = agents.agent(
                model=agents.openai("gpt-4o"),
                name="clerk",
                background="You know prices.",
                tools=[price],
                max_steps=3,
            )
            done = await agents.task(agent=clerk, prompt=context.request_payload).run()
            return done.text

        run = await site.run("/ask", "pen and paper?")

    assert json.loads(run.result or b"") == "8 in all"
    assert sorted(ran) == ["paper", "pen"]
    steps: list[Any] = [(s["stepName"], s["stepType"], s["concurrent"]) for s in run.results]
    assert steps[0] == steps[-1] == ("Call Agent clerk", "Call", 1)
    assert steps[1:3] == [("Run tool price", "Run", 2)] * 2
