"""What becomes tools only inside a run: agents, whole workflows, the tools of an MCP server.

They need the run's context, to make steps of their own: an MCP server is asked for its tools in
a step, so that a replay shows the model the same ones. A task expands its sources before its
first turn.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from workflow_agents.agents.ports import AgentContext, Ask

if TYPE_CHECKING:
    from workflow_agents.agents.tools import Tool


class ToolSource(ABC):
    """One entry of `tools=[...]` that becomes tools when a task begins.

    Attributes:
        name: what it is called in the agent's list.
        description: what it is for.
    """

    name: str
    description: str

    @abstractmethod
    def named(self, name: str) -> Self:
        """The same under another name."""

    @abstractmethod
    async def expand(self, context: AgentContext, ask: Ask) -> "Sequence[Tool]":
        """Its tools, in a run; `ask` gives a prompt to an agent among them."""


async def expanded(context: AgentContext, usable: Sequence[Any], ask: Ask) -> "Sequence[Tool]":
    """The tools, with sources replaced by theirs, in order.

    Raises:
        ConfigurationError: WA701, two have the same name.
    """
    if not any(isinstance(tool, ToolSource) for tool in usable):
        return usable
    from workflow_agents.agents.tools import no_two_alike

    tools: list[Tool] = []
    for tool in usable:
        if isinstance(tool, ToolSource):
            tools += await tool.expand(context, ask)
        else:
            tools.append(tool)
    return no_two_alike(tools)
