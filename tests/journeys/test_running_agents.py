"""Agents that are run without a workflow being written: `engine.run(agent, prompt)`."""

import os
import subprocess
import sys
import textwrap
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.flask_site import told
from workflow_agents import (
    Agent,
    AsyncWorkflowContext,
    CallSettings,
    ConfigurationError,
    Engine,
    OpenAIModel,
    Price,
    RunFailed,
    TaskResult,
    agent_workflow,
)
from workflow_agents.testing.model_server import CallTools, ScriptedModel


@pytest.fixture
def model():
    with ScriptedModel() as model:
        yield model


def agent_of(model: ScriptedModel, name: str = "clerk", **options) -> Agent:
    asked = OpenAIModel("gpt-4o", model.base_url, "sk-none", CallSettings(retries=0))
    return Agent(model=asked, name=name, **options)


def find_order(number: int) -> str:
    """Where an order is.

    Args:
        number: of the order.
    """
    return f"order {number} is in Delft"


def asks_then_answers(model: ScriptedModel) -> None:
    model.when(
        lambda request: request.messages[-1]["role"] == "tool",
        lambda request: f"It says: {request.messages[-1]['content']}.",
        repeat=True,
    )
    model.when(
        lambda request: request.messages[-1]["role"] == "user",
        CallTools((("find_order", {"number": 7}),)),
        repeat=True,
    )


def test_the_whole_result_comes_back(model) -> None:
    asks_then_answers(model)
    clerk = agent_of(model, background="You find orders.", tools=[find_order])

    with Engine(":memory:") as engine:
        result = engine.run_sync(clerk, "Where is order 7?", label="orders")
        (log,) = engine.sync_client.logs(label="orders")
        steps = [step.name for step in engine.sync_client.log(log.workflow_run_id).steps]

    assert isinstance(result, TaskResult)
    assert result.text == "It says: order 7 is in Delft."
    assert result.finish_reason == "stop"
    assert [type(message).__name__ for message in result.messages] == [
        "SystemMessage",
        "UserMessage",
        "AssistantMessage",
        "ToolMessage",
        "AssistantMessage",
    ]
    assert result.messages[2].tool_calls[0].name == "find_order"
    assert result.usage.total_tokens > 0
    assert result.usage_by_agent["clerk"] == result.usage
    assert log.workflow == "/agents/clerk"
    assert steps == ["Call Agent clerk", "Run tool find_order", "Call Agent clerk"]


async def test_with_await_and_by_its_handle(model) -> None:
    asks_then_answers(model)
    clerk = agent_of(model, "chief clerk", tools=[find_order])

    async with Engine(":memory:") as engine:
        first = await engine.run(clerk, "Where is order 7?")
        handle = await engine.client.trigger(clerk, {"prompt": "Where is order 7?"})
        second = await handle.result()
        assert isinstance(second, TaskResult)
        assert (second.text, second.usage) == (first.text, first.usage)
        by_path = await engine.run("/agents/chief%20clerk", {"prompt": "Where is order 7?"})
        assert by_path["text"] == first.text


async def test_a_fork_asks_another_model_with_another_prompt(model) -> None:
    asks_then_answers(model)
    clerk = agent_of(model, background="You find orders.", tools=[find_order])
    async with Engine(":memory:") as engine:
        run = await engine.client.trigger(clerk, {"prompt": "Where is order 7?"})
        await run.result()
        steps = (await run.log()).steps
        model.requests.clear()

        last = await run.fork(steps[2].step, model="gpt-4o-mini", system="Be short.")
        await last.result()
        [request] = model.requests
        assert request.body["model"] == "gpt-4o-mini"
        assert [m["content"] for m in request.messages[:2]] == ["Be short.", "Where is order 7?"]
        model.requests.clear()

        first = await run.fork(steps[0].step, model="gpt-4o-mini", prompt="And order 8?")
        await first.result()
        assert [r.body["model"] for r in model.requests] == ["gpt-4o-mini"] * 2
        assert {r.messages[1]["content"] for r in model.requests} == {"And order 8?"}
        feed = [entry async for entry in first.feed()]
        asks = {"clerk": {"model": "gpt-4o-mini", "prompt": "And order 8?", "at": 1}}
        assert feed[0].data == {"forkedFrom": run.run_id, "step": steps[0].step, "asks": asks}
        # A fork of the fork goes on asking as it did.
        model.requests.clear()
        await (await first.fork(steps[2].step)).result()
        assert model.requests[0].body["model"] == "gpt-4o-mini"
        with pytest.raises(ConfigurationError, match="a step that asks a model"):
            await run.fork(steps[1].step, model="gpt-4o-mini")


