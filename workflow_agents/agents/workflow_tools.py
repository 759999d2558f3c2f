"""Whole workflows as tools: a call invokes a run of its own and waits for its end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from workflow_agents.agents import schemas
from workflow_agents.agents.ports import AgentContext, Ask
from workflow_agents.agents.schemas import BadCall
from workflow_agents.agents.tool_options import NeedsApproval
from workflow_agents.agents.tool_sources import ToolSource
from workflow_agents.agents.tools import Tool, checked_tool

if TYPE_CHECKING:
    from pydantic import BaseModel


def workflow_tool(
    workflow: Any,
    *,
    description: str,
    schema: "type[BaseModel] | Mapping[str, Any]",
    name: str | None = None,
    needs_approval: NeedsApproval = False,
) -> "WorkflowAsTool":
    """A workflow as a tool: a call is one `invoke` step, its result what the workflow returns.

    The child run lives as long as it needs, retries as it is told to, and has its own log. If it
    fails or is cancelled, the model is told.

    Args:
        workflow: what `@serve.post` or `@engine.workflow` returned, or its path.
        description: tells the model what it is for.
        schema: of the workflow's payload, an object: a pydantic model, or a JSON schema.
        name: default: that of the workflow's function, or the last part of its path.
        needs_approval: whether a person has to approve a call; see `tool`.

    Raises:
        ConfigurationError: WA701, the schema is not that of an object.
    """
    path = str(getattr(workflow, "path", workflow))
    own = str(getattr(workflow, "__name__", "")) or path
    name = name or own.rstrip("/").rpartition("/")[2]
    made = WorkflowAsTool(
        workflow=workflow,
        name=name,
        description=description,
        schema=schema,
        needs_approval=needs_approval,
    )
    checked_tool(made.tool(None))
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowAsTool(ToolSource):
    """What `workflow_tool` returns; its arguments are there."""

    workflow: Any
    name: str
    description: str
    schema: "type[BaseModel] | Mapping[str, Any]"
    needs_approval: NeedsApproval = False

    def named(self, name: str) -> Self:
        """See `ToolSource.named`."""
        return replace(self, name=name)

    async def expand(self, context: AgentContext, ask: Ask) -> Sequence[Tool]:  # noqa: ARG002  # it asks no agent
        """See `ToolSource.expand`."""
        return [checked_tool(self.tool(context))]

    def tool(self, context: AgentContext | None) -> Tool:
        """The tool in a run."""
        where = f"tool {self.name!r}"
        if isinstance(self.schema, Mapping):
            arguments = schemas.of_json_schema(self.schema, where)
        else:
            arguments = schemas.of_model(self.schema, where)

        async def invoke(**given: Any) -> Any:
            from pydantic_core import to_jsonable_python

            assert context is not None  # noqa: S101  # without a run it is only looked at
            body = to_jsonable_python(given)
            result = await context.invoke(f"Invoke {self.name}", self.workflow, body)
            if result.is_failed or result.is_canceled:
                ended = "was cancelled" if result.is_canceled else "failed"
                why = f": {result.body}" if result.body else ""
                raise BadCall(f"its run {result.workflow_run_id} {ended}{why}")
            return result.body

        return Tool(
            name=self.name,
            description=self.description,
            parameters=arguments.schema,
            check=arguments.check,
            invoke=invoke,
            needs_approval=self.needs_approval,
            execute_as_step=False,
            # A call that cannot be made at all is for the workflow to handle.
            told=BadCall,
        )
