import pytest

from workflow_agents import CallSettings
from workflow_agents.agents.models.anthropic import AnthropicModel
from workflow_agents.agents.models.fallback import FallbackModel
from workflow_agents.agents.models.openai import OpenAIModel
from workflow_agents.agents.workflow import Agents
from workflow_agents.errors import RemoteError
from workflow_agents.testing.model_server import ScriptedModel

ONCE = CallSettings(retries=0)


@pytest.fixture
def chain(model: ScriptedModel, context) -> FallbackModel:
    context.env["ANTHROPIC_API_KEY"] = "sk-ant"
    return FallbackModel(
        OpenAIModel("gpt-4o", model.base_url, call_settings=ONCE),
        AnthropicModel("claude", model.anthropic_url, call_settings=ONCE),
        OpenAIModel("o3", model.base_url, api="responses", call_settings=ONCE),
    )


async def asked(agents: Agents, chain: FallbackModel) -> str:
    agent = agents.agent(model=chain, name="greeter")
    return (await agents.task(agent=agent, prompt="Hi").run()).text


async def test_the_first_is_asked_alone(agents: Agents, chain, model: ScriptedModel):
    model.say("Hello")
    assert await asked(agents, chain) == "Hello"
    assert [request.api for request in model.requests] == ["chat"]


async def test_the_next_is_asked_when_one_fails(agents: Agents, chain, model, context):
    model.error(500, "down").broken("nonsense").say("Hello")
    assert await asked(agents, chain) == "Hello"
    assert [request.api for request in model.requests] == ["chat", "messages", "responses"]
    assert context.steps == ["Call Agent greeter"] * 3
    model.assert_done()


async def test_when_all_fail_each_is_told(agents: Agents, chain, model: ScriptedModel):
    model.error(500, "down").error(529, "Overloaded").error(401, "no key")
    with pytest.raises(RemoteError) as caught:
        await asked(agents, chain)
    assert caught.value.code == "WA703"
    assert caught.value.status == 401
    first, second, third = caught.value.found
    assert first.startswith("gpt-4o: ")
    assert "down" in first
    assert second.startswith("claude: ")
    assert "Overloaded" in second
    assert third.startswith("o3: ")
    assert "no key" in third


def test_it_is_named_after_all(chain: FallbackModel):
    assert chain.name == "gpt-4o, claude, o3"
    assert "OpenAIModel('gpt-4o'" in repr(chain)
