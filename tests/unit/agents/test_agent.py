import asyncio
import inspect
import re
from dataclasses import replace
from typing import Any

import pytest
from langchain_core.tools import tool as langchain_tool

from workflow_agents.agents import manager
from workflow_agents.agents.agent import Agent
from workflow_agents.agents.messages import (
    AssistantMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
    Usage,
    UserMessage,
)
from workflow_agents.agents.models.openai import OpenAIModel
from workflow_agents.agents.models.port import CallSettings
from workflow_agents.agents.tools import WorkflowTool
from workflow_agents.agents.workflow import Agents, agent_workflow
from workflow_agents.errors import (
    ConfigurationError,
    RemoteError,
    StepFailed,
    WorkflowAgentsError,
    WorkflowNonRetryableError,
)
from workflow_agents.protocol.secrets import Secret
from workflow_agents.testing.model_server import RecordedRequest, ScriptedModel


def population(city: str) -> int:
    """How many people live in a city.

    Args:
        city: its name.
    """
    return {"Tokyo": 14_000_000, "Osaka": 2_800_000}[city]


def by(name: str):
    """Matches what the agent of this name asks."""
    return lambda request: request.agent == name


def told(request: RecordedRequest) -> list[str]:
    """What the tools answered, as the model was told."""
    return [m["content"] for m in request.messages if m["role"] == "tool"]


# Patterns


async def test_an_agent_with_tools(context: Any, agents: Agents, llm: Any, model: ScriptedModel):
    model.call_tools(("population", {"city": "Tokyo"}), text="I look it up.", usage=(10, 5))
    model.say("14 million.", usage=(20, 2))
    counter = agents.agent(
        model=llm, name="counter", background="You count people.", tools=[population], max_steps=2
    )
    result = await agents.task(agent=counter, prompt="How many in Tokyo?").run()

    assert (result.text, result.finish_reason, result.turns) == ("14 million.", "stop", 2)
    assert result.messages == (
        SystemMessage("You count people."),
        UserMessage("How many in Tokyo?"),
        AssistantMessage(
            "I look it up.",
            (ToolCall("call_1_1", "population", '{"city": "Tokyo"}'),),
            "tool_calls",
        ),
        ToolMessage("call_1_1", "population", "14000000"),
        AssistantMessage("14 million."),
    )
    assert result.usage == Usage(30, 7, 37)
    assert result.usage_by_agent == {"counter": result.usage}
    assert context.steps == ["Call Agent counter", "Run tool population", "Call Agent counter"]
    assert [request.agent for request in model.requests] == ["counter", "counter"]
    assert model.requests[0].body["temperature"] == 0.1
    assert model.requests[0].headers["authorization"] == "Bearer sk-from-the-environment"
    model.assert_done()


async def test_tool_calls_of_one_turn_run_in_parallel(
    context: Any, agents: Agents, llm: Any, model: ScriptedModel
):
    """Each tool waits for the other: one after the other, they would never end."""
    meet = asyncio.Barrier(2)

    async def half(side: str) -> str:
        """One half of the work."""
        async with asyncio.timeout(5), meet:
            return f"{side} done"

    model.call_tools(("half", {"side": "left"}), ("half", {"side": "right"}))
    model.say("Both done.")
    agent = agents.agent(model=llm, name="worker", tools={"half": half})
    await agents.task(agent=agent, prompt="Do it.").run()

    assert told(model.requests[1]) == ["left done", "right done"]
    assert [m["tool_call_id"] for m in model.requests[1].messages if m["role"] == "tool"] == [
        "call_1_1",
        "call_1_2",
    ]
    assert context.steps[1:3] == ["Run tool half", "Run tool half"]


