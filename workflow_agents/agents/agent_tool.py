"""An agent as one of the tools of another: what `agent.as_tool()` returns.

A call of it is not wrapped in a step, because the agent's own turns and tool calls are steps
already.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from workflow_agents.agents import schemas
from workflow_agents.agents.ports import AgentContext, Ask
from workflow_agents.agents.tool_options import NeedsApproval
from workflow_agents.agents.tool_sources import ToolSource
from workflow_agents.agents.tools import Tool, checked_tool

if TYPE_CHECKING:
    from workflow_agents.agents.agent import Agent

_MAX_DESCRIPTION = 1024  # what OpenAI takes as the description of a function
_PROMPT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"prompt": {"type": "string", "description": "the whole task for this agent"}},
    "required": ["prompt"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentTool(ToolSource):
    """See `Agent.as_tool`.

    Attributes:
        agent: who is asked.
        name: what the other agent calls it by.
        description: tells that agent what it is for.
        needs_approval: whether a person has to approve its prompt.
    """

    agent: "Agent[Any]"
    name: str
    description: str
    needs_approval: NeedsApproval = False

    def named(self, name: str) -> Self:
        """See `ToolSource.named`."""
        return replace(self, name=name)

    async def expand(self, context: AgentContext, ask: Ask) -> Sequence[Tool]:  # noqa: ARG002  # it makes no steps of its own
        """See `ToolSource.expand`."""

        async def invoke(prompt: str) -> Any:
            return await ask(self.agent, prompt)

        made = Tool(
            name=self.name,
            description=self.description,
            parameters=_PROMPT_SCHEMA,
            check=schemas.of_json_schema(_PROMPT_SCHEMA, f"agent {self.name!r}").check,
            invoke=invoke,
            needs_approval=self.needs_approval,
            execute_as_step=False,
            # That a model fails is for the workflow to handle, not for the manager.
            told=schemas.BadCall,
        )
        return [checked_tool(made)]


def description(agent: "Agent[Any]") -> str:
    """What a model reads of an agent that it may call."""
    lines = [f"Gives a task to the agent {agent.name!r}."]
    if agent.background:
        lines.append(f"Its background: {agent.background}")
    if agent.toolset:
        lines.append("Its tools:")
        lines += [f"- {tool.name}: {tool.description}" for tool in agent.toolset]
    text = "\n".join(lines)
    return text if len(text) <= _MAX_DESCRIPTION else f"{text[: _MAX_DESCRIPTION - 1]}…"
