"""OpenAI, and every provider that speaks its API."""

from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from workflow_agents import config
from workflow_agents.agents.messages import ModelReply
from workflow_agents.agents.models import chat_completions, over_http
from workflow_agents.agents.models.over_http import ModelRequest
from workflow_agents.agents.models.port import CallSettings, ModelSettings, Turn
from workflow_agents.agents.ports import AgentContext
from workflow_agents.errors import ConfigurationError
from workflow_agents.protocol.results import CallResponse
from workflow_agents.protocol.secrets import Secret

_BEARER = "Bearer "
_DEFAULT_KEY = Secret("OPENAI_API_KEY", prefix=_BEARER)


@dataclass(frozen=True, slots=True)
class OpenAIModel:
    """A model behind the OpenAI chat completions API, at OpenAI or at whoever speaks it.

    Attributes:
        name: of the model, as the provider knows it.
        base_url: up to and with "/v1"; None: OPENAI_BASE_URL, or else OpenAI itself.
        api_key: None: `Secret("OPENAI_API_KEY")`. A literal key is sealed by the engine.
        call_settings: how requests are made.
        settings: what holds where an agent says nothing.

    Raises:
        ConfigurationError: WA702 for an empty name or key.
    """

    name: str
    base_url: str | None = None
    api_key: str | Secret | None = None
    call_settings: CallSettings = field(default_factory=CallSettings)
    settings: ModelSettings = field(default_factory=ModelSettings)

    def __post_init__(self) -> None:
        if not self.name:
            raise ConfigurationError("WA702", "a model needs a name", where="OpenAIModel")
        if self.api_key == "":
            raise ConfigurationError(
                "WA702",
                "the api key is empty",
                where=f"OpenAIModel({self.name!r})",
                why="it was probably read from an environment variable that is not set",
                fix=(
                    'api_key=Secret("OPENAI_API_KEY")',
                    'api_key="none" for a server without keys',
                ),
            )

    def __repr__(self) -> str:
        return f"OpenAIModel({self.name!r}, base_url={self.base_url!r})"

    def ask(self, context: AgentContext, turn: Turn) -> Coroutine[Any, Any, ModelReply]:
        """See `Model.ask`."""
        return over_http.ask(context, self, turn)

    def request(self, turn: Turn) -> ModelRequest:
        """The chat completions request for the next turn.

        {"model": "gpt-4o", "temperature": 0.1,
         "messages": [{"role": "user", "content": "Add 1 and 2."}],
         "tools": [{"type": "function", "function": {"name": "add", ...}}]}
        """
        turn = replace(turn, settings=turn.settings.over(self.settings))
        body = chat_completions.body(self.name, turn)
        base_url = (self.base_url or config.openai_base_url()).rstrip("/")
        agent = turn.agent
        headers: dict[str, str | Secret] = {
            "authorization": _authorization(self.api_key),
            "content-type": "application/json",
            "upstash-agent-name": agent if agent.isascii() else quote(agent, safe=" "),
        }
        return ModelRequest(f"{base_url}/chat/completions", headers, body)

    def read(self, response: CallResponse[Any], turn: Turn) -> ModelReply:
        """The turn that the answer holds.

        Raises:
            RemoteError: WA703, with the provider's words, the status and the start of the body.
        """
        return chat_completions.read(response, model=self.name, agent=turn.agent)


def _authorization(key: str | Secret | None) -> str | Secret:
    if key is None:
        return _DEFAULT_KEY
    if isinstance(key, str):
        return _BEARER + key
    return key if key.prefix else replace(key, prefix=_BEARER)