async def test_a_manager_directs_agents(
    context: Any, agents: Agents, llm: Any, model: ScriptedModel
):
    def add(a: int, b: int) -> int:
        """Adds two numbers."""
        return a + b

    model.when(by(manager.NAME), _turn(("academic_1", {"prompt": "Two cities in Japan?"})))
    model.when(by(manager.NAME), _turn(("mathematician", {"prompt": "14 + 3?"})))
    model.when(by(manager.NAME), "Tokyo and Osaka: 17 million.")
    model.when(by("academic #1"), _turn(("population", {"city": "Tokyo"})), "Tokyo: 14, Osaka: 3")
    model.when(by("mathematician"), _turn(("add", {"a": 14, "b": 3})), "17")

    academic = agents.agent(
        model=llm, name="academic #1", background="You know cities.", tools=[population]
    )
    mathematician = agents.agent(model=llm, name="mathematician", tools=[add])
    task = agents.task(
        model=llm, agents=[academic, mathematician], prompt="Sum of two?", max_steps=3
    )
    result = await task.run()

    assert result.text == "Tokyo and Osaka: 17 million."
    assert context.steps == [
        "Call Agent Manager LLM",
        "Call Agent academic #1",
        "Run tool population",
        "Call Agent academic #1",
        "Call Agent Manager LLM",
        "Call Agent mathematician",
        "Run tool add",
        "Call Agent mathematician",
        "Call Agent Manager LLM",
    ]
    first = model.requests[0]
    assert first.tools == ["academic_1", "mathematician"]
    assert first.messages[0] == {"role": "system", "content": manager.BACKGROUND}
    tool = first.body["tools"][0]["function"]
    assert "You know cities." in tool["description"]
    assert "- population: How many people live in a city." in tool["description"]
    assert list(tool["parameters"]["properties"]) == ["prompt"]
    assert told(model.requests[-1]) == ["Tokyo: 14, Osaka: 3", "17"]
    assert set(result.usage_by_agent) == {"Manager LLM", "academic #1", "mathematician"}
    assert result.usage == sum(result.usage_by_agent.values(), Usage())
    assert result.usage_by_agent["mathematician"].total_tokens > 0
    assert result.turns == 3
    model.assert_done()


async def test_prompt_chaining(agents: Agents, llm: Any, model: ScriptedModel):
    model.when(by("lists"), "Curie, Bohr, Noether")
    model.when(by("describes"), lambda request: f"Works of: {request.prompt}")
    model.when(by("sums up"), lambda request: request.prompt.upper())
    text = "Three physicists?"
    for name in ("lists", "describes", "sums up"):
        agent = agents.agent(model=llm, name=name)
        text = (await agents.task(agent=agent, prompt=text).run()).text
    assert text == "WORKS OF: CURIE, BOHR, NOETHER"
    model.assert_done()


async def test_orchestrator_and_workers(
    context: Any, agents: Agents, llm: Any, model: ScriptedModel
):
    """The manager calls all workers in one turn; two of them run tools at the same time."""
    names = ["worker1", "worker2", "worker3"]
    model.when(by(manager.NAME), _turn(*((name, {"prompt": f"Part of {name}"}) for name in names)))
    model.when(by(manager.NAME), "All parts.")
    for name in names[:2]:
        model.when(by(name), _turn(("population", {"city": "Osaka"})), f"{name} says so")
    model.when(by("worker3"), "worker3 says so")
    workers = [agents.agent(model=llm, name=name, tools=[population]) for name in names]
    result = await agents.task(model=llm, agents=workers, prompt="All?", max_steps=3).run()

    assert result.text == "All parts."
    assert told(model.requests[-1]) == [f"{name} says so" for name in names]
    assert context.steps.count("Run tool population") == 2
    model.assert_done()


async def test_parallelization(agents: Agents, llm: Any, model: ScriptedModel):
    for name in ("first", "second", "third"):
        model.when(by(name), lambda request: f"{request.agent}: {request.prompt}")
    runs = [
        agents.task(agent=agents.agent(model=llm, name=name), prompt="Explain.").run()
        for name in ("first", "second", "third")
    ]
    texts = [result.text for result in await asyncio.gather(*runs)]
    assert texts == ["first: Explain.", "second: Explain.", "third: Explain."]


async def test_evaluator_and_optimizer(agents: Agents, llm: Any, model: ScriptedModel):
    model.when(by("writer"), "Long text", "Short text")
    model.when(
        by("critic"),
        lambda request: "PASS" if "Short" in request.prompt else "Too long",
        lambda request: "PASS" if "Short" in request.prompt else "Too long",
    )
    writer = agents.agent(model=llm, name="writer")
    critic = agents.agent(model=llm, name="critic")
    prompt, text = "Write.", ""
    for _ in range(3):
        text = (await agents.task(agent=writer, prompt=prompt).run()).text
        verdict = (await agents.task(agent=critic, prompt=text).run()).text
        if verdict == "PASS":
            break
        prompt = f"Write again: {verdict}"
    assert text == "Short text"
    assert model.requests[2].prompt == "Write again: Too long"
    model.assert_done()


