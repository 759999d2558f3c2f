from typing import Any

import pytest

import workflow_agents
from workflow_agents import Agent, AnthropicModel, FallbackModel, OpenAIModel, Secret
from workflow_agents.agents.models.providers import PROVIDERS, model, model_of
from workflow_agents.agents.workflow import Agents
from workflow_agents.errors import ConfigurationError


def test_models_have_names():
    assert model("openai:gpt-4o") == OpenAIModel("gpt-4o")
    assert model("openai-responses:gpt-4o") == OpenAIModel("gpt-4o", api="responses")
    assert model("anthropic:claude-x", max_tokens=9) == AnthropicModel("claude-x", max_tokens=9)
    ollama = model("ollama:llama3.2:1b")
    assert isinstance(ollama, OpenAIModel)
    assert (ollama.name, ollama.base_url) == ("llama3.2:1b", "http://localhost:11434/v1")


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_has_an_address_and_a_key(name: str):
    made: Any = model(f"{name}:some-model")
    known = PROVIDERS[name]
    assert made.base_url.startswith(("https://", "http://localhost"))
    assert made.api_key == (Secret(known.variable) if known.variable else "none")
    assert made.output_mode == known.output_mode


def test_options_go_over_those_of_the_table():
    made: Any = model(
        "deepseek:chat",
        api_key="sk",
        base_url="http://x/v1",
        settings={"seed": 1},
        call_settings={"retries": 0},
    )
    assert (made.api_key, made.base_url, made.settings.seed) == ("sk", "http://x/v1", 1)
    assert made.call_settings.retries == 0


def test_a_model_is_a_model():
    own = OpenAIModel("m")
    assert model_of(own) is own


def test_an_agent_takes_a_name(agents: Agents):
    assert Agent(model="openai:gpt-4o", name="a").model == OpenAIModel("gpt-4o")
    assert agents.agent(model="anthropic:c", name="a").model == AnthropicModel("c")
    assert agents.model("openai:gpt-4o") == OpenAIModel("gpt-4o")
    chain = agents.fallback("openai:gpt-4o", "anthropic:c")
    assert chain.models == (OpenAIModel("gpt-4o"), AnthropicModel("c"))
    assert workflow_agents.model("openai:m") == OpenAIModel("m")


def test_the_shorter_ways_make_the_same(agents: Agents):
    assert agents.openai("m", api="responses", stream=True, settings={"seed": 1}) == model(
        "openai:m", api="responses", stream=True, settings={"seed": 1}
    )
    assert agents.anthropic("c", max_tokens=9, base_url="http://x") == model(
        "anthropic:c", max_tokens=9, base_url="http://x"
    )


@pytest.mark.parametrize(
    ("make", "code", "says"),
    [
        (lambda: model("opnai:gpt-4o"), "WA702", "did you mean 'openai:gpt-4o'?"),
        (lambda: model("acme:m"), "WA702", "base_url="),
        (lambda: model("gpt-4o"), "WA702", "provider:name"),
        (lambda: model("openai:"), "WA702", "provider:name"),
        (lambda: model(3), "WA702", "found 3"),
        (lambda: model(OpenAIModel), "WA702", "expected a model"),
        (lambda: model(OpenAIModel("m"), stream=True), "WA702", "options go with a name"),
        (lambda: model("openai:m", max_token=3), "WA101", "found 'max_token'"),
        (lambda: model("anthropic:m", key_heder="x"), "WA101", "did you mean 'key_header'?"),
        (lambda: model("openai:m", settings={"temp": 1}), "WA101", "'temp'"),
        (lambda: FallbackModel("openai:m"), "WA702", "two models or more"),
        (lambda: FallbackModel("openai:m", 3), "WA702", "found 3"),
    ],
)
def test_what_is_no_model_is_refused(make: Any, code: str, says: str):
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert caught.value.code == code
    assert says in str(caught.value)
