"""What type checkers make of agents; checked by pyright, never run."""

from typing import Any, Literal, assert_type

from pydantic import BaseModel

from workflow_agents import (
    Agent,
    AsyncWorkflowContext,
    ChatMessage,
    Guardrail,
    OpenAIModel,
    Price,
    Task,
    TaskResult,
    UsageLimits,
    agent_workflow,
)


class Weather(BaseModel):
    degrees: int


MODEL = OpenAIModel("gpt-4o")
PLAIN = Agent(model=MODEL, name="plain")
FORECASTER = Agent(model=MODEL, name="forecaster", output_type=Weather)
NUMBERS = Agent(model=MODEL, name="numbers", output_type=list[int])


def short(text: str) -> bool:
    return len(text) < 100


async def agents_are_typed_by_their_output(context: AsyncWorkflowContext[None]) -> None:
    agents = agent_workflow(context)
    assert_type(PLAIN, Agent[str])
    assert_type(FORECASTER, Agent[Weather])
    assert_type(NUMBERS, Agent[list[int]])
    assert_type(agents.agent(model=MODEL, name="a"), Agent[str])
    assert_type(agents.agent(model=MODEL, name="a", output_type=Weather), Agent[Weather])
    assert_type(agents.agent(model=MODEL, name="a", output_type=bool), Agent[bool])
    agents.agent(model=MODEL, name="a", output_type=Literal["yes", "no"])
    agents.agent(
        model=MODEL,
        name="a",
        tools=[PLAIN, FORECASTER.as_tool("weather")],
        handoffs=[PLAIN, FORECASTER],
        input_guardrails=[short, Guardrail(short, retry=True)],
        limits=UsageLimits(total_tokens=1000, cost_usd="0.5", on_breach="pause"),
    )


async def results_are_typed(context: AsyncWorkflowContext[None]) -> None:
    agents = agent_workflow(context, prices={"gpt-4o": Price(input="2.50", output=10)})
    task = agents.task(agent=FORECASTER, prompt="Oslo?", conversation="user-42")
    assert_type(task, Task[Weather])
    result = await task.run()
    assert_type(result, TaskResult[Weather])
    assert_type(result.output, Weather)
    assert_type(result.text, str)
    assert_type((await agents.task(agent=PLAIN, prompt="Hi").run()).output, str)
    managed = agents.task(model=MODEL, agents=[PLAIN, FORECASTER], prompt="Go.")
    assert_type((await managed.run()).output, str)
    counted = agents.task(model=MODEL, agents=[PLAIN], prompt="Go.", output_type=int)
    assert_type((await counted.run()).output, int)
    history: list[ChatMessage] = [*result.messages]
    agents.task(agent=PLAIN, prompt="And?", history=history)


def any_agent(agent: Agent[Any]) -> str:
    return agent.name
