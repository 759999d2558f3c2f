"""Handoffs: an agent gives the conversation to another, which goes on in its place.

To the model, each agent that it may hand over to is a tool, "transfer_to_<name>". Nothing is
executed: who speaks next follows from the transcript, so there is no step. Of several in one
turn the first is taken.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workflow_agents.agents.messages import ToolCall, ToolMessage
from workflow_agents.agents.naming import tool_names
from workflow_agents.agents.tools import Tool

if TYPE_CHECKING:
    from workflow_agents.agents.agent import Agent

PREFIX = "transfer_to_"

_NO_ARGUMENTS: dict[str, Any] = {
    "type": "object",
    "properties": {},
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Handoffs:
    """To whom an agent may hand over.

    Attributes:
        agents: by the name of the tool.
        tools: as the model is shown them.
    """

    agents: Mapping[str, "Agent[Any]"]
    tools: tuple[Tool, ...]

    @classmethod
    def to(cls, agents: Sequence["Agent[Any]"]) -> "Handoffs":
        """Handoffs to these agents."""
        names = tool_names(agents, PREFIX)
        named = dict(zip(names, agents, strict=True))
        return cls(named, tuple(_tool(name, agent) for name, agent in named.items()))

    def answer(self, calls: Sequence[ToolCall]) -> tuple[str | None, dict[str, ToolMessage]]:
        """The tool that hands over, if one was called; and by call what the transcript says."""
        taken: str | None = None
        told: dict[str, ToolMessage] = {}
        for call in calls:
            if call.name not in self.agents:
                continue
            if taken is None:
                taken = call.name
                text = f"{self.agents[taken].name} takes over and answers from here on."
                told[call.id] = ToolMessage(call.id, call.name, text)
            else:
                text = f"Error: only one agent can take over, and {self.agents[taken].name} does."
                told[call.id] = ToolMessage(call.id, call.name, text, is_error=True)
        return taken, told


def _tool(name: str, agent: "Agent[Any]") -> Tool:
    what = f" It: {agent.background}" if agent.background else ""
    return Tool(
        name=name,
        description=f"Hand the conversation over to the agent {agent.name!r}.{what}"[:1024],
        parameters=_NO_ARGUMENTS,
        check=dict,
        invoke=_never,
        execute_as_step=False,
    )


def _never() -> None:
    raise AssertionError("a handoff is not executed")
