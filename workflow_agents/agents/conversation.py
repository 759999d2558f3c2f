"""One task of one agent: the loop, followed step by step to its end.

Every turn of the model is one `call` step, "Call Agent <name>", every tool call one `run`
step. Between them is only `loop.next_action`, so that a replay takes the same way.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from workflow_agents.agents import loop, tool_calls, tool_sources
from workflow_agents.agents.messages import (
    ChatMessage,
    SystemMessage,
    Usage,
    UserMessage,
)
from workflow_agents.agents.models.port import ModelSettings, Turn
from workflow_agents.agents.ports import AgentContext
from workflow_agents.agents.tool_sources import ToolSource
from workflow_agents.agents.tools import Tool
from workflow_agents.errors import WorkflowAgentsError

if TYPE_CHECKING:
    from workflow_agents.agents.agent import Agent


async def converse(
    context: AgentContext,
    agent: "Agent",
    usable: Sequence[Tool | ToolSource],
    prompt: str,
    spent: dict[str, Usage],
) -> tuple[list[ChatMessage], loop.Finish]:
    """Follow the loop to its end; add what it costs to `spent`."""
    transcript: list[ChatMessage] = [UserMessage(prompt)]
    if agent.background:
        transcript.insert(0, SystemMessage(agent.background))
    began = len(transcript)
    usable = await tool_sources.expanded(context, usable, spent)
    while True:
        match loop.next_action(
            transcript, max_steps=agent.max_steps, max_tool_errors=agent.max_tool_errors
        ):
            case loop.CallModel():
                settings = ModelSettings(temperature=agent.temperature)
                turn = Turn(
                    agent=agent.name, transcript=transcript, tools=usable, settings=settings
                )
                reply = await agent.model.ask(context, turn)
                spent[agent.name] += reply.usage
                transcript.append(reply.message)
            case loop.RunTools(calls):
                started = [
                    tool_calls.start(context, call, usable, agent=agent.name) for call in calls
                ]
                results = await asyncio.gather(*started)
                transcript += results
                tool_calls.check_errors(transcript[began:], usable, agent.name)
                direct = tool_calls.direct_answer(results, usable)
                if direct is not None:
                    return transcript, loop.Finish(direct, "stop")
            case loop.Finish() as end:
                return transcript, end
            case loop.GiveUp(turns, errors):
                raise WorkflowAgentsError(
                    "WA705",
                    where=f"agent {agent.name!r}",
                    found=(
                        f"{turns} turns in a row whose tool calls all failed; the last:",
                        *(f"{error.name}: {error.content}" for error in errors),
                    ),
                )
