"""One task of one agent: the loop, followed step by step to its end.

Every turn of the model is one `call` step, "Call Agent <name>", every tool call one `run`
step. Between them is only `loop.next_action`, so that a replay takes the same way.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from workflow_agents.agents import loop, tool_calls
from workflow_agents.agents.messages import (
    ChatMessage,
    ModelReply,
    SystemMessage,
    Usage,
    UserMessage,
)
from workflow_agents.agents.ports import AgentContext
from workflow_agents.agents.tools import Tool
from workflow_agents.errors import RemoteError, StepFailed, WorkflowAgentsError
from workflow_agents.protocol.results import CallResponse, read_body

if TYPE_CHECKING:
    from workflow_agents.agents.agent import Agent


async def converse(
    context: AgentContext,
    agent: "Agent",
    usable: Sequence[Tool],
    prompt: str,
    spent: dict[str, Usage],
) -> tuple[list[ChatMessage], loop.Finish]:
    """Follow the loop to its end; add what it costs to `spent`."""
    transcript: list[ChatMessage] = [UserMessage(prompt)]
    if agent.background:
        transcript.insert(0, SystemMessage(agent.background))
    while True:
        match loop.next_action(
            transcript, max_steps=agent.max_steps, max_tool_errors=agent.max_tool_errors
        ):
            case loop.CallModel():
                reply = await _ask_model(context, agent, usable, transcript)
                spent[agent.name] += reply.usage
                transcript.append(reply.message)
            case loop.RunTools(calls):
                started = [tool_calls.start(context, call, usable) for call in calls]
                transcript += await asyncio.gather(*started)
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


async def _ask_model(
    context: AgentContext, agent: "Agent", usable: Sequence[Tool], transcript: list[ChatMessage]
) -> ModelReply:
    """The next turn of the model.

    Raises:
        RemoteError: WA703. The step has failed then, so that a resumed run asks again.
    """
    try:
        answer = await _call_model(context, agent, usable, transcript)
    except StepFailed as failed:
        if failed.body:
            refusal = CallResponse(failed.status, {}, read_body({"body": failed.body}))
            return agent.model.read(refusal, agent=agent.name)
        where = f"agent {agent.name!r}"
        raise RemoteError(
            "WA703", where=where, found=f"expected an answer, found {failed.message}"
        ) from failed
    return agent.model.read(answer, agent=agent.name)


def _call_model(
    context: AgentContext, agent: "Agent", usable: Sequence[Tool], transcript: list[ChatMessage]
) -> Coroutine[Any, Any, CallResponse[Any]]:
    settings = agent.model.call_settings
    request = agent.model.request(
        transcript, agent=agent.name, tools=usable, temperature=agent.temperature
    )
    return context.call(
        f"Call Agent {agent.name}",
        url=request.url,
        method="POST",
        headers=request.headers,
        body=request.body,
        retries=settings.retries,
        retry_delay=settings.retry_delay,
        timeout=settings.timeout,
        flow_control=settings.flow_control,
        raise_for_status=True,
    )
