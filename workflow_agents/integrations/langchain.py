"""LangChain's agents on durable runs: a middleware that makes model and tool calls steps.

    agent = create_agent("openai:gpt-4o", tools, middleware=[WorkflowMiddleware(context)])

Every model call is one `run` step, "Call Agent <name>", every tool call one, "Run tool <name>".
A chat model alone becomes durable by `http_async_client=durable_client(context)` instead.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from langchain.agents.middleware.types import AgentMiddleware, ModelResponse
from langchain_core.messages import ToolMessage, messages_from_dict, messages_to_dict
from pydantic_core import to_jsonable_python

from workflow_agents.errors import StepUsageError

if TYPE_CHECKING:
    from workflow_agents.context.context import AsyncWorkflowContext


class WorkflowMiddleware(AgentMiddleware[Any, Any, Any]):
    """Makes an agent's model and tool calls steps of the context's run.

    Args:
        context: of the run.
        agent: the name in its steps.
        plain_tools: tools that use the context themselves, or return a LangGraph `Command`:
            they are not wrapped in a step.
        retries: of a model call; default: the run's.
        retry_delay: an expression in milliseconds.
    """

    def __init__(
        self,
        context: "AsyncWorkflowContext[Any]",
        *,
        agent: str = "agent",
        plain_tools: tuple[str, ...] = (),
        retries: int | None = None,
        retry_delay: str | None = None,
    ) -> None:
        super().__init__()
        self._context = context
        self._agent = agent
        self._plain_tools = plain_tools
        self._retries = retries
        self._retry_delay = retry_delay

    async def awrap_model_call(
        self, request: Any, handler: Callable[[Any], Any]
    ) -> ModelResponse[Any]:
        """One call of the model, as one step."""

        async def ask() -> dict[str, Any]:
            response = await handler(request)
            return {
                "messages": to_jsonable_python(messages_to_dict(response.result)),
                "structured": to_jsonable_python(response.structured_response),
            }

        recorded = await self._context.run(
            f"Call Agent {self._agent}", ask, retries=self._retries, retry_delay=self._retry_delay
        )
        return ModelResponse(
            result=messages_from_dict(recorded["messages"]),
            structured_response=_structured(request, recorded["structured"]),
        )

    async def awrap_tool_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        """One call of a tool, as one step."""
        name = str(request.tool_call["name"])
        if name in self._plain_tools:
            return await handler(request)

        async def execute() -> Any:
            answer = await handler(request)
            if not isinstance(answer, ToolMessage):
                raise StepUsageError(
                    "WA204",
                    "a tool returned what cannot be recorded",
                    where=f"tool {name!r}",
                    found=f"expected a tool message, found {type(answer).__name__}",
                    fix=(f"WorkflowMiddleware(context, plain_tools=({name!r},))",),
                )
            return to_jsonable_python(messages_to_dict([answer]))

        recorded = cast(
            "list[dict[str, Any]]", await self._context.run(f"Run tool {name}", execute)
        )
        return messages_from_dict(recorded)[0]


def _structured(request: Any, recorded: Any) -> Any:
    """A structured response as the agent's `response_format` declares it."""
    if recorded is None:
        return None
    schema = getattr(request.response_format, "schema", request.response_format)
    from pydantic import TypeAdapter

    return TypeAdapter(schema).validate_python(recorded) if isinstance(schema, type) else recorded
