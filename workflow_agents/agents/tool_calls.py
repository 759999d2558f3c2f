"""Tool calls: how what a model asks for is done, and how what comes of it is told.

Every call is one `run` step, "Run tool <name>", also one that names no tool or has bad
arguments: what is wrong is decided inside the step and recorded, so that a replay with other
code or libraries tells the model the same. Tools with `execute_as_step=False` and agents use
the context themselves and are not wrapped.

What a tool raises goes back to the model. What the workflow raises does not: errors that ask
for a retry or for none, a history that does not fit, a step that is wrongly written.
"""

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from difflib import get_close_matches
from typing import Any

from workflow_agents.agents import schemas
from workflow_agents.agents.messages import ToolCall, ToolMessage
from workflow_agents.agents.ports import AgentContext
from workflow_agents.agents.schemas import BadCall
from workflow_agents.agents.tools import Tool
from workflow_agents.errors import (
    HistoryMismatch,
    InvocationEnded,
    StepUsageError,
    WorkflowNonRetryableError,
    WorkflowRetryAfterError,
)

Outcome = dict[str, Any]
"""What came of a call: {"ok": <JSON data>} or {"error": "<text for the model>"}."""

_PASSING = (
    HistoryMismatch,
    InvocationEnded,
    StepUsageError,
    WorkflowNonRetryableError,
    WorkflowRetryAfterError,
)


def start(
    context: AgentContext, call: ToolCall, tools: Sequence[Tool]
) -> Coroutine[Any, Any, ToolMessage]:
    """Make a tool call. The step has its place at once; the coroutine gives the result."""
    tool = next((tool for tool in tools if tool.name == call.name), None)
    body = _body(tool, call) if tool else _unknown(call, [tool.name for tool in tools])
    if tool and not tool.execute_as_step:
        outcome = _unwrapped(body)
    else:
        outcome = context.run(f"Run tool {call.name[:64]}", body)
    return _message(call, outcome)


async def _message(call: ToolCall, outcome: Awaitable[Outcome]) -> ToolMessage:
    result = await outcome
    if "error" in result:
        return ToolMessage(call.id, call.name, f"Error: {result['error']}", is_error=True)
    value = result["ok"]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return ToolMessage(call.id, call.name, text)


def _unknown(call: ToolCall, names: list[str]) -> Callable[[], Awaitable[Outcome]]:
    async def body() -> Outcome:
        close = get_close_matches(call.name, names, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return {
            "error": f"there is no tool {call.name!r}; there is: {', '.join(names) or 'none'}{hint}"
        }

    return body


def _body(tool: Tool, call: ToolCall) -> Callable[[], Outcome | Awaitable[Outcome]]:
    """One execution of a tool, which ends in an outcome unless the workflow has to know."""

    def attempt() -> Outcome | Awaitable[Outcome]:
        try:
            value = tool.invoke(**tool.check(schemas.parse(call.arguments)))
        except _PASSING:
            raise
        except tool.told as error:
            return _failed(error)
        return awaited(value) if inspect.isawaitable(value) else _done(tool, value)

    async def awaited(value: Awaitable[Any]) -> Outcome:
        try:
            return _done(tool, await value)
        except _PASSING:
            raise
        except tool.told as error:
            return _failed(error)

    async def attempt_on_the_loop() -> Outcome:
        outcome = attempt()
        return await outcome if inspect.isawaitable(outcome) else outcome

    return attempt_on_the_loop if inspect.iscoroutinefunction(tool.invoke) else attempt


async def _unwrapped(body: Callable[[], Any]) -> Outcome:
    if inspect.iscoroutinefunction(body):
        return await body()
    outcome = await asyncio.to_thread(body)
    return await outcome if inspect.isawaitable(outcome) else outcome


def _done(tool: Tool, value: Any) -> Outcome:
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    try:
        return {"ok": to_jsonable_python(value)}
    except PydanticSerializationError as error:
        raise StepUsageError(
            "WA204",
            "a tool returned what cannot be shown to a model",
            where=f"tool {tool.name!r}",
            found=str(error),
        ) from error


def _failed(error: Exception) -> Outcome:
    if isinstance(error, BadCall):
        return {"error": str(error)}
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        wrong = [
            f"{'.'.join(str(part) for part in e['loc']) or 'arguments'}: {e['msg']}"
            for e in error.errors(include_url=False, include_context=False)
        ]
        return {"error": f"the arguments are not right. {'; '.join(wrong)}"}
    return {"error": f"{type(error).__name__}: {error}"}
