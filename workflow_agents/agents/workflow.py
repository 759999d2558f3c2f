"""Agents in a run: what `agent_workflow(context)` gives.

    agents = agent_workflow(context)
    writer = agents.agent(model=agents.openai("gpt-4o"), name="writer", tools=[search])
    result = await agents.task(agent=writer, prompt="...").run()

It makes models, agents and tasks, and keeps what they spend together; how a task goes is in
`conversation`.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar, overload

from workflow_agents.agents import manager, spending
from workflow_agents.agents.agent import Agent, Check
from workflow_agents.agents.memory import Conversation
from workflow_agents.agents.messages import ChatMessage, Usage
from workflow_agents.agents.models.anthropic import AnthropicModel
from workflow_agents.agents.models.fallback import FallbackModel
from workflow_agents.agents.models.openai import OpenAIApi, OpenAIModel
from workflow_agents.agents.models.port import CallSettings, Model, ModelLike, ModelSettings
from workflow_agents.agents.models.providers import model as model_by_name
from workflow_agents.agents.ports import AgentContext
from workflow_agents.agents.prices import Price, Prices
from workflow_agents.agents.spending import CallRecord, Spending, UsageLimits
from workflow_agents.agents.tasks import Task
from workflow_agents.errors import ConfigurationError
from workflow_agents.protocol.secrets import Secret

T = TypeVar("T")


class Agents:
    """Models, agents and tasks of one run; see `agent_workflow`."""

    def __init__(self, context: AgentContext, run_spending: Spending) -> None:
        self._context = context
        self._spending = run_spending

    @property
    def calls(self) -> tuple[CallRecord, ...]:
        """Every model call of the run so far."""
        return tuple(self._spending.calls)

    @property
    def usage(self) -> Usage:
        """The tokens of the run so far."""
        return self._spending.usage

    @property
    def cost_usd(self) -> Decimal | None:
        """What the run has cost so far, in US dollars; None if a price is not known."""
        return spending.cost_of(self._spending.calls)

    def openai(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | Secret | None = None,
        call_settings: CallSettings | Mapping[str, Any] | None = None,
        settings: ModelSettings | Mapping[str, Any] | None = None,
        api: OpenAIApi = "chat.completions",
        stream: bool = False,
    ) -> OpenAIModel:
        """A model of OpenAI, or of a provider with the same API.

        Args:
            model: its name, "gpt-4o".
            base_url: "https://api.deepseek.com/v1"; default: OPENAI_BASE_URL, or OpenAI.
            api_key: default: `Secret("OPENAI_API_KEY")`, read when the request is made.
            call_settings: retries, timeout and flow control of its requests.
            settings: temperature and the like, where an agent says nothing.
            api: "chat.completions", or "responses".
            stream: whether answers arrive token by token, for who follows the run.

        Source: `agents.openai` of the Workflow SDK.
        """
        return OpenAIModel(
            model,
            base_url,
            api_key,
            CallSettings.of(call_settings),
            ModelSettings.of(settings),
            api,
            stream,
        )

    def anthropic(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | Secret | None = None,
        call_settings: CallSettings | Mapping[str, Any] | None = None,
        settings: ModelSettings | Mapping[str, Any] | None = None,
        max_tokens: int = 4096,
        stream: bool = False,
    ) -> AnthropicModel:
        """A model of Anthropic.

        Args:
            model: its name, "claude-sonnet-4-5".
            base_url: default: ANTHROPIC_BASE_URL, or Anthropic.
            api_key: default: `Secret("ANTHROPIC_API_KEY")`, read when the request is made.
            call_settings: retries, timeout and flow control of its requests.
            settings: temperature and the like, where an agent says nothing.
            max_tokens: that a reply may have where no settings say.
            stream: whether answers arrive token by token, for who follows the run.
        """
        return AnthropicModel(
            model,
            base_url,
            api_key,
            CallSettings.of(call_settings),
            ModelSettings.of(settings),
            max_tokens,
            stream=stream,
        )

    def model(self, model: ModelLike, **options: Any) -> Model:
        """A model by its name, "openai:gpt-4o", or one of LangChain; see `workflow_agents.model`.

        Raises:
            ConfigurationError: WA702 for an unknown provider, or what is no model.
        """
        return model_by_name(model, **options)

    def fallback(self, *models: ModelLike) -> FallbackModel:
        """Models of which the next is asked when one fails; the same as `FallbackModel(...)`."""
        return FallbackModel(*models)

    @overload
    def agent(
        self,
        *,
        model: ModelLike,
        name: str,
        background: str = "",
        tools: Sequence[Any] | Mapping[str, Any] = (),
        max_steps: int = 5,
        temperature: float | None = 0.1,
        settings: ModelSettings | Mapping[str, Any] | None = None,
        max_tool_errors: int = 3,
        output_retries: int = 2,
        handoffs: Sequence[Agent[Any]] | Callable[[], Sequence[Agent[Any]]] = (),
        input_guardrails: Sequence[Check] = (),
        output_guardrails: Sequence[Check] = (),
        limits: UsageLimits | None = None,
    ) -> Agent[str]: ...
    @overload
    def agent(
        self,
        *,
        model: ModelLike,
        name: str,
        output_type: type[T],
        background: str = "",
        tools: Sequence[Any] | Mapping[str, Any] = (),
        max_steps: int = 5,
        temperature: float | None = 0.1,
        settings: ModelSettings | Mapping[str, Any] | None = None,
        max_tool_errors: int = 3,
        output_retries: int = 2,
        handoffs: Sequence[Agent[Any]] | Callable[[], Sequence[Agent[Any]]] = (),
        input_guardrails: Sequence[Check] = (),
        output_guardrails: Sequence[Check] = (),
        limits: UsageLimits | None = None,
    ) -> Agent[T]: ...
    @overload
    def agent(
        self,
        *,
        model: ModelLike,
        name: str,
        output_type: Any,
        background: str = "",
        tools: Sequence[Any] | Mapping[str, Any] = (),
        max_steps: int = 5,
        temperature: float | None = 0.1,
        settings: ModelSettings | Mapping[str, Any] | None = None,
        max_tool_errors: int = 3,
        output_retries: int = 2,
        handoffs: Sequence[Agent[Any]] | Callable[[], Sequence[Agent[Any]]] = (),
        input_guardrails: Sequence[Check] = (),
        output_guardrails: Sequence[Check] = (),
        limits: UsageLimits | None = None,
    ) -> Agent[Any]: ...
    def agent(
        self,
        *,
        model: ModelLike,
        name: str,
        background: str = "",
        tools: Sequence[Any] | Mapping[str, Any] = (),
        max_steps: int = 5,
        temperature: float | None = 0.1,
        settings: ModelSettings | Mapping[str, Any] | None = None,
        max_tool_errors: int = 3,
        output_type: Any = str,
        output_retries: int = 2,
        handoffs: Sequence[Agent[Any]] | Callable[[], Sequence[Agent[Any]]] = (),
        input_guardrails: Sequence[Check] = (),
        output_guardrails: Sequence[Check] = (),
        limits: UsageLimits | None = None,
    ) -> Agent[Any]:
        """An agent; the same as `Agent(...)`, which tells the options.

        Source: `agents.agent` of the Workflow SDK.
        """
        return Agent(
            model=model,
            name=name,
            background=background,
            tools=tools,
            max_steps=max_steps,
            temperature=temperature,
            settings=settings,
            max_tool_errors=max_tool_errors,
            output_type=output_type,
            output_retries=output_retries,
            handoffs=handoffs,
            input_guardrails=input_guardrails,
            output_guardrails=output_guardrails,
            limits=limits,
        )

    @overload
    def task(
        self,
        *,
        agent: Agent[T],
        prompt: str,
        max_steps: int | None = None,
        conversation: Conversation | str | None = None,
        history: Sequence[ChatMessage] = (),
        limits: UsageLimits | None = None,
        prices: Mapping[str, Price] | None = None,
    ) -> Task[T]: ...
    @overload
    def task(
        self,
        *,
        model: ModelLike,
        agents: Sequence[Agent[Any]],
        prompt: str,
        max_steps: int | None = None,
        background: str | None = None,
        temperature: float | None = 0.1,
        conversation: Conversation | str | None = None,
        history: Sequence[ChatMessage] = (),
        limits: UsageLimits | None = None,
        prices: Mapping[str, Price] | None = None,
    ) -> Task[str]: ...
    @overload
    def task(
        self,
        *,
        model: ModelLike,
        agents: Sequence[Agent[Any]],
        prompt: str,
        output_type: type[T],
        max_steps: int | None = None,
        background: str | None = None,
        temperature: float | None = 0.1,
        conversation: Conversation | str | None = None,
        history: Sequence[ChatMessage] = (),
        limits: UsageLimits | None = None,
        prices: Mapping[str, Price] | None = None,
    ) -> Task[T]: ...
    def task(
        self,
        *,
        prompt: str,
        agent: Agent[Any] | None = None,
        model: ModelLike | None = None,
        agents: Sequence[Agent[Any]] = (),
        max_steps: int | None = None,
        background: str | None = None,
        temperature: float | None = 0.1,
        output_type: Any = str,
        conversation: Conversation | str | None = None,
        history: Sequence[ChatMessage] = (),
        limits: UsageLimits | None = None,
        prices: Mapping[str, Price] | None = None,
    ) -> Task[Any]:
        """A task for one agent, or for a manager that directs several.

        Args:
            prompt: what is to be done.
            agent: the one agent that does it; its own options hold.
            model: what the manager thinks with.
            agents: the agents that the manager may call, as tools.
            max_steps: how often models are called, agents as tools not counted; default: the
                agent's, 10 for a manager.
            background: of the manager; default: how to direct agents.
            temperature: of the manager.
            output_type: what the manager answers with; default: text.
            conversation: the key of a conversation that is kept across runs, "user-42", which
                the task continues; or a `Conversation`.
            history: messages that it continues instead, such as `result.messages` of a task
                before; backgrounds among them are left out.
            limits: what the task may spend.
            prices: by the name of the model; before those of the run.

        Raises:
            ConfigurationError: WA702 if neither or both forms are used.

        Source: `agents.task` of the Workflow SDK.
        """
        if conversation is not None and history:
            raise ConfigurationError(
                "WA702",
                "a task continues a kept conversation, or the messages that it is given",
                where="agents.task",
                found="expected conversation or history, found both",
                fix=("leave history away: the conversation holds its own",),
            )
        _check_one_form(agent, model, agents)
        if agent is None and model is not None:
            agent = Agent(
                model=model,
                name=manager.NAME,
                background=manager.BACKGROUND if background is None else background,
                tools=manager.members(agents),
                max_steps=manager.MAX_STEPS,
                temperature=temperature,
                output_type=output_type,
            )
        assert agent is not None  # noqa: S101 -- one of the two forms was used
        return Task(
            self._context,
            agent,
            prompt,
            self._spending,
            max_steps=max_steps,
            conversation=Conversation.of(conversation),
            history=tuple(history),
            limits=limits,
            prices=prices,
        )


def _check_one_form(
    agent: Agent[Any] | None, model: ModelLike | None, agents: Sequence[Agent[Any]]
) -> None:
    one = agent is not None and model is None and not agents
    several = agent is None and model is not None and bool(agents)
    if not one and not several:
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


def agent_workflow(
    context: AgentContext,
    *,
    limits: UsageLimits | None = None,
    prices: Mapping[str, Price] | None = None,
) -> Agents:
    """Agents whose every turn and tool call is a step of the context's run.

    Args:
        context: what the workflow function was given.
        limits: what all tasks together may spend.
        prices: of models, by name; default: those that the `prices` extra knows.

    Source: `agentWorkflow` of the Workflow SDK.
    """
    listed = Prices(dict(prices or {}), context.created_at, context.other_models)
    return Agents(context, Spending("the run", listed, limits))
