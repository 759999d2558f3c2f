"""A run as a tree of its steps: once, line by line while it grows, or redrawn in place."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from workflow_agents.cli import output
from workflow_agents.client import AsyncRunHandle
from workflow_agents.core.logs import RunLog
from workflow_agents.core.step_logs import StepLog
from workflow_agents.errors import NotFound

_FIRST_LOOK_S, _LATER_LOOKS_S = 0.1, 1.0
_LOOKS_FOR_A_NEW_RUN = 50
_WORDS = 90


def lines_of(log: RunLog) -> Iterator[str]:
    """A run and its steps, a line each; branches indented."""
    yield _head(log)
    steps = [*log.steps]
    for nth, step in enumerate(steps, 1):
        last = nth == len(steps) and log.state == "RUN_STARTED"
        yield _indented(step, "└─" if last or nth == len(steps) else "├─")
    yield from _end(log)


def _head(log: RunLog) -> str:
    state = output.coloured(output.state(log.state))
    labels = f"  [{', '.join(log.labels)}]" if log.labels else ""
    return f"{output.styled('1', log.workflow_run_id)}  {log.workflow}  {state}{labels}"


def _end(log: RunLog) -> Iterator[str]:
    if log.state == "RUN_SUCCESS":
        lasted = output.took(None if log.ended_at is None else log.ended_at - log.created_at)
        yield f"   {output.coloured('success')} after {lasted or '?'}: {_short(log.result)}"
    elif log.state == "RUN_FAILED":
        failure = log.failure or {}
        told = f"{failure.get('error', '')}: {failure.get('message', '')}".strip(": ")
        yield f"   {output.coloured('failed')} {_short(told)}"
        if log.dlq_id:
            yield f"   go on: workflow-agents dlq resume {log.dlq_id}"
    elif log.state == "RUN_CANCELED":
        yield f"   {output.coloured('canceled')}"


def _indented(step: StepLog, mark: str) -> str:
    depth = 0 if isinstance(step.step, int) else str(step.step).count(".")
    return f"   {'│  ' * depth}{mark} {line_of(step)}"


def line_of(step: StepLog) -> str:
    """A step in a few words."""
    state = output.coloured(output.state(step.state))
    lasted = None if step.ended_at is None else step.ended_at - step.began_at
    took = f" {output.took(lasted)}" if lasted else ""
    tries = f" ({step.retries} retries)" if step.retries else ""
    kind = output.styled("2", step.type)
    told = _short(step.out) if step.state == "STEP_SUCCESS" else _short(step.waits_for)
    return f"{step.step} {step.name}  {kind}  {state}{took}{tries}  {told}".rstrip()


def _short(value: Any) -> str:
    return "" if value is None else output.short(value, _WORDS)


async def follow(handle: AsyncRunHandle, *, as_json: bool) -> RunLog:
    """Show a run until it has ended; returns it.

    In a terminal the tree is redrawn where it stands. Elsewhere each change is a line; as JSON,
    each change is an object with `event` "run" or "step".
    """
    if output.is_terminal() and not as_json:
        from rich.live import Live
        from rich.text import Text

        with Live(console=output.console(), auto_refresh=False) as live:

            def redraw(log: RunLog) -> None:
                live.update(Text.from_ansi("\n".join(lines_of(log))), refresh=True)

            return await _until_ended(handle, redraw)
    return await _until_ended(handle, _Changes(as_json=as_json))


class _Changes:
    """Prints what is new since it was told last."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._state = ""
        self._steps: dict[Any, str] = {}

    def __call__(self, log: RunLog) -> None:
        new = log.state != self._state
        if new and not self._state:
            self._say("run", log, _head(log))
        for step in log.steps:
            seen = f"{step.state} {step.retries}"
            if self._steps.get(step.step) != seen:
                self._steps[step.step] = seen
                self._say("step", step, f"  {line_of(step)}")
        if new and log.state != "RUN_STARTED":
            self._say("run", log, "\n".join(_end(log)))
        self._state = log.state

    def _say(self, event: str, value: Any, text: str) -> None:
        if self._as_json:
            output.show_json_line({"event": event, event: output.data_of(value)})
        else:
            output.line(text)


async def _until_ended(handle: AsyncRunHandle, show: Callable[[RunLog], object]) -> RunLog:
    pause, missing = _FIRST_LOOK_S, 0
    while True:
        try:
            log = await handle.log()
        except NotFound:
            # A server lists a run a moment after it has taken it.
            missing += 1
            if missing > _LOOKS_FOR_A_NEW_RUN:
                raise
            await asyncio.sleep(_FIRST_LOOK_S)
            continue
        show(log)
        if log.state != "RUN_STARTED":
            return log
        await asyncio.sleep(pause)
        pause = min(pause * 1.2, _LATER_LOOKS_S)
