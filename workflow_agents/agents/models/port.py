"""The Model port: what an agent needs of a model, whoever the provider is.

An agent says what the turn is (`Turn`) and gets what the model said (`ModelReply`). How that is
asked, in one durable step or several, is the model's affair: most make one `call` step, which the
engine executes while no workflow code waits (`over_http`); a model that cannot be written as an
HTTP request makes a `run` step.
"""

from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from workflow_agents.agents.messages import ChatMessage, ModelReply
from workflow_agents.agents.ports import AgentContext
from workflow_agents.errors import ConfigurationError

if TYPE_CHECKING:
    from workflow_agents.agents.tools import Tool
    from workflow_agents.context.context import Duration, FlowControl

S = TypeVar("S")

ModelLike = Any
"""What `model_of` makes a model of: a `Model`, "openai:gpt-4o", or a chat model of LangChain."""

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""How much a model may think, least first."""


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
        return _of(cls, settings, "call_settings")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """What a model is asked to be like. What is None is not sent: the provider decides.

    Attributes:
        temperature: 0 to 2; models that reason choose it themselves and are sent none.
        top_p: of nucleus sampling, 0 to 1.
        max_tokens: that the reply may have at most.
        tool_choice: "auto", "none", "required", or the name of a tool.
        parallel_tool_calls: whether one turn may call several tools.
        reasoning_effort: "none", "minimal", "low", "medium", "high", "xhigh" or "max", where
            the provider has it.
        stop: texts at which the reply ends.
        seed: for providers that sample by it.
        extra_body: members of the provider's own, merged into the request as they are.

    Raises:
        ConfigurationError: WA102 for a value that no provider takes.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    tool_choice: str | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None
    stop: Sequence[str] = ()
    seed: int | None = None
    extra_body: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        for option, most in (("temperature", 2), ("top_p", 1)):
            value = getattr(self, option)
            if value is not None and not (_is_number(value) and 0 <= value <= most):
                raise _wrong(option, f"a number from 0 to {most}", value)
        if self.max_tokens is not None and not _is_whole(self.max_tokens, least=1):
            raise _wrong("max_tokens", "a whole number from 1", self.max_tokens)
        if self.reasoning_effort is not None and self.reasoning_effort not in EFFORTS:
            raise _wrong("reasoning_effort", f"one of {', '.join(EFFORTS)}", self.reasoning_effort)
        if isinstance(self.stop, str):
            raise _wrong("stop", "a list of texts", self.stop)

    @classmethod
    def of(cls, settings: "ModelSettings | Mapping[str, Any] | None") -> "ModelSettings":
        """Settings from themselves, from a dict, or none.

        Raises:
            ConfigurationError: WA101 for a key that is no setting.
        """
        return _of(cls, settings, "settings")

    def over(self, other: "ModelSettings") -> "ModelSettings":
        """These settings, and where they say nothing, those."""
        merged = {
            f.name: getattr(self, f.name) or getattr(other, f.name)
            if f.name in {"stop", "extra_body"}
            else getattr(other if getattr(self, f.name) is None else self, f.name)
            for f in fields(self)
        }
        return ModelSettings(**merged)


@dataclass(frozen=True, slots=True)
class OutputSchema:
    """The shape that the text of a reply is to have.

    Attributes:
        name: of the type, for the provider.
        schema: a JSON schema.
    """

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What an agent asks its model.

    Attributes:
        agent: the agent's name, which the step is called after: "Call Agent <name>".
        transcript: the conversation so far.
        tools: what the model may call.
        settings: the agent's; the model's own hold where these say nothing.
        output: the shape of the answer; None: free text.
    """

    agent: str
    transcript: Sequence[ChatMessage]
    tools: "Sequence[Tool]" = ()
    settings: ModelSettings = ModelSettings()
    output: OutputSchema | None = None


class Model(Protocol):
    """What an agent needs of a model."""

    @property
    def name(self) -> str:
        """What it is called at its provider."""
        ...

    def ask(self, context: AgentContext, turn: Turn) -> Coroutine[Any, Any, ModelReply]:
        """Ask for the next turn, in durable steps that have their place when this is called.

        Raises:
            RemoteError: WA703, no usable answer. The step has failed then, so that a resumed
                run asks again.
        """
        ...


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: object, *, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _wrong(option: str, expected: str, found: object) -> ConfigurationError:
    return ConfigurationError(
        "WA102",
        f"{option} cannot be used",
        where=f"option {option!r}",
        found=f"expected {expected}, found {found!r}",
        fix=(f"pass {expected} as {option}",),
    )


def _of(cls: type[S], settings: S | Mapping[str, Any] | None, where: str) -> S:
    if isinstance(settings, cls):
        return settings
    given: Mapping[str, Any] = settings or {}  # pyright: ignore[reportAssignmentType] -- S was ruled out above
    known = [f.name for f in fields(cls)]  # pyright: ignore[reportArgumentType] -- both are dataclasses
    for key in given:
        if key not in known:
            close = get_close_matches(key, known, 1)
            raise ConfigurationError(
                "WA101",
                where=where,
                found=f"expected {', '.join(known)}; found {key!r}",
                fix=(f"did you mean {close[0]!r}?",) if close else (),
            )
    return cls(**given)