async def test_tools_of_every_kind(context: Any, agents: Agents, llm: Any, model: ScriptedModel):
    @langchain_tool
    def double(n: int) -> int:
        """Doubles."""
        return n * 2

    async def ask_twice(question: str) -> str:
        first = await context.run("first answer", lambda: f"{question}?")
        return await context.run("second answer", lambda: f"{first}!")

    durable = WorkflowTool(
        description="Asks twice.",
        schema={"type": "object", "properties": {"question": {"type": "string"}}},
        invoke=ask_twice,
        execute_as_step=False,
    )
    model.call_tools(
        ("double", {"n": 21}), ("ask_twice", {"question": "So"}), ("people", {"city": "Osaka"})
    )
    model.say("Done.")
    tools = {"double": double, "ask_twice": durable, "people": population}
    agent = agents.agent(model=llm, name="all", tools=tools)
    await agents.task(agent=agent, prompt="Go.").run()

    assert told(model.requests[1]) == ["42", "So?!", "2800000"]
    assert context.steps == [
        "Call Agent all",
        "Run tool double",
        "first answer",
        "Run tool people",
        "second answer",
        "Call Agent all",
    ]


# Determinism


async def test_a_replay_gives_the_same_and_executes_nothing(
    context: Any, agents: Agents, llm: Any, model: ScriptedModel
):
    """A manager, parallel agents, good, bad and unknown tool calls: all again, from history."""
    model.when(by(manager.NAME), _turn(("a", {"prompt": "A?"}), ("b", {"prompt": "B?"}), ("c", {})))
    model.when(by(manager.NAME), "End.")
    model.when(by("a"), _turn(("population", {"city": "Tokyo"}), ("population", "{oops")), "A.")
    model.when(by("b"), _turn(("population", {"city": "Bergen"}), ("nobody", {})), "B.")
    executed: list[str] = []

    def counted(city: str) -> int:
        """How many people live in a city."""
        executed.append(city)
        return population(city)

    async def flow(agents: Agents) -> Any:
        members = [
            agents.agent(model=llm, name=name, tools={"population": counted}) for name in "ab"
        ]
        return await agents.task(model=llm, agents=members, prompt="Go.").run()

    first = await flow(agents)
    ran, requests = context.bodies, len(model.requests)
    replay = context.replay()
    second = await flow(agent_workflow(replay))

    # This context does not replay in the order of recording, as the real one does.
    assert replace(second, calls=()) == replace(first, calls=())
    assert second.usage_by_agent == first.usage_by_agent
    assert second.text == "End."
    assert sorted(replay.steps) == sorted(context.steps)
    assert len(context.steps) == ran
    assert replay.bodies == 0
    assert sorted(executed) == ["Bergen", "Tokyo"]
    assert len(model.requests) == requests
    model.assert_done()


# Ends


async def test_out_of_turns_the_last_text_is_the_result(
    context: Any, agents: Agents, llm: Any, model: ScriptedModel
):
    model.call_tools(("population", {"city": "Tokyo"}), text="Tokyo first.")
    model.call_tools(("population", {"city": "Osaka"}))
    agent = agents.agent(model=llm, name="counter", tools=[population], max_steps=2)
    result = await agents.task(agent=agent, prompt="How many?").run()
    assert (result.text, result.finish_reason, result.turns) == ("Tokyo first.", "max_steps", 2)
    assert context.steps.count("Run tool population") == 1


async def test_a_manager_is_told_that_an_agent_came_to_no_answer(
    agents: Agents, llm: Any, model: ScriptedModel
):
    model.when(by(manager.NAME), _turn(("lost", {"prompt": "Where?"})), "It is lost.")
    model.when(by("lost"), _turn(("population", {"city": "Tokyo"})))
    lost = agents.agent(model=llm, name="lost", tools=[population], max_steps=1)
    result = await agents.task(model=llm, agents=[lost], prompt="Find.").run()
    assert result.text == "It is lost."
    assert told(model.requests[-1]) == ["Error: the agent came to no answer (max_steps)"]


