"""An agent as one of the tools of another: what `agent.as_tool()` returns."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from workflow_agents.agents import manager
from workflow_agents.agents.messages import Usage
from workflow_agents.agents.ports import AgentContext
from workflow_agents.agents.tool_options import NeedsApproval
from workflow_agents.agents.tool_sources import ToolSource
from workflow_agents.agents.tools import Tool, checked_tool

if TYPE_CHECKING:
    from workflow_agents.agents.agent import Agent


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentTool(ToolSource):
    """See `Agent.as_tool`.

    Attributes:
        agent: who is asked.
        name: what the other agent calls it by.
        description: tells that agent what it is for.
        needs_approval: whether a person has to approve its prompt.
    """

    agent: "Agent"
    name: str
    description: str
    needs_approval: NeedsApproval = False

    def named(self, name: str) -> Self:
        """See `ToolSource.named`."""
        return replace(self, name=name)

    async def expand(self, context: AgentContext, spent: dict[str, Usage]) -> Sequence[Tool]:
        """See `ToolSource.expand`."""
        spent.setdefault(self.agent.name, Usage())
        made = manager.as_tool(context, self.name, self.agent, spent)
        described = replace(made, description=self.description, needs_approval=self.needs_approval)
        return [checked_tool(described)]
