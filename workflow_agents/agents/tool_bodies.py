"""One execution of a tool: from arguments to an outcome that can be recorded.

What a tool raises becomes an outcome that the model is told, once its retries are spent. What
the workflow raises does not: errors that ask for a retry or for none, a history that does not
fit, a step that is wrongly written.
"""

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

from workflow_agents.agents import schemas
from workflow_agents.agents.messages import ToolCall
from workflow_agents.agents.ports import AgentContext
from workflow_agents.agents.schemas import BadCall
from workflow_agents.agents.tool_context import ToolContext
from workflow_agents.agents.tools import Tool
from workflow_agents.errors import (
    AgentStopped,
    HistoryMismatch,
    InvocationEnded,
    StepUsageError,
    ToolRetry,
    WorkflowNonRetryableError,
    WorkflowRetryAfterError,
)
from workflow_agents.protocol.times import duration_ms, format_duration

Outcome = dict[str, Any]
"""What came of a call: {"ok": <JSON data>}, {"error": "<text for the model>"}, or by a person
{"rejected": "<text for the model>"} or {"answered": <JSON data>}."""

_PASSING = (
    AgentStopped,
    HistoryMismatch,
    InvocationEnded,
    StepUsageError,
    WorkflowNonRetryableError,
    WorkflowRetryAfterError,
)


class _TookTooLong(Exception):
    """A try of a tool took longer than its timeout."""


@dataclass(frozen=True, slots=True)
class ToolRun:
    """A tool and the call that it is to serve.

    Attributes:
        context: of the run.
        agent: the name of the agent that calls.
        tool: what is called.
        call: as the model made it.
        arguments: what it runs with, where a person has approved it; None: as the model wrote.
        idempotency_key: None: that of the step which the body runs in.
    """

    context: AgentContext
    agent: str
    tool: Tool
    call: ToolCall
    arguments: dict[str, Any] | None = None
    idempotency_key: str | None = None

    @property
    def attempt(self) -> int:
        """Which try this is, inside the body."""
        step = self.context.current_step
        return 1 if step is None else step.attempt

    def sent(self) -> dict[str, Any]:
        """The arguments as JSON data.

        Raises:
            BadCall: they are no JSON object.
        """
        return schemas.parse(self.call.arguments) if self.arguments is None else self.arguments

    def checked(self) -> dict[str, Any]:
        """The arguments as the tool takes them.

        Raises:
            BadCall: they do not fit.
        """
        from pydantic import ValidationError

        try:
            return self.tool.check(self.sent())
        except ValidationError as error:
            raise BadCall(_told(error)) from error

    def given(self) -> dict[str, Any]:
        """What `invoke` is called with; raises what is wrong with the arguments."""
        arguments = self.checked()
        if self.tool.context_parameter is None:
            return arguments
        return {**arguments, self.tool.context_parameter: self._tool_context()}

    def _tool_context(self) -> ToolContext:
        step = self.context.current_step
        own = "" if step is None else step.idempotency_key
        return ToolContext(
            workflow_run_id=self.context.workflow_run_id,
            agent=self.agent,
            tool_name=self.tool.name,
            tool_call_id=self.call.id,
            idempotency_key=self.idempotency_key or own,
            attempt=self.attempt,
        )

    def failed(self, error: Exception) -> Outcome:
        """What the model is told; or the error again, if there are tries left."""
        left = self.tool.retries and self.attempt <= self.tool.retries
        if left and not _is_the_models(error):
            raise error
        return {"error": _told(error)}


def body(run: ToolRun, *, on_the_loop: bool = False) -> Callable[[], Outcome | Awaitable[Outcome]]:
    """The execution as a function that a step takes.

    Args:
        run: what is executed.
        on_the_loop: also where the tool is a plain function, so that whoever waits for it
            hears of a cancellation.
    """
    tool = run.tool
    is_async = inspect.iscoroutinefunction(tool.invoke)

    async def in_time() -> Outcome:
        try:
            arguments = run.given()
            started = (
                tool.invoke(**arguments) if is_async else _in_own_thread(tool.invoke, arguments)
            )
            return _done(tool, await _within(tool, started))
        except _PASSING:
            raise
        except tool.told as error:
            return run.failed(error)

    def in_a_thread() -> Outcome | Awaitable[Outcome]:
        try:
            value = tool.invoke(**run.given())
        except _PASSING:
            raise
        except tool.told as error:
            return run.failed(error)
        return awaited(value) if inspect.isawaitable(value) else _done(tool, value)

    async def awaited(value: Awaitable[Any]) -> Outcome:
        try:
            return _done(tool, await value)
        except _PASSING:
            raise
        except tool.told as error:
            return run.failed(error)

    return in_time if is_async or on_the_loop or tool.timeout is not None else in_a_thread


def step_options(tool: Tool) -> dict[str, Any]:
    """The options of the step of a call; none where the run's own hold."""
    options: dict[str, Any] = {}
    if tool.retries:
        options |= {"retries": tool.retries, "retry_delay": tool.retry_delay}
    if tool.flow_control is not None:
        options["flow_control"] = tool.flow_control
    return options


async def without_step(made: Callable[[], Any]) -> Outcome:
    """Execute a body that makes steps of its own."""
    if inspect.iscoroutinefunction(made):
        return await made()
    outcome = await asyncio.to_thread(made)
    return await outcome if inspect.isawaitable(outcome) else outcome


async def _within(tool: Tool, started: Awaitable[Any]) -> Any:
    """The result, if it comes within the tool's timeout."""
    if tool.timeout is None:
        return await started
    timeout_ms = duration_ms(tool.timeout)
    limit = asyncio.timeout(timeout_ms / 1000)
    try:
        async with limit:
            return await started
    except TimeoutError as error:
        if not limit.expired():
            raise
        length = format_duration(timeout_ms)
        raise _TookTooLong(f"it took longer than {length} and was given up") from error


async def _in_own_thread(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Call a function in a thread that nobody has to wait for, if it never returns."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()
    run = copy_context().run

    def tell(set_outcome: Callable[[Any], None], outcome: Any) -> None:
        if not done.done():
            set_outcome(outcome)

    def work() -> None:
        try:
            value = run(function, **arguments)
        except BaseException as error:  # noqa: BLE001  # raised where it is awaited
            told = RuntimeError("it stopped") if isinstance(error, StopIteration) else error
            _call_soon(loop, tell, done.set_exception, told)
        else:
            _call_soon(loop, tell, done.set_result, value)

    threading.Thread(target=work, name="workflow-tool", daemon=True).start()
    value = await done
    return await value if inspect.isawaitable(value) else value


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[..., None], *args: Any) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(callback, *args)


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


def _is_the_models(error: Exception) -> bool:
    """Whether trying again is of no use before the model calls differently."""
    if isinstance(error, BadCall | ToolRetry):
        return True
    from pydantic import ValidationError

    return isinstance(error, ValidationError)


def _told(error: Exception) -> str:
    if isinstance(error, BadCall | ToolRetry | _TookTooLong):
        return str(error)
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        wrong = [
            f"{'.'.join(str(part) for part in e['loc']) or 'arguments'}: {e['msg']}"
            for e in error.errors(include_url=False, include_context=False)
        ]
        return f"the arguments are not right. {'; '.join(wrong)}"
    return f"{type(error).__name__}: {error}"
