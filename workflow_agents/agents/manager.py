"""Managers: agents whose tools are agents.

A manager follows the same loop as any agent; how an agent becomes a tool is in `agent_tool`. To
any depth: an agent that is a tool may have agents as its tools.
"""

from collections.abc import Sequence
from typing import Any

from workflow_agents.agents.agent import Agent
from workflow_agents.agents.agent_tool import AgentTool
from workflow_agents.agents.naming import tool_names

NAME = "Manager LLM"
BACKGROUND = (
    "You direct other agents. The tools you are given are these agents; each has its own "
    "knowledge and its own tools, which only it can use. Think about which of them the task "
    "needs: often not all, and often one after the other, with the answer of one in the prompt "
    "for the next. Never call the same agent more than once in a turn: ask it in a single "
    "prompt for everything that you need of it. An agent sees nothing but the prompt that you "
    "write, so put everything in it that matters. When you know enough, answer yourself."
)
MAX_STEPS = 10


def members(agents: Sequence[Agent[Any]]) -> list[AgentTool]:
    """The agents as a manager calls them, no two by the same name."""
    return [a.as_tool(name) for name, a in zip(tool_names(agents), agents, strict=True)]
