from decimal import Decimal
from typing import Any

import pytest

from workflow_agents.agents.messages import AssistantMessage, ModelReply, Usage
from workflow_agents.agents.models.openai import OpenAIModel
from workflow_agents.agents.prices import Price, Prices
from workflow_agents.agents.spending import Spending, UsageLimits
from workflow_agents.agents.workflow import Agents, agent_workflow
from workflow_agents.errors import ConfigurationError, UsageLimitExceeded
from workflow_agents.protocol.approvals import Decision
from workflow_agents.testing.model_server import CallTools, RecordedRequest, ScriptedModel

MODEL = OpenAIModel("m")
PRICES = {"gpt-4o": Price(input="2.50", output="10", cached_input="1.25")}


def look(what: str = "") -> str:
    """Look at something."""
    return f"{what} is there"


def replied(spending: Spending, prompt: int, completion: int) -> None:
    spending.began(model_calls=1)
    usage = Usage(prompt, completion, prompt + completion)
    spending.replied("a", MODEL, ModelReply(AssistantMessage("x"), usage))


# Counting, without a task


@pytest.mark.parametrize(
    ("limits", "limit"),
    [
        (UsageLimits(steps=3), "steps"),
        (UsageLimits(model_calls=1), "model_calls"),
        (UsageLimits(prompt_tokens=100), "prompt_tokens"),
        (UsageLimits(completion_tokens=50), "completion_tokens"),
        (UsageLimits(total_tokens=150), "total_tokens"),
        (UsageLimits(cost_usd="0.0002"), "cost_usd"),
    ],
)
def test_what_is_used_up_stands_in_the_way_of_the_next_call(limits: UsageLimits, limit: str):
    spending = Spending("the run", Prices({"m": Price(1, 2)}, 0), limits)
    assert spending.breach(model_calls=1) is None
    replied(spending, 100, 50)
    spending.began(tool_calls=2)
    breach = spending.breach(model_calls=1)
    assert breach is not None
    assert breach.limit == limit
    assert breach.error().usage == Usage(100, 50, 150)


def test_tool_calls_are_counted_before_they_are_made():
    spending = Spending("the run", Prices({}, 0), UsageLimits(tool_calls=2))
    assert spending.breach(tool_calls=2) is None
    assert spending.breach(tool_calls=3) is not None


def test_tokens_do_not_stand_in_the_way_of_tools():
    spending = Spending("the run", Prices({}, 0), UsageLimits(total_tokens=150))
    replied(spending, 100, 50)
    assert spending.breach(tool_calls=1) is None


def test_a_limit_holds_for_everything_within():
    run = Spending("the run", Prices({}, 0), UsageLimits(model_calls=3))
    task = run.within("the task", None)
    agents = [task.within("agent", UsageLimits(model_calls=2)) for _ in range(2)]
    replied(agents[0], 1, 1)
    replied(agents[1], 1, 1)
    assert agents[0].breach(model_calls=1) is None
    replied(agents[0], 1, 1)
    inner, outer = agents[0].breach(model_calls=1), agents[1].breach(model_calls=1)
    assert inner is not None
    assert outer is not None
    assert (inner.spending, outer.spending) == (agents[0], run)
    assert [s.path for s in (run, task, *agents)] == ["0", "0.1", "0.1.1", "0.1.2"]
    assert len(run.calls) == 3


def test_a_limit_is_raised_once_for_one_answer():
    spending = Spending("the run", Prices({}, 0), UsageLimits(model_calls=1))
    replied(spending, 1, 1)
    spending.raise_limits(1)
    spending.raise_limits(1)
    assert spending.breach(model_calls=1) is None
    assert spending.breach(model_calls=2) is not None


@pytest.mark.parametrize(
    "options",
    [{"steps": -1}, {"tool_calls": 1.5}, {"cost_usd": "much"}, {"on_breach": "wait"}],
)
def test_values_that_are_no_limits_are_refused(options: dict[str, Any]):
    with pytest.raises(ConfigurationError) as caught:
        UsageLimits(**options)
    assert caught.value.code == "WA702"


# In tasks