async def test_tool_errors_are_told_and_the_model_may_mend_them(
    agents: Agents, llm: Any, model: ScriptedModel
):
    model.call_tools(("population", {"town": "Tokyo"}))
    model.call_tools(("population", {"city": "Bergen"}))
    model.call_tools(("population", {"city": "Tokyo"}))
    model.say("14 million.")
    agent = agents.agent(model=llm, name="counter", tools=[population])
    result = await agents.task(agent=agent, prompt="How many?").run()
    assert result.text == "14 million."
    wrong, missing, right = told(model.requests[-1])
    assert "city: Field required" in wrong
    assert missing == "Error: KeyError: 'Bergen'"
    assert right == "14000000"


async def test_tools_that_fail_in_turn_after_turn_fail_the_task(
    agents: Agents, llm: Any, model: ScriptedModel
):
    for _ in range(2):
        model.call_tools(("population", {"city": "Bergen"}))
    agent = agents.agent(model=llm, name="counter", tools=[population], max_tool_errors=2)
    with pytest.raises(WorkflowAgentsError) as caught:
        await agents.task(agent=agent, prompt="How many?").run()
    assert caught.value.code == "WA705"
    assert "population: Error: KeyError: 'Bergen'" in caught.value.found
    model.assert_done()


async def test_an_error_that_asks_for_no_retry_ends_the_task(
    agents: Agents, llm: Any, model: ScriptedModel
):
    def charge(amount: int) -> None:
        """Takes money."""
        raise WorkflowNonRetryableError("the card is stolen")

    model.call_tools(("charge", {"amount": 3}))
    agent = agents.agent(model=llm, name="cashier", tools=[charge])
    with pytest.raises(WorkflowNonRetryableError, match="stolen"):
        await agents.task(agent=agent, prompt="Charge.").run()


async def test_the_models_failure_is_not_the_managers_to_handle(
    agents: Agents, llm: Any, model: ScriptedModel
):
    model.when(by(manager.NAME), _turn(("helper", {"prompt": "Help."})))
    model.error(401, "Incorrect API key provided").error(401, "Incorrect API key provided")
    helper = agents.agent(model=_without_retries(llm), name="helper")
    with pytest.raises(RemoteError, match="Incorrect API key") as caught:
        await agents.task(model=llm, agents=[helper], prompt="Go.").run()
    assert (caught.value.code, caught.value.status) == ("WA703", 401)
    assert caught.value.where == "agent 'helper'"


async def test_rate_limits_and_dropped_connections_are_retried(
    agents: Agents, llm: Any, model: ScriptedModel
):
    model.rate_limit().broken("dropped").error(500, "Oops").say("Hello")
    agent = agents.agent(model=llm, name="greeter")
    assert (await agents.task(agent=agent, prompt="Hi").run()).text == "Hello"
    model.assert_done()


@pytest.mark.parametrize("kind", ["html", "empty", "truncated"])
async def test_a_garbled_answer_is_told(agents: Agents, llm: Any, model: ScriptedModel, kind: Any):
    model.broken(kind)
    agent = agents.agent(model=_without_retries(llm), name="greeter")
    with pytest.raises(RemoteError) as caught:
        await agents.task(agent=agent, prompt="Hi").run()
    assert caught.value.code == "WA703"
    assert re.search("expected a JSON object|without a JSON object", caught.value.found[0])


async def test_no_answer_at_all_is_told_with_the_failed_step(
    agents: Agents, llm: Any, model: ScriptedModel
):
    model.broken("dropped")
    agent = agents.agent(model=_without_retries(llm), name="greeter")
    with pytest.raises(RemoteError) as caught:
        await agents.task(agent=agent, prompt="Hi").run()
    assert caught.value.code == "WA703"
    assert isinstance(caught.value.__cause__, StepFailed)


# Options


