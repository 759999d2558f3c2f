"""Managers: agents whose tools are agents.

A manager follows the same loop as any agent. What it calls is not wrapped in a step, because
an agent's own turns and tool calls are steps already. To any depth: an agent that is a tool may
have agents as its tools.
"""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from workflow_agents.agents import schemas
from workflow_agents.agents.agent import Agent, AgentTool, member_names
from workflow_agents.agents.tools import Tool

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

Ask = Callable[[Agent[Any], str], Coroutine[Any, Any, Any]]
"""Gives a prompt to an agent; returns its output, or raises `NoAnswer`."""


class NoAnswer(schemas.BadCall):
    """An agent that was called as a tool came to no answer; the text is for the caller."""


def as_tools(members: Sequence[AgentTool], ask: Ask) -> tuple[Tool, ...]:
    """The agents as a manager calls them."""
    named = zip(member_names(members), members, strict=True)
    return tuple(_as_tool(name, member, ask) for name, member in named)


def _as_tool(name: str, member: AgentTool, ask: Ask) -> Tool:
    async def invoke(prompt: str) -> Any:
        return await ask(member.agent, prompt)

    return Tool(
        name=name,
        description=member.description or _description(member.agent),
        parameters=_PROMPT_SCHEMA,
        check=schemas.of_json_schema(_PROMPT_SCHEMA, f"agent {name!r}").check,
        invoke=invoke,
        execute_as_step=False,
        # That a model fails is for the workflow to handle, not for the manager.
        told=schemas.BadCall,
    )


def _description(agent: Agent[Any]) -> str:
    lines = [f"Gives a task to the agent {agent.name!r}."]
    if agent.background:
        lines.append(f"Its background: {agent.background}")
    tools = [f"- {tool.name}: {tool.description}" for tool in agent.toolset]
    tools += [f"- {name}: another agent" for name in member_names(agent.members)]
    if tools:
        lines += ["Its tools:", *tools]
    text = "\n".join(lines)
    return text if len(text) <= _MAX_DESCRIPTION else f"{text[: _MAX_DESCRIPTION - 1]}…"