async def test_a_task_stops_at_its_limit(
    context: Any, agents: Agents, llm: Any, model: ScriptedModel
):
    model.call_tools(("look", {}), usage=(100, 10)).call_tools(("look", {}), usage=(150, 10))
    agent = agents.agent(model=llm, name="clerk", tools=[look])
    limits = UsageLimits(total_tokens=200)
    with pytest.raises(UsageLimitExceeded) as caught:
        await agents.task(agent=agent, prompt="Look.", limits=limits).run()
    error = caught.value
    assert (error.limit, error.allowed, error.of) == ("total_tokens", 200, "the task")
    assert error.usage == Usage(250, 20, 270)
    assert context.steps.count("Call Agent clerk") == 2
    model.assert_done()


async def test_an_answer_that_was_paid_for_is_kept(agents: Agents, llm: Any, model: ScriptedModel):
    model.say("Here.", usage=(1000, 1000))
    agent = agents.agent(model=llm, name="clerk", limits=UsageLimits(total_tokens=10))
    assert (await agents.task(agent=agent, prompt="Look.").run()).text == "Here."


async def test_the_limits_of_a_manager_hold_for_its_agents(
    agents: Agents, llm: Any, model: ScriptedModel
):
    model.call_tools(("helper", {"prompt": "Look."})).call_tools(("look", {}))
    helper = agents.agent(model=llm, name="helper", tools=[look])
    task = agents.task(model=llm, agents=[helper], prompt="Go.", limits=UsageLimits(model_calls=2))
    with pytest.raises(UsageLimitExceeded) as caught:
        await task.run()
    assert caught.value.of == "the task"
    model.assert_done()


async def test_the_limits_of_a_run_hold_for_all_its_tasks(
    context: Any, llm: Any, model: ScriptedModel
):
    model.say("One.").say("Two.")
    agents = agent_workflow(context, limits=UsageLimits(model_calls=2))
    agent = agents.agent(model=llm, name="clerk")
    for _ in range(2):
        await agents.task(agent=agent, prompt="Go.").run()
    with pytest.raises(UsageLimitExceeded, match="of the run are used up"):
        await agents.task(agent=agent, prompt="Go.").run()


def approve(wait: dict[str, Any]) -> dict[str, Any]:
    shown = wait["details"]["argumentsHash"]
    return Decision(verdict="approve", arguments_hash=shown).to_json()


def reject(wait: dict[str, Any]) -> dict[str, Any]:
    shown = wait["details"]["argumentsHash"]
    return Decision(verdict="reject", arguments_hash=shown, reason="too dear").to_json()


async def test_a_person_may_allow_as_much_again(
    context: Any, agents: Agents, llm: Any, model: ScriptedModel
):
    context.answers = [{"meant": "for something else"}, approve, approve]
    model.call_tools(("look", {})).call_tools(("look", {})).say("Done.")
    agent = agents.agent(
        model=llm, name="clerk", tools=[look], limits=UsageLimits(model_calls=1, on_breach="pause")
    )
    result = await agents.task(agent=agent, prompt="Look.").run()
    assert result.text == "Done."
    assert context.steps == [
        "Call Agent clerk",
        "Run tool look",
        "Limit of agent 'clerk'",
        "Limit of agent 'clerk'",
        "Call Agent clerk",
        "Run tool look",
        "Limit of agent 'clerk'",
        "Call Agent clerk",
    ]
    ids = [wait["event_id"] for wait in context.waits]
    assert ids[0] == ids[1] != ids[2]
    assert ids[0].startswith("approval:wfr_fake:")
    assert context.waits[0]["details"]["kind"] == "limit"

    replay = context.replay()
    again = await agent_workflow(replay).task(agent=agent, prompt="Look.").run()
    assert again == result


@pytest.mark.parametrize(("answer", "reason"), [(reject, "too dear"), (None, "nobody answered")])
async def test_a_person_may_refuse_more(
    context: Any, agents: Agents, llm: Any, model: ScriptedModel, answer, reason
):
    context.answers = [answer]
    model.call_tools(("look", {}))
    agent = agents.agent(model=llm, name="clerk", tools=[look])
    limits = UsageLimits(model_calls=1, on_breach="pause")
    with pytest.raises(UsageLimitExceeded) as caught:
        await agents.task(agent=agent, prompt="Look.", limits=limits).run()
    assert reason in caught.value.reason