async def test_a_fork_costs_what_the_model_costs_that_it_asks(model) -> None:
    """Calls before the fork keep the price of the model that has answered them."""
    asks_then_answers(model)
    clerk = agent_of(model, tools=[find_order])
    prices = {"gpt-4o": Price(1_000_000, 0)}

    async with Engine(":memory:") as engine:

        @engine.workflow("/desk")
        async def desk(context: AsyncWorkflowContext[None]) -> list[Any]:
            agents = agent_workflow(context, prices=prices)
            task = await agents.task(agent=clerk, prompt="Where is order 7?").run()
            return [[call.usage.prompt_tokens for call in task.calls], str(task.cost_usd)]

        run = await engine.client.trigger(desk)
        (first, second), total = await run.result()
        assert total == str(Decimal(first + second))
        last = (await run.log()).steps[2].step
        for priced, cost in (({}, None), ({"gpt-4o-mini": Price(3_000_000, 0)}, 3 * second)):
            prices |= priced
            _, total = await (await run.fork(last, model="gpt-4o-mini")).result()
            assert total == str(None if cost is None else Decimal(first + cost))


def test_an_agent_that_is_defined_again_takes_the_place_of_the_one_before(model) -> None:
    model.when(lambda _request: True, lambda request: request.messages[0]["content"], repeat=True)
    with Engine(":memory:") as engine:
        assert engine.run_sync(agent_of(model, background="first"), "?").text == "first"
        assert engine.run_sync(agent_of(model, background="second"), "?").text == "second"


def test_a_payload_without_a_prompt_is_refused(model) -> None:
    with Engine(":memory:") as engine:
        served = engine.add_agent(agent_of(model))
        with pytest.raises(RunFailed, match="WA205"):
            engine.run_sync(served.path, "text that may look like JSON to someone")
        with pytest.raises(ConfigurationError, match="WA107"):
            engine.run_sync(object(), "?")


@pytest.mark.parametrize("prompt", ["42", "null", '{"prompt": "of somebody else"}', "ü\n"])
def test_a_prompt_is_what_was_given(model, prompt) -> None:
    model.when(lambda _request: True, lambda request: request.messages[-1]["content"], repeat=True)
    with Engine(":memory:") as engine:
        assert engine.run_sync(agent_of(model), prompt).text == prompt


WORKER = """
import os, sys, time
from workflow_agents import Agent, CallSettings, Engine, OpenAIModel
def find_order(number: int) -> str:
    '''Where an order is.'''
    print("in the tool", flush=True)
    time.sleep(60)
    return "never"
model = OpenAIModel("gpt-4o", sys.argv[1], "sk-none", CallSettings(retries=0))
with Engine(sys.argv[2]) as engine:
    engine.run_sync(
        Agent(model=model, name="clerk", tools=[find_order]), "Where?", workflow_run_id="wfr_a"
    )
"""


def test_a_run_whose_process_was_killed_goes_on_when_its_agent_is_served(
    model, tmp_path: Path
) -> None:
    asks_then_answers(model)
    store = str(tmp_path / "agents.db")
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WORKER), model.base_url, store],
        stdout=subprocess.PIPE,
        env=os.environ,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"in the tool\n"
    process.kill()
    process.communicate()

    engine = Engine(store)
    engine.add_agent(agent_of(model, tools=[find_order]))
    with engine:
        run = engine.sync_client.handle("wfr_a")
        told(run, "RUN_SUCCESS")
        assert run.result()["text"] == "It says: order 7 is in Delft."
    assert len(model.requests) == 2
