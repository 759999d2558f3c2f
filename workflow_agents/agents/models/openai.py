"""OpenAI, and every provider that speaks its API."""

import re
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import urlsplit

from workflow_agents import config
from workflow_agents.agents.messages import ModelReply
from workflow_agents.agents.models import chat_completions, keys, over_http, responses
from workflow_agents.agents.models.chat_completions import Dialect, LimitName
from workflow_agents.agents.models.output import OutputMode
from workflow_agents.agents.models.over_http import ModelRequest
from workflow_agents.agents.models.port import CallSettings, ModelSettings, Turn
from workflow_agents.agents.ports import AgentContext
from workflow_agents.errors import ConfigurationError
from workflow_agents.protocol.results import CallResponse
from workflow_agents.protocol.secrets import Secret

OpenAIApi = Literal["chat.completions", "responses"]

_DEFAULT_KEY = Secret("OPENAI_API_KEY")
_REASONS = re.compile(r"(o\d|gpt-5)(?!.*chat)")
_OPENAI = ("openai.com", "openai.azure.com")


@dataclass(frozen=True, slots=True)
class OpenAIModel:
    """A model behind the OpenAI API, at OpenAI or at whoever speaks it.

    Attributes:
        name: of the model, as the provider knows it. OpenAI's models that reason (o3, gpt-5)
            take no temperature and no top_p, and are sent none.
        base_url: up to and with "/v1"; None: OPENAI_BASE_URL, or else OpenAI itself.
        api_key: None: `Secret("OPENAI_API_KEY")`. A literal key is sealed by the engine.
        call_settings: how requests are made.
        settings: what holds where an agent says nothing.
        api: "chat.completions", which all compatible providers have, or "responses", which is
            used without state: each request holds the whole conversation.
        stream: whether answers arrive token by token, for who follows the run.
        limit_name: what chat completions call the limit of a reply; None:
            "max_completion_tokens" for OpenAI and models that reason, else "max_tokens",
            which every compatible provider knows.
        output_mode: how an agent's `output_type` is asked for: as a schema that the provider
            holds the model to; "json_object"; or, for providers without either, "prompt".

    Raises:
        ConfigurationError: WA702 for an empty name or key, WA102 for an option.
    """

    name: str
    base_url: str | None = None
    api_key: str | Secret | None = None
    call_settings: CallSettings = field(default_factory=CallSettings)
    settings: ModelSettings = field(default_factory=ModelSettings)
    api: OpenAIApi = "chat.completions"
    stream: bool = False
    limit_name: LimitName | None = None
    output_mode: OutputMode = "json_schema"

    def __post_init__(self) -> None:
        keys.check("OpenAIModel", self.name, self.api_key, "OPENAI_API_KEY")
        if self.api not in ("chat.completions", "responses"):
            raise ConfigurationError(
                "WA102",
                "api cannot be used",
                where=f"OpenAIModel({self.name!r})",
                found=f"expected 'chat.completions' or 'responses', found {self.api!r}",
                fix=('api="responses"',),
            )

    def __repr__(self) -> str:
        return f"OpenAIModel({self.name!r}, base_url={self.base_url!r})"

    @property
    def provider_key(self) -> str:
        """What all requests under one rate limit have in common; see `keys.provider_key`."""
        return keys.provider_key(self._address(), self.api_key or _DEFAULT_KEY)

    def ask(self, context: AgentContext, turn: Turn) -> Coroutine[Any, Any, ModelReply]:
        """See `Model.ask`."""
        return over_http.ask(context, self, turn)

    def request(self, turn: Turn) -> ModelRequest:
        """The request for the next turn, of chat completions for example.

        {"model": "gpt-4o", "temperature": 0.1,
         "tools": [{"type": "function", "function": {"name": "add", ...}}],
         "messages": [{"role": "user", "content": "Add 1 and 2."}]}
        """
        turn = replace(turn, settings=self._settings(turn.settings.over(self.settings)))
        reasons = _REASONS.match(self.name) is not None
        if self.api == "responses":
            path, needed = responses.PATH, responses.NEEDED
            body = responses.body(self.name, turn, reasons=reasons, stream=self.stream)
        else:
            path, needed = chat_completions.PATH, chat_completions.NEEDED
            dialect = Dialect(self._limit_name(reasons=reasons), self.output_mode)
            body = chat_completions.body(self.name, turn, dialect, stream=self.stream)
        headers: dict[str, str | Secret] = {
            "authorization": keys.bearer(self.api_key or _DEFAULT_KEY),
            "content-type": "application/json",
            "upstash-agent-name": keys.agent_header(turn.agent),
        }
        stream = self.api if self.stream else None
        return ModelRequest(f"{self._address()}{path}", headers, body, needed, stream)

    def read(self, response: CallResponse[Any], turn: Turn) -> ModelReply:
        """The turn that the answer holds.

        Raises:
            RemoteError: WA703, with the provider's words, the status and the start of the body.
        """
        spoken = responses if self.api == "responses" else chat_completions
        return spoken.read(response, model=self.name, agent=turn.agent)

    def _address(self) -> str:
        return (self.base_url or config.openai_base_url()).rstrip("/")

    def _settings(self, settings: ModelSettings) -> ModelSettings:
        if _REASONS.match(self.name) is None:
            return settings
        return replace(settings, temperature=None, top_p=None)

    def _limit_name(self, *, reasons: bool) -> LimitName:
        if self.limit_name is not None:
            return self.limit_name
        host = urlsplit(self._address()).hostname or ""
        ours = any(host == domain or host.endswith(f".{domain}") for domain in _OPENAI)
        return "max_completion_tokens" if ours or reasons else "max_tokens"