# Money


def test_a_price_counts_what_the_cache_had():
    usage = Usage(1_000_000, 100_000, 1_100_000, cached_prompt_tokens=400_000)
    assert PRICES["gpt-4o"].of(usage) == Decimal("1.5") + Decimal("0.5") + Decimal("1")
    assert Price(input=0.1, output=0.2).of(Usage(3, 0, 3)) == Decimal("0.0000003")


async def test_cost_by_call_task_and_run(context: Any, llm: Any, model: ScriptedModel):
    agents = agent_workflow(context, prices=PRICES)
    model.call_tools(("look", {}), usage=(1000, 100)).say("Done.", usage=(2000, 50))
    agent = agents.agent(model=llm, name="clerk", tools=[look])
    result = await agents.task(agent=agent, prompt="Look.").run()
    assert [call.cost_usd for call in result.calls] == [Decimal("0.0035"), Decimal("0.0055")]
    assert result.cost_usd == agents.cost_usd == Decimal("0.009")
    assert agents.usage == result.usage == Usage(3000, 150, 3150)
    assert {(call.agent, call.model) for call in result.calls} == {("clerk", "gpt-4o")}


async def test_an_unknown_price_makes_the_cost_unknown(
    agents: Agents, llm: Any, model: ScriptedModel
):
    """The model's address is nobody's in the list, so its name says nothing."""
    model.say("Hello")
    result = await agents.task(agent=agents.agent(model=llm, name="a"), prompt="Hi").run()
    assert result.cost_usd is None


def test_list_prices_are_known_offline():
    usage = Usage(1_000_000, 0, 1_000_000)
    at = 1_750_000_000_000
    prices = Prices({}, at)
    assert prices.cost(OpenAIModel("gpt-4o"), "gpt-4o-2024-08-06", usage) == Decimal("2.5")
    assert prices.cost(OpenAIModel("gpt-4o"), "", usage) == Decimal("2.5")
    assert prices.cost(OpenAIModel("nobodys-model"), "", usage) is None
    own = prices.over({"gpt-4o": Price(1, 1)})
    assert own.cost(OpenAIModel("gpt-4o"), "gpt-4o-2024-08-06", usage) == 1


async def test_a_limit_of_money(context: Any, agents: Agents, llm: Any, model: ScriptedModel):
    model.call_tools(("look", {}), usage=(10_000, 0))
    agent = agents.agent(model=llm, name="clerk", tools=[look])
    limits = UsageLimits(cost_usd="0.025")
    with pytest.raises(UsageLimitExceeded) as caught:
        await agents.task(agent=agent, prompt="Look.", limits=limits, prices=PRICES).run()
    assert caught.value.limit == "cost_usd"


async def test_money_without_a_price_is_refused_before_it_is_spent(
    agents: Agents, llm: Any, model: ScriptedModel
):
    agent = agents.agent(model=llm, name="clerk", limits=UsageLimits(cost_usd=1))
    with pytest.raises(ConfigurationError, match="what 'gpt-4o' costs is not known"):
        await agents.task(agent=agent, prompt="Look.").run()
    assert model.requests == []


async def test_agents_side_by_side_share_what_their_task_may_spend(
    context: Any, agents: Agents, llm: Any, model: ScriptedModel
):
    """Both meet the limit, both wait for the same decision; it lets both go on."""
    context.answers = [approve, approve]

    def turn(request: RecordedRequest) -> Any:
        said = sum(m["role"] == "assistant" for m in request.messages)
        return CallTools((("look", {}),)) if not said else "done"

    both = CallTools((("one", {"prompt": "Go."}), ("two", {"prompt": "Go."})))
    model.when(lambda r: r.agent == "Manager LLM", both, "All done.")
    model.when(lambda r: r.agent in ("one", "two"), turn, repeat=True)
    members = [agents.agent(model=llm, name=name, tools=[look]) for name in ("one", "two")]
    limits = UsageLimits(model_calls=3, on_breach="pause")
    task = agents.task(model=llm, agents=members, prompt="Go.", limits=limits)
    assert (await task.run()).text == "All done."
    assert len({wait["event_id"] for wait in context.waits}) == 1
