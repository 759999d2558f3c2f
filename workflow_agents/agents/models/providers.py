"""Models by name: "openai:gpt-4o", "anthropic:claude-sonnet-4-5", "groq:llama-3.3-70b".

The table holds providers that speak OpenAI's chat completions: where they are, which variable
holds their key, and what they know of structured output. Any other is an `OpenAIModel` with a
`base_url` of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, cast

from workflow_agents.agents.models.anthropic import AnthropicModel
from workflow_agents.agents.models.langchain import LangChainModel, is_chat_model
from workflow_agents.agents.models.openai import OpenAIModel
from workflow_agents.agents.models.output import OutputMode
from workflow_agents.agents.models.port import CallSettings, Model, ModelLike, ModelSettings
from workflow_agents.errors import ConfigurationError
from workflow_agents.protocol.secrets import Secret


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider that speaks OpenAI's API.

    Attributes:
        base_url: where.
        variable: the environment variable that holds the key; None: it has no keys.
        output_mode: what it knows of the shape of an answer.
    """

    base_url: str
    variable: str | None
    output_mode: OutputMode = "json_schema"


PROVIDERS: Mapping[str, Provider] = {
    "cerebras": Provider("https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    "deepseek": Provider("https://api.deepseek.com/v1", "DEEPSEEK_API_KEY", "json_object"),
    "fireworks": Provider("https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    "github": Provider("https://models.github.ai/inference", "GITHUB_TOKEN"),
    "google": Provider("https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY"),
    "groq": Provider("https://api.groq.com/openai/v1", "GROQ_API_KEY", "json_object"),
    "huggingface": Provider("https://router.huggingface.co/v1", "HF_TOKEN"),
    "lmstudio": Provider("http://localhost:1234/v1", None),
    "mistral": Provider("https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    "moonshot": Provider("https://api.moonshot.ai/v1", "MOONSHOT_API_KEY", "json_object"),
    "nvidia": Provider("https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY", "prompt"),
    "ollama": Provider("http://localhost:11434/v1", None),
    "openrouter": Provider("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "perplexity": Provider("https://api.perplexity.ai", "PERPLEXITY_API_KEY"),
    "together": Provider("https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    "vllm": Provider("http://localhost:8000/v1", None),
    "xai": Provider("https://api.x.ai/v1", "XAI_API_KEY"),
}

_NAMES = ("openai", "openai-responses", "anthropic", *PROVIDERS)


def model(value: ModelLike, **options: Any) -> Model:
    """A model by its name, or of whatever can be one.

        model("openai:gpt-4o")
        model("anthropic:claude-sonnet-4-5", max_tokens=8192)
        model("ollama:llama3.2")
        model(ChatOpenAI(model="gpt-4o"))    # any chat model of LangChain

    Args:
        value: "provider:name", a `Model`, or a chat model of LangChain.
        options: of `OpenAIModel` or `AnthropicModel`; only with a name. `call_settings` and
            `settings` may be dicts.

    Raises:
        ConfigurationError: WA702 for an unknown provider, or what is no model; WA101 for an
            unknown option.
    """
    if isinstance(value, str):
        return _named(value, options)
    if options:
        raise _no_model(value, "options go with a name such as 'openai:gpt-4o'")
    if hasattr(value, "ask") and hasattr(value, "name") and not isinstance(value, type):
        return cast("Model", value)
    if is_chat_model(value):
        return LangChainModel(value)
    raise _no_model(value)


def model_of(value: ModelLike) -> Model:
    """The model that an agent is given: a `Model`, "provider:name", or LangChain's.

    Raises:
        ConfigurationError: WA702 for anything else.
    """
    return model(value)


def _named(value: str, options: dict[str, Any]) -> Model:
    provider, colon, name = value.partition(":")
    if not colon or not name:
        raise _no_model(value, "expected 'provider:name'")
    if provider not in _NAMES:
        near = get_close_matches(provider, _NAMES, 1)
        raise ConfigurationError(
            "WA702",
            f"there is no provider {provider!r}",
            where=f"model {value!r}",
            found=f"expected one of {', '.join(_NAMES)}; found {provider!r}",
            why="only these are known by name",
            fix=(
                *((f"did you mean {f'{near[0]}:{name}'!r}?",) if near else ()),
                f'OpenAIModel({name!r}, base_url="https://…/v1", api_key=Secret("…"))',
            ),
        )
    made = _with_settings(options)
    if provider == "anthropic":
        return _make(AnthropicModel, value, name, made)
    if provider == "openai-responses":
        made = {"api": "responses", **made}
    elif provider in PROVIDERS:
        known = PROVIDERS[provider]
        key = Secret(known.variable) if known.variable else "none"
        defaults = {"api_key": key, "output_mode": known.output_mode}
        made = {"base_url": known.base_url, **defaults, **made}
    return _make(OpenAIModel, value, name, made)


def _make(
    kind: type[OpenAIModel] | type[AnthropicModel], value: str, name: str, options: dict[str, Any]
) -> Model:
    known = [option for option in kind.__dataclass_fields__ if option != "name"]
    for option in options:
        if option not in known:
            near = get_close_matches(option, known, 1)
            raise ConfigurationError(
                "WA101",
                where=f"model({value!r}, ...)",
                found=f"expected {', '.join(known)}; found {option!r}",
                fix=(f"did you mean {near[0]!r}?",) if near else (),
            )
    return kind(name, **options)


def _with_settings(options: dict[str, Any]) -> dict[str, Any]:
    made = dict(options)
    if "call_settings" in made:
        made["call_settings"] = CallSettings.of(made["call_settings"])
    if "settings" in made:
        made["settings"] = ModelSettings.of(made["settings"])
    return made


def _no_model(value: object, why: str = "") -> ConfigurationError:
    return ConfigurationError(
        "WA702",
        "'model' is no model",
        where="option 'model'",
        found=f"expected a model, found {value!r}"[:200],
        why=why,
        fix=('model="openai:gpt-4o"', 'model=OpenAIModel("gpt-4o", base_url="https://…/v1")'),
    )
