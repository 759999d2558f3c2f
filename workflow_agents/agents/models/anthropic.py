"""Anthropic's models, over the Messages API, without Anthropic's package."""

from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from workflow_agents import config
from workflow_agents.agents.messages import ModelReply
from workflow_agents.agents.models import keys, messages_api, over_http
from workflow_agents.agents.models.over_http import ModelRequest
from workflow_agents.agents.models.port import CallSettings, ModelSettings, Turn
from workflow_agents.agents.ports import AgentContext
from workflow_agents.errors import ConfigurationError
from workflow_agents.protocol.results import CallResponse
from workflow_agents.protocol.secrets import Secret

KeyHeader = Literal["x-api-key", "authorization"]

_DEFAULT_KEY = Secret("ANTHROPIC_API_KEY")
_WITHOUT_SAMPLING = "2026-10-21"
"""From this version on, the API has no temperature and no top_p."""


@dataclass(frozen=True, slots=True)
class AnthropicModel:
    """A model behind Anthropic's Messages API.

    Attributes:
        name: of the model, as Anthropic knows it.
        base_url: without "/v1"; None: ANTHROPIC_BASE_URL, or else Anthropic itself.
        api_key: None: `Secret("ANTHROPIC_API_KEY")`. A literal key is sealed by the engine.
        call_settings: how requests are made.
        settings: what holds where an agent says nothing. The API knows no `seed`.
        max_tokens: that a reply may have where no settings say; the API wants it said.
        version: of the API, as header. From "2026-10-21" on it has no temperature and no
            top_p, and none are sent.
        key_header: "x-api-key", or "authorization", which the newer version prefers.
        stream: whether answers arrive token by token, for who follows the run.
        output_mode: how an agent's `output_type` is asked for: as a schema that the model is
            held to, or, for models that cannot be, "prompt".

    Raises:
        ConfigurationError: WA702 for an empty name or key, WA102 for an option.
    """

    name: str
    base_url: str | None = None
    api_key: str | Secret | None = None
    call_settings: CallSettings = field(default_factory=CallSettings)
    settings: ModelSettings = field(default_factory=ModelSettings)
    max_tokens: int = 4096
    version: str = "2023-06-01"
    key_header: KeyHeader = "x-api-key"
    stream: bool = False
    output_mode: Literal["json_schema", "prompt"] = "json_schema"

    def __post_init__(self) -> None:
        keys.check("AnthropicModel", self.name, self.api_key, "ANTHROPIC_API_KEY")
        if not isinstance(self.max_tokens, int) or self.max_tokens < 1:  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
            self._refuse("max_tokens", "a whole number from 1", self.max_tokens)
        if self.key_header not in ("x-api-key", "authorization"):
            self._refuse("key_header", "'x-api-key' or 'authorization'", self.key_header)

    def __repr__(self) -> str:
        return f"AnthropicModel({self.name!r}, base_url={self.base_url!r})"

    @property
    def provider_key(self) -> str:
        """What all requests under one rate limit have in common; see `keys.provider_key`."""
        return keys.provider_key(self._address(), self.api_key or _DEFAULT_KEY)

    def ask(self, context: AgentContext, turn: Turn) -> Coroutine[Any, Any, ModelReply]:
        """See `Model.ask`."""
        return over_http.ask(context, self, turn)

    def request(self, turn: Turn) -> ModelRequest:
        """The request for the next turn.

        {"model": "claude-sonnet-4-5", "max_tokens": 4096, "temperature": 0.1,
         "tools": [{"name": "add", "input_schema": {...}}], "system": "You add.",
         "messages": [{"role": "user", "content": "Add 1 and 2."}]}
        """
        body = messages_api.body(
            self.name,
            replace(turn, settings=turn.settings.over(self.settings)),
            max_tokens=self.max_tokens,
            sampling=self.version < _WITHOUT_SAMPLING,
            stream=self.stream,
            holds=self.output_mode == "json_schema",
        )
        key = self.api_key or _DEFAULT_KEY
        headers: dict[str, str | Secret] = {
            self.key_header: keys.bearer(key) if self.key_header == "authorization" else key,
            "anthropic-version": self.version,
            "content-type": "application/json",
            "upstash-agent-name": keys.agent_header(turn.agent),
        }
        url = f"{self._address()}{messages_api.PATH}"
        stream = "anthropic.messages" if self.stream else None
        return ModelRequest(url, headers, body, messages_api.NEEDED, stream)

    def read(self, response: CallResponse[Any], turn: Turn) -> ModelReply:
        """The turn that the answer holds.

        Raises:
            RemoteError: WA703, with the provider's words, the status and the start of the body.
        """
        return messages_api.read(response, model=self.name, agent=turn.agent)

    def _address(self) -> str:
        """Without "/v1", which some write because OpenAI's addresses have it."""
        return (self.base_url or config.anthropic_base_url()).rstrip("/").removesuffix("/v1")

    def _refuse(self, option: str, expected: str, found: object) -> None:
        raise ConfigurationError(
            "WA102",
            f"{option} cannot be used",
            where=f"AnthropicModel({self.name!r})",
            found=f"expected {expected}, found {found!r}",
            fix=(f"pass {expected} as {option}",),
        )