async def test_settings_and_keys_reach_the_call(context: Any, agents: Agents, model: ScriptedModel):
    model.say("Hello")
    own = agents.openai(
        "deepseek-chat",
        base_url=model.base_url,
        api_key="sk-own",
        call_settings={"retries": 7, "retry_delay": "10", "timeout": "2m", "flow_control": None},
    )
    await agents.task(agent=agents.agent(model=own, name="a"), prompt="Hi").run()
    [call] = context.calls
    assert (call["method"], call["retries"], call["retry_delay"], call["timeout"]) == (
        "POST",
        7,
        "10",
        "2m",
    )
    assert model.requests[0].headers["authorization"] == "Bearer sk-own"
    assert model.requests[0].body["model"] == "deepseek-chat"


async def test_the_key_of_the_environment_is_passed_by_name_only(
    context: Any, agents: Agents, llm: Any, model: ScriptedModel
):
    model.say("Hello")
    await agents.task(agent=agents.agent(model=llm, name="a"), prompt="Hi").run()
    headers = context.calls[0]["headers"]
    assert headers["authorization"] == Secret("OPENAI_API_KEY", prefix="Bearer ")


async def test_agents_may_be_made_before_there_is_a_run(agents: Agents, model: ScriptedModel):
    agent = Agent(model=OpenAIModel("gpt-4o", base_url=model.base_url), name="early")
    model.say("Hello")
    assert (await agents.task(agent=agent, prompt="Hi").run()).text == "Hello"


async def test_agents_of_one_name_are_tools_of_two(agents: Agents, llm: Any, model: ScriptedModel):
    twins = [agents.agent(model=llm, name=name) for name in ("twin", "twin", "→", "x" * 80)]
    model.say("Hello")
    await agents.task(model=llm, agents=twins, prompt="Hi").run()
    assert model.requests[0].tools == ["twin", "twin_2", "agent", "x" * 60]


async def test_long_descriptions_are_cut_to_what_providers_take(
    agents: Agents, llm: Any, model: ScriptedModel
):
    agent = agents.agent(model=llm, name="long", background="word " * 500)
    model.say("Hello")
    await agents.task(model=llm, agents=[agent], prompt="Hi").run()
    description = model.requests[0].body["tools"][0]["function"]["description"]
    assert len(description) == 1024
    assert description.endswith("…")


async def test_a_task_without_temperature_and_background(
    agents: Agents, llm: Any, model: ScriptedModel
):
    member = agents.agent(model=llm, name="member")
    model.say("Hello")
    await agents.task(
        model=llm, agents=[member], prompt="Hi", background="", temperature=None
    ).run()
    assert "temperature" not in model.requests[0].body
    assert model.requests[0].messages == [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    "options",
    [
        {"name": ""},
        {"name": "two\nlines"},
        {"name": 3},
        {"model": "gpt-4o"},
        {"max_steps": 0},
        {"max_steps": 1.5},
        {"max_tool_errors": 0},
        {"temperature": 3},
    ],
)
def test_options_of_an_agent_that_do_not_fit_are_refused(options: dict[str, Any]):
    with pytest.raises(ConfigurationError) as caught:
        Agent(**{"model": OpenAIModel("m"), "name": "a", **options})
    assert caught.value.code == "WA702"
    assert repr(next(iter(options))) in caught.value.what


@pytest.mark.parametrize("form", ["neither", "both", "no agents", "no model"])
def test_a_task_is_for_one_agent_or_for_a_manager(agents: Agents, form: str):
    model = OpenAIModel("m")
    agent = agents.agent(model=model, name="a")
    options: dict[str, Any] = {
        "neither": {},
        "both": {"agent": agent, "model": model},
        "no agents": {"model": model, "agents": []},
        "no model": {"agents": [agent]},
    }[form]
    with pytest.raises(ConfigurationError) as caught:
        agents.task(prompt="Hi", **options)
    assert caught.value.code == "WA702"


def test_agents_agent_has_the_options_of_agent():
    def options(function: Any) -> dict[str, Any]:
        parameters = inspect.signature(function).parameters.values()
        return {p.name: p.default for p in parameters if p.name != "self"}

    assert options(Agents.agent) == options(Agent)
    assert CallSettings().retries == 3


def _turn(*calls: tuple[str, Any]) -> Any:
    from workflow_agents.testing.model_server import CallTools

    return CallTools(calls)


def _without_retries(llm: OpenAIModel) -> OpenAIModel:
    return OpenAIModel(llm.name, llm.base_url, call_settings=CallSettings(retries=0))
