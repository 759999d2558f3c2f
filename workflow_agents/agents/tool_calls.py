"""Tool calls: how what a model asks for is done, and how what comes of it is told.

Every call is one `run` step, "Run tool <name>", also one that names no tool or has bad
arguments: what is wrong is decided inside the step and recorded, so that a replay with other
code or libraries tells the model the same. Tools with `execute_as_step=False` and agents use
the context themselves and are not wrapped.

Two kinds of tools take more steps: those that a person has to approve (`approvals`), and those
that must not run twice unasked (`unknown_outcome`). What happens inside the step is in
`tool_bodies`.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from difflib import get_close_matches

from workflow_agents.agents import approvals, unknown_outcome
from workflow_agents.agents.messages import ChatMessage, ToolCall, ToolMessage
from workflow_agents.agents.ports import AgentContext
from workflow_agents.agents.tool_bodies import (
    Outcome,
    ToolRun,
    body,
    step_options,
    without_step,
)
from workflow_agents.agents.tools import Tool
from workflow_agents.errors import WorkflowAgentsError


async def start(
    context: AgentContext, call: ToolCall, tools: Sequence[Tool], *, agent: str = ""
) -> ToolMessage:
    """Make a tool call and tell what came of it. Several run in parallel as tasks of their own.

    Args:
        context: of the run.
        call: what the model wants.
        tools: what it may call.
        agent: the name of the agent that it speaks for.
    """
    tool = next((tool for tool in tools if tool.name == call.name), None)
    if tool is None:
        unknown = _unknown(call, [tool.name for tool in tools])
        return _message(call, await context.run(step_name(call), unknown))
    run = ToolRun(context, agent, tool, call)
    return _message(call, await (_run(run) if tool.needs_approval is False else _approved(run)))


def step_name(call: ToolCall) -> str:
    """What the step of a call is named."""
    return f"Run tool {call.name[:64]}"


def check_errors(messages: Sequence[ChatMessage], tools: Sequence[Tool], agent: str) -> None:
    """Fail the task if a tool has failed as often as it may.

    Args:
        messages: of this task.
        tools: what its agent may call.
        agent: its name.

    Raises:
        WorkflowAgentsError: WA706.
    """
    for tool in tools:
        if tool.max_errors is None:
            continue
        errors = [
            m for m in messages if isinstance(m, ToolMessage) and m.is_error and m.name == tool.name
        ]
        if len(errors) >= tool.max_errors:
            raise WorkflowAgentsError(
                "WA706",
                where=f"agent {agent!r}, tool {tool.name!r}",
                found=(
                    f"{len(errors)} failed calls, and max_errors={tool.max_errors}; the last:",
                    errors[-1].content,
                ),
            )


def direct_answer(results: Sequence[ToolMessage], tools: Sequence[Tool]) -> str | None:
    """The agent's answer, if every tool that was called in a turn returns its own directly."""
    direct = {tool.name for tool in tools if tool.return_direct}
    if not results or any(r.is_error or r.name not in direct for r in results):
        return None
    return "\n".join(result.content for result in results)


def _message(call: ToolCall, result: Outcome) -> ToolMessage:
    if "error" in result:
        return ToolMessage(call.id, call.name, f"Error: {result['error']}", is_error=True)
    if "rejected" in result:
        return ToolMessage(call.id, call.name, result["rejected"])
    value = result["answered"] if "answered" in result else result["ok"]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return ToolMessage(call.id, call.name, text)


async def _approved(run: ToolRun) -> Outcome:
    """Run it if a person, where one is to be asked, lets it."""
    answer = await approvals.asked(run)
    return answer if "ok" not in answer else await _run(replace(run, arguments=answer["ok"]))


def _run(run: ToolRun) -> Awaitable[Outcome]:
    """Run it, in as few steps as its options allow."""
    tool = run.tool
    if tool.on_unknown_outcome != "run_again":
        return unknown_outcome.run(run, step_name(run.call))
    if tool.execute_as_step:
        return run.context.run(step_name(run.call), body(run), **step_options(tool))
    return without_step(body(run)) if tool.context_parameter is None else _with_key(run)


async def _with_key(run: ToolRun) -> Outcome:
    """A tool that is no step has no key of its own: a small step before it gives one."""
    key = await run.context.run(f"Start tool {run.tool.name}", lambda: key_of_step(run.context))
    return await without_step(body(replace(run, idempotency_key=key)))


def key_of_step(context: AgentContext) -> str:
    """Inside a step: its idempotency key."""
    step = context.current_step
    return "" if step is None else step.idempotency_key


def _unknown(call: ToolCall, names: list[str]) -> Callable[[], Awaitable[Outcome]]:
    async def body() -> Outcome:
        close = get_close_matches(call.name, names, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return {
            "error": f"there is no tool {call.name!r}; there is: {', '.join(names) or 'none'}{hint}"
        }

    return body
