from typing import Any

import pytest

from workflow_agents.agents.agent import Agent
from workflow_agents.agents.handoffs import Handoffs
from workflow_agents.agents.messages import SystemMessage, ToolCall, ToolMessage
from workflow_agents.agents.models.openai import OpenAIModel
from workflow_agents.agents.workflow import Agents, agent_workflow
from workflow_agents.errors import ConfigurationError
from workflow_agents.testing.model_server import ScriptedModel

MODEL = OpenAIModel("m")


def invoice(number: int) -> str:
    """Look an invoice up."""
    return f"invoice {number}: 30 euros"


def test_each_agent_is_a_tool():
    handoffs = Handoffs.to(
        [
            Agent(model=MODEL, name="billing", background="You know invoices."),
            Agent(model=MODEL, name="billing"),
        ]
    )
    assert list(handoffs.agents) == ["transfer_to_billing", "transfer_to_billing_2"]
    assert "You know invoices." in handoffs.tools[0].description


def test_the_first_of_several_is_taken():
    handoffs = Handoffs.to([Agent(model=MODEL, name=name) for name in ("a", "b")])
    calls = [
        ToolCall("1", "other", "{}"),
        ToolCall("2", "transfer_to_b", ""),
        ToolCall("3", "transfer_to_a", ""),
    ]
    taken, told = handoffs.answer(calls)
    assert taken == "transfer_to_b"
    assert set(told) == {"2", "3"}
    assert not told["2"].is_error
    assert told["3"].is_error


async def test_another_agent_goes_on_with_the_conversation(
    context: Any, agents: Agents, llm: Any, model: ScriptedModel
):
    model.call_tools(("transfer_to_billing", {}), ("look", {}), text="One moment.")
    model.call_tools(("invoice", {"number": 7})).say("It is 30 euros.")

    def look() -> str:
        """Look at the customer."""
        return "a good customer"

    billing = agents.agent(
        model=llm, name="billing", background="You know invoices.", tools=[invoice]
    )
    triage = agents.agent(
        model=llm, name="triage", background="You listen.", tools=[look], handoffs=[billing]
    )
    task = agents.task(agent=triage, prompt="What is invoice 7?")
    result = await task.run()

    assert (result.text, result.agent, result.turns) == ("It is 30 euros.", "billing", 3)
    assert context.steps == [
        "Call Agent triage",
        "Run tool look",
        "Call Agent billing",
        "Run tool invoice",
        "Call Agent billing",
    ]
    assert [r.tools for r in model.requests[:2]] == [["look", "transfer_to_billing"], ["invoice"]]
    roles = [m["role"] for m in model.requests[1].messages]
    assert roles == ["system", "user", "assistant", "tool", "tool"]
    assert model.requests[1].messages[0]["content"] == "You know invoices."
    assert model.requests[1].messages[3]["content"].startswith("billing takes over")
    assert result.messages[0] == SystemMessage("You know invoices.")
    assert set(result.usage_by_agent) == {"triage", "billing"}

    replayed = agent_workflow(context.replay())
    assert await replayed.task(agent=triage, prompt="What is invoice 7?").run() == result


async def test_agents_may_name_each_other_and_come_to_an_end(
    agents: Agents, llm: Any, model: ScriptedModel
):
    """Handed to and fro, models are called as often as the task allows."""
    model.when(lambda r: r.agent == "ping", _transfer("pong"), _transfer("pong"))
    model.when(lambda r: r.agent == "pong", _transfer("ping"), _transfer("ping"))
    ping: Agent = agents.agent(
        model=llm, name="ping", handoffs=lambda: [pong], max_steps=4, max_tool_errors=9
    )
    pong: Agent = agents.agent(model=llm, name="pong", handoffs=lambda: [ping])
    result = await agents.task(agent=ping, prompt="Go.").run()
    assert (result.finish_reason, result.agent, result.turns) == ("max_steps", "pong", 4)
    assert len(model.requests) == 4


async def test_the_answer_is_of_the_type_that_the_task_asked_for(
    agents: Agents, llm: Any, model: ScriptedModel
):
    model.call_tools(("transfer_to_counter", {})).say("seven").say('{"result": 7}')
    counter = agents.agent(model=llm, name="counter")
    first = agents.agent(model=llm, name="first", output_type=int, handoffs=[counter])
    result = await agents.task(agent=first, prompt="How many?").run()
    assert (result.output, result.agent) == (7, "counter")


def test_only_agents_take_over():
    with pytest.raises(ConfigurationError) as caught:
        Agent(model=MODEL, name="a", handoffs=["billing"])  # type: ignore[list-item]
    assert caught.value.code == "WA702"


def test_messages_of_a_handoff_are_no_errors():
    message = Handoffs.to([Agent(model=MODEL, name="a")]).answer(
        [ToolCall("1", "transfer_to_a", "{}")]
    )[1]["1"]
    assert message == ToolMessage("1", "transfer_to_a", message.content)


def _transfer(name: str) -> Any:
    from workflow_agents.testing.model_server import CallTools

    return CallTools(((f"transfer_to_{name}", {}),))
