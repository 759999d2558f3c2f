"""Tools that must not run twice unasked: what becomes of a call whose process died under it.

    Start tool X        recorded before the body may begin; gives the call its idempotency key
    Run tool X          the body
    Ask about X         only if nobody knows whether the body did its work

A call that was started has a result, or its body runs in this process, or it ran in one that is
gone. Which bodies were started here is kept in the memory of the process; a body that finds its
call started but not by this process does not run. The same holds for a call that waits for its
next try or for its flow control key while the process ends: it may have been begun, so a person
is asked.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from workflow_agents.agents.approvals import decided, reason
from workflow_agents.agents.schemas import BadCall
from workflow_agents.agents.tool_bodies import Outcome, ToolRun, body, step_options
from workflow_agents.errors import WorkflowNonRetryableError

_STARTED: set[tuple[str, str]] = set()
"""Calls whose start this process has recorded and whose body did not end in the middle: by the
run and the key of the step."""

_MAYBE = "it may have done its work; look before you call it again"


async def run(call: ToolRun, step: str) -> Outcome:
    """Run the tool; if that was begun before and came to no end, ask."""
    context, tool = call.context, call.tool
    key: str | None = None
    while True:
        started = await context.run(f"Start tool {tool.name}", lambda: _start(call))
        key = key or str(started["key"])
        mark = (context.workflow_run_id, str(started["key"]))
        once = _once(replace(call, idempotency_key=key), mark, started["run"])
        outcome = await context.run(step, once, **step_options(call.tool))
        _STARTED.discard(mark)
        if "unknown" not in outcome:
            return outcome
        arguments: dict[str, Any] = outcome["unknown"]
        decision = await decided(call, "unknown_outcome", arguments, started["place"])
        if decision is None:
            return {"error": f"nobody knows what became of this call: {_MAYBE}"}
        if decision.verdict == "resolve":
            return {"ok": decision.result}
        if decision.verdict == "reject":
            told = f"a person has decided not to make this call again: {_MAYBE}"
            return {"error": f"{told}. {reason(decision)}"}


def _start(call: ToolRun) -> dict[str, Any]:
    step = call.context.current_step
    key, place = ("", "") if step is None else (step.idempotency_key, str(step.key))
    _STARTED.add((call.context.workflow_run_id, key))
    return {"run": call.context.workflow_run_id, "key": key, "place": place}


def _once(
    call: ToolRun, mark: tuple[str, str], started_by: str
) -> Callable[[], Coroutine[Any, Any, Outcome]]:
    execute = body(call, on_the_loop=True)

    async def once() -> Outcome:
        if mark not in _STARTED:
            return _unknown(call, started_by)
        try:
            outcome = execute()
            return outcome if isinstance(outcome, dict) else await outcome
        except asyncio.CancelledError:
            # It was in the middle: a thread may even go on.
            _STARTED.discard(mark)
            raise

    return once


def _unknown(call: ToolRun, started_by: str) -> Outcome:
    # A run of another id was resumed by a person, who is asked now and not failed again.
    if call.tool.on_unknown_outcome == "fail" and started_by == call.context.workflow_run_id:
        raise WorkflowNonRetryableError(
            f"WA707 tool {call.tool.name!r} had begun when its process died: "
            "it may have done its work. Resume the run, and a person is asked."
        )
    try:
        return {"unknown": call.sent()}
    except BadCall as error:  # then it cannot have begun
        return {"error": str(error)}
