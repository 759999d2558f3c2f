"""Calls that a person has to approve, as the run sees it.

    Check tool X        a `run` step: are the arguments right, and is a person to be asked?
    Approve tool X      a wait for the decision, where one is needed
    Run tool X          with what was approved

With `approvers`, such a wait for each of them; what the ones before have approved is shown to the
next. Somebody without a name, or who has approved already, is none of them, whatever he used to
decide.

What the person is shown is recorded before it is shown, and the run goes on with that record and
not with what a model may say later. A decision holds for the arguments whose hash it carries;
one that fits something else is as good as none, and the run waits again. How people decide is
in `workflow_agents/approvals`.
"""

import inspect
from typing import Any

from workflow_agents.agents.tool_bodies import Outcome, ToolRun
from workflow_agents.protocol.approvals import (
    Decision,
    Kind,
    Request,
    approval_id,
    arguments_hash,
    may_approve,
)
from workflow_agents.protocol.times import duration_ms, format_duration


async def asked(run: ToolRun) -> Outcome:
    """The arguments to run with as {"ok": ...}; or what the model is told in place of a result."""
    checked = await run.context.run(f"Check tool {run.tool.name}", lambda: _check(run))
    if "error" in checked or not checked["needed"]:
        return checked if "error" in checked else {"ok": checked["arguments"]}
    arguments: dict[str, Any] = checked["arguments"]
    approved_by: tuple[str, ...] = ()
    while True:
        decision = await decided(run, "approval", arguments, checked["place"], approved_by)
        if decision is None:
            length = format_duration(duration_ms(run.tool.approval_timeout))
            return {"rejected": f"The call was not made: nobody approved it within {length}."}
        if decision.verdict == "reject":
            return {"rejected": f"A person has rejected this call. {reason(decision)}"}
        if decision.verdict == "respond":
            return {"answered": decision.result}
        if decision.arguments is not None and dict(decision.arguments) != arguments:
            # What the others have approved is no more what would run.
            arguments, approved_by = dict(decision.arguments), ()
        approved_by = (*approved_by, decision.by or "")
        if len(approved_by) >= run.tool.approvers:
            return {"ok": arguments}


async def decided(
    run: ToolRun,
    kind: Kind,
    arguments: dict[str, Any],
    place: str,
    approved_by: tuple[str, ...] = (),
) -> Decision | None:
    """Park until a person has decided; None: nobody did in time.

    Args:
        run: what is asked about.
        kind: why.
        arguments: what is shown.
        place: tells this question from every other of the run.
        approved_by: who has approved it already.
    """
    request = Request(
        kind=kind,
        agent=run.agent,
        tool=run.tool.name,
        tool_call_id=run.call.id,
        description=run.tool.description,
        arguments=arguments,
        schema=run.tool.parameters,
        approvers=run.tool.approvers if kind == "approval" else 1,
        approved_by=approved_by,
    )
    allowed = ("approve", "reject", "resolve") if kind == "unknown_outcome" else _APPROVALS
    while True:
        event = await run.context.wait_for_event(
            f"Approve tool {run.tool.name}" if kind == "approval" else f"Ask about {run.tool.name}",
            approval_id(run.context.workflow_run_id, place),
            timeout=run.tool.approval_timeout,
            details=request.to_json(),
        )
        if event.timeout:
            return None
        decision = Decision.read(event.event_data)
        shown = arguments_hash(arguments)
        if decision is None or decision.verdict not in allowed or decision.arguments_hash != shown:
            continue
        if decision.verdict != "approve" or may_approve(request, decision.by):
            return decision


_APPROVALS = ("approve", "reject", "respond")


def reason(decision: Decision) -> str:
    """What the model is told of a rejection."""
    return f"The reason: {decision.reason}" if decision.reason else "No reason was given."


def _check(run: ToolRun) -> dict[str, Any]:
    step = run.context.current_step
    try:
        sent, given = run.sent(), run.checked()
    except Exception as error:  # noqa: BLE001  # whatever is wrong with them, the model is told
        return run.failed(error)
    needed = run.tool.needs_approval
    return {
        "arguments": sent,
        "needed": needed if isinstance(needed, bool) else bool(needed(_with_defaults(run, given))),
        "place": "" if step is None else str(step.key),
    }


def _with_defaults(run: ToolRun, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments with the defaults of the function, as far as it tells them."""
    try:
        parameters = inspect.signature(run.tool.invoke).parameters.values()
    except ValueError:
        return given
    defaults = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
    defaults.pop(run.tool.context_parameter or "", None)
    return {**defaults, **given}
