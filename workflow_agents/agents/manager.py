"""Managers: agents whose tools are agents.

A manager follows the same loop as any agent. What it calls is not wrapped in a step, because
an agent's own turns and tool calls are steps already.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workflow_agents.agents import conversation, schemas
from workflow_agents.agents.messages import Usage
from workflow_agents.agents.ports import AgentContext
from workflow_agents.agents.tools import Tool

if TYPE_CHECKING:
    from workflow_agents.agents.agent import Agent

NAME = "Manager LLM"
BACKGROUND = (
    "You direct other agents. The tools you are given are these agents; each has its own "
    "knowledge and its own tools, which only it can use. Think about which of them the task "
    "needs: often not all, and often one after the other, with the answer of one in the prompt "
    "for the next. Never call the same agent more than once in a turn: ask it in a single "
    "prompt for everything that you need of it. An agent sees nothing but the prompt that you "
    "write, so put everything in it that matters. When you know enough, answer yourself."
)

_MAX_DESCRIPTION = 1024  # what OpenAI takes as the description of a function
_PROMPT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"prompt": {"type": "string", "description": "the whole task for this agent"}},
    "required": ["prompt"],
    "additionalProperties": False,
}


def as_tools(
    context: AgentContext, agents: "Sequence[Agent]", spent: dict[str, Usage]
) -> tuple[Tool, ...]:
    """The agents as a manager calls them; what they cost is added to `spent`."""
    named = zip(_tool_names(agents), agents, strict=True)
    return tuple(as_tool(context, name, agent, spent) for name, agent in named)


def as_tool(context: AgentContext, name: str, agent: "Agent", spent: dict[str, Usage]) -> Tool:
    """One agent as a tool; what it costs is added to `spent`."""

    async def ask(prompt: str) -> str:
        _, end = await conversation.converse(context, agent, agent.toolset, prompt, spent)
        if not end.text:
            raise schemas.BadCall(f"the agent came to no answer ({end.reason})")
        return end.text

    return Tool(
        name=name,
        description=description(agent),
        parameters=_PROMPT_SCHEMA,
        check=schemas.of_json_schema(_PROMPT_SCHEMA, f"agent {name!r}").check,
        invoke=ask,
        execute_as_step=False,
        # That a model fails is for the workflow to handle, not for the manager.
        told=schemas.BadCall,
    )


def description(agent: "Agent") -> str:
    """What a model reads of an agent that it may call."""
    lines = [f"Gives a task to the agent {agent.name!r}."]
    if agent.background:
        lines.append(f"Its background: {agent.background}")
    if agent.toolset:
        lines.append("Its tools:")
        lines += [f"- {tool.name}: {tool.description}" for tool in agent.toolset]
    text = "\n".join(lines)
    return text if len(text) <= _MAX_DESCRIPTION else f"{text[: _MAX_DESCRIPTION - 1]}…"


def tool_name(agent: "Agent") -> str:
    """The agent's name as providers allow it."""
    return re.sub(r"[^a-zA-Z0-9_-]+", "_", agent.name)[:60].strip("_") or "agent"


def _tool_names(agents: "Sequence[Agent]") -> list[str]:
    """Names that providers allow, no two alike."""
    names: list[str] = []
    for agent in agents:
        base = tool_name(agent)
        number = 1
        while (name := base if number == 1 else f"{base}_{number}") in names:
            number += 1
        names.append(name)
    return names
