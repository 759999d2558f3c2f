"""Pydantic AI agents on durable runs: a capability that makes their requests and tools steps.

    result = await agent.run("...", capabilities=[WorkflowDurability(context)])

Every model request is one `run` step, "Call Agent <name>", every tool call one, "Run tool
<name>". What is control flow to Pydantic AI (a retry prompt, a deferred call) stays so: it is
recorded as what it is and raised again in a replay.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter
from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.exceptions import ModelRetry
from pydantic_ai.messages import ModelResponse, ToolCallPart
from pydantic_ai.models import ModelRequestContext
from pydantic_ai.tools import ToolDefinition
from pydantic_core import to_jsonable_python

if TYPE_CHECKING:
    from workflow_agents.context.context import AsyncWorkflowContext

_RESPONSE: TypeAdapter[ModelResponse] = TypeAdapter(ModelResponse)


class WorkflowDurability(AbstractCapability[Any]):
    """Makes an agent's model requests and tool calls steps of the context's run.

    Args:
        context: of the run.
        plain_tools: tools that use the context themselves, or need to run in every replay:
            they are not wrapped in a step.
        retries: of a model request; default: the run's.
        retry_delay: an expression in milliseconds.
    """

    def __init__(
        self,
        context: "AsyncWorkflowContext[Any]",
        *,
        plain_tools: tuple[str, ...] = (),
        retries: int | None = None,
        retry_delay: str | None = None,
    ) -> None:
        self._context = context
        self._plain_tools = plain_tools
        self._retries = retries
        self._retry_delay = retry_delay

    async def wrap_model_request(
        self,
        ctx: RunContext[Any],
        *,
        request_context: ModelRequestContext,
        handler: Callable[..., Any],
    ) -> ModelResponse:
        """One request to the model, as one step."""

        async def ask() -> Any:
            response = await handler(request_context)
            return _RESPONSE.dump_python(response, mode="json")

        agent = getattr(ctx.agent, "name", None) or "agent"
        recorded = await self._context.run(
            f"Call Agent {agent}", ask, retries=self._retries, retry_delay=self._retry_delay
        )
        return _RESPONSE.validate_python(recorded)

    async def wrap_tool_execute(
        self,
        ctx: RunContext[Any],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: dict[str, Any],
        handler: Callable[..., Any],
    ) -> Any:
        """One call of a tool, as one step; its result is JSON data from here on."""
        del ctx, tool_def
        if call.tool_name in self._plain_tools:
            return await handler(args)

        async def execute() -> dict[str, Any]:
            try:
                return {"ok": to_jsonable_python(await handler(args))}
            except ModelRetry as retry:
                return {"retry": retry.message}

        outcome = await self._context.run(f"Run tool {call.tool_name}", execute)
        if "retry" in outcome:
            raise ModelRetry(outcome["retry"])
        return outcome["ok"]
