"""Agents, tasks for them, and managers: LLM agents made of ordinary durable steps.

    agents = agent_workflow(context)
    writer = agents.agent(model=agents.openai("gpt-4o"), name="writer", tools=[search])
    result = await agents.task(agent=writer, prompt="...").run()

An agent is a value: it may be made once, at module level; a task binds it to the run that
needs it. How a task goes is in `conversation`, how agents become tools in `manager`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from workflow_agents.agents import conversation, loop, manager, tools
from workflow_agents.agents.messages import ChatMessage, FinishReason, Usage
from workflow_agents.agents.models.openai import OpenAIModel
from workflow_agents.agents.models.port import CallSettings, Model
from workflow_agents.agents.ports import AgentContext
from workflow_agents.agents.tools import Tool
from workflow_agents.errors import ConfigurationError
from workflow_agents.protocol.secrets import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A model with a background and tools.

    Attributes:
        model: what it thinks with.
        name: what its steps are called after, and what a manager calls it by.
        background: who it is and how it works; the system message.
        tools: functions, `WorkflowTool`s and LangChain tools; the keys of a dict are names.
        max_steps: how often its model is called in a task.
        temperature: None leaves it to the model; reasoning models take no other.
        max_tool_errors: after so many turns in a row whose tool calls all failed, the task
            fails with WA705.
        toolset: the tools as they are used.

    Raises:
        ConfigurationError: WA701 for a tool, WA702 for an option.
    """

    model: Model
    name: str
    background: str = ""
    tools: Sequence[Any] | Mapping[str, Any] = ()
    max_steps: int = 5
    temperature: float | None = 0.1
    max_tool_errors: int = 3
    toolset: tuple[Tool, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not _is_line(self.name):
            self._refuse("name", "text on one line", self.name)
        if not hasattr(self.model, "ask"):
            self._refuse("model", 'a model such as agents.openai("gpt-4o")', self.model)
        for option in ("max_steps", "max_tool_errors"):
            value = getattr(self, option)
            if not isinstance(value, int) or value < 1:
                self._refuse(option, "a whole number from 1", value)
        if self.temperature is not None and not 0 <= self.temperature <= 2:
            self._refuse("temperature", "a number from 0 to 2, or None", self.temperature)
        object.__setattr__(self, "toolset", tools.toolset(self.tools))

    def _refuse(self, option: str, expected: str, found: object) -> None:
        raise ConfigurationError(
            "WA702",
            f"{option!r} of the agent is not right",
            where=f"agent {self.name!r}",
            found=f"expected {expected}, found {found!r}",
        )


def _is_line(name: object) -> bool:
    return isinstance(name, str) and bool(name.strip()) and name.isprintable()


@dataclass(frozen=True, slots=True, repr=False)
class TaskResult:
    """What became of a task.

    Attributes:
        text: what the agent said last; "" if nothing.
        finish_reason: "stop": it answered. "max_steps": its turns were used up before.
            "length", "content_filter": the provider cut the answer off.
        messages: the whole conversation. After "max_steps" its last message may hold tool
            calls that were not made.
        usage: the tokens of all model calls of the task, also those of a manager's agents.
        usage_by_agent: the same by the agent's name.
        turns: how often the agent's own model was called.
    """

    text: str
    finish_reason: FinishReason
    messages: tuple[ChatMessage, ...]
    usage: Usage
    usage_by_agent: Mapping[str, Usage]
    turns: int

    def __repr__(self) -> str:
        """One line, how it ended last."""
        from workflow_agents.display import transcripts

        return transcripts.line(self)

    def _repr_html_(self) -> str:
        from workflow_agents.display import transcripts

        return transcripts.task(self)


@dataclass(frozen=True, slots=True)
class Task:
    """A prompt for an agent, in one run.

    Attributes:
        context: of the run.
        agent: who does it.
        prompt: what is to be done.
        members: the agents that it may call, if it is a manager.
    """

    context: AgentContext
    agent: Agent
    prompt: str
    members: tuple[Agent, ...] = ()

    async def run(self) -> TaskResult:
        """Do it, in as many durable steps as it takes.

        Raises:
            RemoteError: WA703: a model gave no usable answer.
            WorkflowAgentsError: WA705: tools failed in too many turns in a row.
        """
        spent = {agent.name: Usage() for agent in (self.agent, *self.members)}
        usable = self.agent.toolset + manager.as_tools(self.context, self.members, spent)
        transcript, end = await conversation.converse(
            self.context, self.agent, usable, self.prompt, spent
        )
        return TaskResult(
            text=end.text,
            finish_reason=end.reason,
            messages=tuple(transcript),
            usage=sum(spent.values(), Usage()),
            usage_by_agent=spent,
            turns=loop.turns_used(transcript),
        )


class Agents:
    """Models, agents and tasks of one run; see `agent_workflow`."""

    def __init__(self, context: AgentContext) -> None:
        self._context = context

    def openai(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | Secret | None = None,
        call_settings: CallSettings | Mapping[str, Any] | None = None,
    ) -> OpenAIModel:
        """A model of OpenAI, or of a provider with the same API.

        Args:
            model: its name, "gpt-4o".
            base_url: "https://api.deepseek.com/v1"; default: OPENAI_BASE_URL, or OpenAI.
            api_key: default: `Secret("OPENAI_API_KEY")`, read when the request is made.
            call_settings: retries, timeout and flow control of its requests.

        Source: `agents.openai` of the Workflow SDK.
        """
        return OpenAIModel(model, base_url, api_key, CallSettings.of(call_settings))

    def agent(
        self,
        *,
        model: Model,
        name: str,
        background: str = "",
        tools: Sequence[Any] | Mapping[str, Any] = (),
        max_steps: int = 5,
        temperature: float | None = 0.1,
        max_tool_errors: int = 3,
    ) -> Agent:
        """An agent; the same as `Agent(...)`.

        Source: `agents.agent` of the Workflow SDK.
        """
        return Agent(
            model=model,
            name=name,
            background=background,
            tools=tools,
            max_steps=max_steps,
            temperature=temperature,
            max_tool_errors=max_tool_errors,
        )

    @overload
    def task(self, *, agent: Agent, prompt: str) -> Task: ...
    @overload
    def task(
        self,
        *,
        model: Model,
        agents: Sequence[Agent],
        prompt: str,
        max_steps: int = 10,
        background: str | None = None,
        temperature: float | None = 0.1,
    ) -> Task: ...
    def task(
        self,
        *,
        prompt: str,
        agent: Agent | None = None,
        model: Model | None = None,
        agents: Sequence[Agent] = (),
        max_steps: int = 10,
        background: str | None = None,
        temperature: float | None = 0.1,
    ) -> Task:
        """A task for one agent, or for a manager that directs several.

        Args:
            prompt: what is to be done.
            agent: the one agent that does it; its own options hold.
            model: what the manager thinks with.
            agents: the agents that the manager may call, as tools.
            max_steps: how often the manager's model is called.
            background: of the manager; default: how to direct agents.
            temperature: of the manager.

        Raises:
            ConfigurationError: WA702 if neither or both forms are used.

        Source: `agents.task` of the Workflow SDK.
        """
        if agent is not None and model is None and not agents:
            return Task(self._context, agent, prompt)
        if agent is not None or model is None or not agents:
            given = {"agent": agent, "model": model, "agents": agents}
            raise ConfigurationError(
                "WA702",
                "a task is for one agent, or for a manager with agents",
                where="agents.task",
                found="expected agent, or model and agents; found "
                + (" and ".join(name for name, value in given.items() if value) or "neither"),
                fix=(
                    "agents.task(agent=agent, prompt=...)",
                    "agents.task(model=model, agents=[first, second], prompt=...)",
                ),
            )
        director = Agent(
            model=model,
            name=manager.NAME,
            background=manager.BACKGROUND if background is None else background,
            max_steps=max_steps,
            temperature=temperature,
        )
        return Task(self._context, director, prompt, tuple(agents))


def agent_workflow(context: AgentContext) -> Agents:
    """Agents whose every turn and tool call is a step of the context's run.

    Source: `agentWorkflow` of the Workflow SDK.
    """
    return Agents(context)
