"""Agents of the OpenAI Agents SDK on durable runs.

    result = await Runner.run(durable(agent, context), "...")

`durable` returns a copy of the agent, with those that it hands off to: every request of their
models is one `run` step, "Call Agent <name>", every call of their function tools one, "Run tool
<name>". The SDK's own loop, guardrails and handoffs are not touched.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agents import Agent, FunctionTool, Handoff, Model, ModelProvider, ModelResponse, MultiProvider
from agents.items import TResponseStreamEvent
from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

if TYPE_CHECKING:
    from workflow_agents.context.context import AsyncWorkflowContext

_RESPONSE: TypeAdapter[ModelResponse] = TypeAdapter(ModelResponse)


def durable(
    agent: Agent[Any],
    context: "AsyncWorkflowContext[Any]",
    *,
    model_provider: ModelProvider | None = None,
    plain_tools: tuple[str, ...] = (),
    retries: int | None = None,
    retry_delay: str | None = None,
) -> Agent[Any]:
    """A copy of the agent whose model requests and tool calls are steps of the context's run.

    Args:
        agent: and those that it hands off to.
        context: of the run.
        model_provider: finds models that are given by name; default: the SDK's own.
        plain_tools: tools that use the context themselves: they are not wrapped in a step.
        retries: of a model request; default: the run's.
        retry_delay: an expression in milliseconds.
    """
    wrapping = _Wrapping(context, model_provider, plain_tools, retries, retry_delay)
    return wrapping.agent(agent)


class _Wrapping:
    def __init__(
        self,
        context: "AsyncWorkflowContext[Any]",
        provider: ModelProvider | None,
        plain_tools: tuple[str, ...],
        retries: int | None,
        retry_delay: str | None,
    ) -> None:
        self.context = context
        self.retries = retries
        self.retry_delay = retry_delay
        self._provider = provider
        self._plain_tools = plain_tools
        self._made: dict[int, Agent[Any]] = {}

    def agent(self, agent: Agent[Any]) -> Agent[Any]:
        """The copy of an agent; agents may hand off to each other in circles."""
        made = self._made.get(id(agent))
        if made is None:
            made = self._made[id(agent)] = agent.clone()
            made.model = _DurableModel(self, agent.name, self._model(agent))
            made.tools = [self._tool(tool) for tool in agent.tools]
            made.handoffs = [h if isinstance(h, Handoff) else self.agent(h) for h in agent.handoffs]
        return made

    def _model(self, agent: Agent[Any]) -> Model:
        if isinstance(agent.model, Model):
            return agent.model
        self._provider = self._provider or MultiProvider()
        return self._provider.get_model(agent.model)

    def _tool(self, tool: Any) -> Any:
        if not isinstance(tool, FunctionTool) or tool.name in self._plain_tools:
            return tool
        invoke = tool.on_invoke_tool

        async def invoke_once(tool_context: Any, arguments: str) -> Any:
            async def execute() -> Any:
                return to_jsonable_python(await invoke(tool_context, arguments))

            return await self.context.run(f"Run tool {tool.name}", execute)

        return replace(tool, on_invoke_tool=invoke_once)


class _DurableModel(Model):
    def __init__(self, wrapping: _Wrapping, agent: str, inner: Model) -> None:
        self._wrapping = wrapping
        self._agent = agent
        self._inner = inner

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        """One request to the model, as one step."""

        async def ask() -> Any:
            response = await self._inner.get_response(*args, **kwargs)
            return _RESPONSE.dump_python(response, mode="json")

        recorded = await self._wrapping.context.run(
            f"Call Agent {self._agent}",
            ask,
            retries=self._wrapping.retries,
            retry_delay=self._wrapping.retry_delay,
        )
        return _RESPONSE.validate_python(recorded)

    def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[TResponseStreamEvent]:
        """Not durable: a stream that was read cannot be replayed."""
        raise NotImplementedError("use Runner.run: a streamed response cannot be recorded")
