"""Agents as values: a model with a background, tools and rules, made once, used by many runs.

    writer = Agent(model=OpenAIModel("gpt-4o"), name="writer", tools=[search])

An agent knows no run and nobody who runs it. Whatever of it cannot be used is refused when it is
made (WA701 for tools, WA702 for other options), not in the middle of a task. How a task goes is
in `conversation`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, cast

from workflow_agents.agents import agent_tool, outputs, tools
from workflow_agents.agents.agent_tool import AgentTool
from workflow_agents.agents.guardrails import Guardrail, guardrails
from workflow_agents.agents.handoffs import Handoffs
from workflow_agents.agents.models.port import ModelLike, ModelSettings
from workflow_agents.agents.models.providers import model_of
from workflow_agents.agents.naming import tool_name
from workflow_agents.agents.outputs import Output, OutputT
from workflow_agents.agents.spending import UsageLimits
from workflow_agents.agents.tool_options import NeedsApproval
from workflow_agents.agents.tool_sources import ToolSource
from workflow_agents.agents.tools import Tool
from workflow_agents.errors import ConfigurationError

Check = Guardrail | Callable[..., Any]
"""A guardrail, with or without options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent(Generic[OutputT]):
    """A model with a background and tools; `Agent[Weather]` answers with a `Weather`.

    Attributes:
        model: what it thinks with: "openai:gpt-4o", a `Model`, or a chat model of LangChain.
        name: what its steps are called after, and what a manager calls it by.
        background: who it is and how it works; the system message.
        tools: functions, `WorkflowTool`s, LangChain tools, MCP servers (`mcp_server`), workflows
            (`workflow_tool`), and agents (themselves or `as_tool`), which it then directs; the
            keys of a dict are names.
        max_steps: how often a model is called in a task that begins with this agent, those of
            agents that it hands over to included; each answer that is sent back for not
            fitting allows one more.
        temperature: None leaves it to the model; reasoning models take no other.
        settings: whatever else is asked of the model; a `ModelSettings` or a dict.
        max_tool_errors: after so many turns in a row whose tool calls all failed, the task
            fails with WA705.
        output_type: what it answers with: a pydantic model, dataclass, TypedDict, or any JSON
            type; default: text.
        output_retries: how often an answer that does not fit, or that a guardrail with `retry`
            refuses, is sent back with what is wrong.
        handoffs: agents to whom it may give the conversation; or a function that returns them,
            for agents that name each other.
        input_guardrails: look at the prompt of a task that begins with this agent.
        output_guardrails: look at the answer of a task that ends with this agent.
        limits: what it, and whoever it calls or hands over to, may spend in a task.
        toolset: the tools as they are used.
        output: how answers of the output type are asked for and read.
        input_checks: the guardrails of the prompt.
        output_checks: the guardrails of the answer.
        model_settings: the settings, the temperature among them.

    Raises:
        ConfigurationError: WA701 for a tool, WA702 for an option.
    """

    model: ModelLike
    name: str
    background: str = ""
    tools: Sequence[Any] | Mapping[str, Any] = ()
    max_steps: int = 5
    temperature: float | None = 0.1
    settings: ModelSettings | Mapping[str, Any] | None = None
    max_tool_errors: int = 3
    output_type: type[OutputT] = cast("type[OutputT]", str)  # noqa: RUF009 -- a type, not a call
    output_retries: int = 2
    handoffs: "Sequence[Agent[Any]] | Callable[[], Sequence[Agent[Any]]]" = ()
    input_guardrails: Sequence[Check] = ()
    output_guardrails: Sequence[Check] = ()
    limits: UsageLimits | None = None
    toolset: tuple[Tool | ToolSource, ...] = field(init=False, repr=False, compare=False)
    output: Output[OutputT] = field(init=False, repr=False, compare=False)
    input_checks: tuple[Guardrail, ...] = field(init=False, repr=False, compare=False)
    output_checks: tuple[Guardrail, ...] = field(init=False, repr=False, compare=False)
    model_settings: ModelSettings = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._check_options()
        where = f"agent {self.name!r}"
        settings = ModelSettings.of(self.settings)
        given = self.tools
        if isinstance(given, Mapping):
            sources: Any = {name: _source(tool) for name, tool in given.items()}
        else:
            sources = [_source(tool) for tool in given]
        made: dict[str, Any] = {
            "toolset": tools.toolset(sources),
            "output": outputs.of_type(self.output_type, where),
            "input_checks": guardrails(self.input_guardrails),
            "output_checks": guardrails(self.output_guardrails),
            "model_settings": settings.over(ModelSettings(temperature=self.temperature)),
        }
        for name, value in made.items():
            object.__setattr__(self, name, value)
        if not callable(self.handoffs):
            self.to_whom()

    def as_tool(
        self,
        name: str | None = None,
        description: str | None = None,
        *,
        needs_approval: NeedsApproval = False,
    ) -> AgentTool:
        """This agent as one of the tools of another: it takes a prompt and gives its answer.

        Args:
            name: what the other calls it by; default: the agent's name.
            description: tells the other what it is for; default: its background and its tools.
            needs_approval: whether a person has to approve its prompt; see `tool`.
        """
        return AgentTool(
            agent=self,
            name=name or tool_name(self),
            description=description or agent_tool.description(self),
            needs_approval=needs_approval,
        )

    def to_whom(self) -> Handoffs:
        """To whom it may hand over."""
        given = self.handoffs() if callable(self.handoffs) else self.handoffs
        agents = tuple(given)
        for agent in agents:
            if not isinstance(agent, Agent):  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
                self._refuse("handoffs", "agents", agent)
        return Handoffs.to(agents)

    def _check_options(self) -> None:
        if not _is_line(self.name):
            self._refuse("name", "text on one line", self.name)
        object.__setattr__(self, "model", model_of(self.model))
        for option, least in (("max_steps", 1), ("max_tool_errors", 1), ("output_retries", 0)):
            value = getattr(self, option)
            if not isinstance(value, int) or value < least:
                self._refuse(option, f"a whole number from {least}", value)
        if self.temperature is not None and not 0 <= self.temperature <= 2:
            self._refuse("temperature", "a number from 0 to 2, or None", self.temperature)
        if self.limits is not None and not isinstance(self.limits, UsageLimits):  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
            self._refuse("limits", "a UsageLimits", self.limits)

    def _refuse(self, option: str, expected: str, found: object) -> None:
        raise ConfigurationError(
            "WA702",
            f"{option!r} of the agent is not right",
            where=f"agent {self.name!r}",
            found=f"expected {expected}, found {found!r}",
        )


def _source(tool: Any) -> Any:
    """An agent among the tools stands for itself as a tool."""
    return tool.as_tool() if isinstance(tool, Agent) else tool


def _is_line(name: object) -> bool:
    return isinstance(name, str) and bool(name.strip()) and name.isprintable()
