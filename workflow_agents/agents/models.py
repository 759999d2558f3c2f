"""Models: how a transcript becomes a provider's request, and its reply a turn.

Nothing is sent from here, and no provider's package is used. A model says what is to be
requested; the agent has the engine make the request, as one durable step; and the model reads
the answer. The keys of providers stay references (`Secret`) that the engine resolves at the
moment of the call. Another provider is another class with the methods of `Model`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from workflow_agents import config
from workflow_agents.agents import chat_completions
from workflow_agents.agents.messages import ChatMessage, ModelReply
from workflow_agents.errors import ConfigurationError
from workflow_agents.protocol.results import CallResponse
from workflow_agents.protocol.secrets import Secret

if TYPE_CHECKING:
    from workflow_agents.agents.tools import Tool
    from workflow_agents.context.context import Duration, FlowControl

_BEARER = "Bearer "
_DEFAULT_KEY = Secret("OPENAI_API_KEY", prefix=_BEARER)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSettings:
    """How the engine makes the requests to a model.

    Attributes:
        retries: how often an answer other than 2xx, or none, is tried again.
        retry_delay: an expression in milliseconds; an own `Retry-After` of the provider wins.
        timeout: of one attempt: seconds or "2m"; None: the engine's.
        flow_control: a key whose limits all requests share, over all runs.
    """

    retries: int = 3
    retry_delay: str | None = "min(60000, pow(2, retried) * 1000)"
    timeout: "Duration | None" = None
    flow_control: "FlowControl | None" = None

    @classmethod
    def of(cls, settings: "CallSettings | Mapping[str, Any] | None") -> "CallSettings":
        """Settings from themselves, from a dict, or the default ones.

        Raises:
            ConfigurationError: WA101 for a key that is no setting.
        """
        if isinstance(settings, CallSettings):
            return settings
        known = [field.name for field in fields(cls)]
        for key in settings or {}:
            if key not in known:
                close = get_close_matches(key, known, 1)
                raise ConfigurationError(
                    "WA101",
                    where="call_settings",
                    found=f"expected {', '.join(known)}; found {key!r}",
                    fix=(f"did you mean {close[0]!r}?",) if close else (),
                )
        return cls(**(settings or {}))


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What is to be POSTed to a provider, as JSON."""

    url: str
    headers: dict[str, str | Secret]
    body: dict[str, Any]


class Model(Protocol):
    """What an agent needs of a model."""

    @property
    def call_settings(self) -> CallSettings:
        """How its requests are made."""
        ...

    def request(
        self,
        transcript: Sequence[ChatMessage],
        *,
        agent: str,
        tools: "Sequence[Tool]" = (),
        temperature: float | None = None,
    ) -> ModelRequest:
        """The request for the next turn of the agent named."""
        ...

    def read(self, response: CallResponse[Any], *, agent: str) -> ModelReply:
        """The turn that the answer holds; `RemoteError` WA703 if it holds none."""
        ...


@dataclass(frozen=True, slots=True)
class OpenAIModel:
    """A model behind the OpenAI chat completions API, at OpenAI or at whoever speaks it.

    Attributes:
        name: of the model, as the provider knows it.
        base_url: up to and with "/v1"; None: OPENAI_BASE_URL, or else OpenAI itself.
        api_key: None: `Secret("OPENAI_API_KEY")`. A literal key is sealed by the engine.
        call_settings: how requests are made.

    Raises:
        ConfigurationError: WA702 for an empty name or key.
    """

    name: str
    base_url: str | None = None
    api_key: str | Secret | None = None
    call_settings: CallSettings = CallSettings()

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

    def request(
        self,
        transcript: Sequence[ChatMessage],
        *,
        agent: str,
        tools: "Sequence[Tool]" = (),
        temperature: float | None = None,
    ) -> ModelRequest:
        """The chat completions request for the next turn.

        {"model": "gpt-4o", "temperature": 0.1,
         "messages": [{"role": "user", "content": "Add 1 and 2."}],
         "tools": [{"type": "function", "function": {"name": "add", ...}}]}
        """
        body = chat_completions.body(self.name, transcript, tools, temperature)
        base_url = (self.base_url or config.openai_base_url()).rstrip("/")
        headers: dict[str, str | Secret] = {
            "authorization": _authorization(self.api_key),
            "content-type": "application/json",
            "upstash-agent-name": agent if agent.isascii() else quote(agent, safe=" "),
        }
        return ModelRequest(f"{base_url}/chat/completions", headers, body)

    def read(self, response: CallResponse[Any], *, agent: str) -> ModelReply:
        """The turn that the answer holds.

        Raises:
            RemoteError: WA703, with the provider's words, the status and the start of the body.
        """
        return chat_completions.read(response, model=self.name, agent=agent)


def _authorization(key: str | Secret | None) -> str | Secret:
    if key is None:
        return _DEFAULT_KEY
    if isinstance(key, str):
        return _BEARER + key
    return key if key.prefix else replace(key, prefix=_BEARER)
