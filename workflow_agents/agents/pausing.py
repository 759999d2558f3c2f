"""Room for the next step: within all limits, or once a person has allowed more.

Where a limit says "pause", the run waits for a decision among those of `client.approvals`, its
kind "limit". The id is made of the run and of whose limit it is; nothing else is stored. Branches
that meet the same limit wait for the same decision, and one raises it for all of them.
"""

from workflow_agents.agents.ports import AgentContext
from workflow_agents.agents.spending import Breach, Spending
from workflow_agents.protocol.approvals import Decision, Request, approval_id

_PATIENCE = "30d"


async def make_room(
    context: AgentContext,
    agent: str,
    spending: Spending,
    *,
    model_calls: int = 0,
    tool_calls: int = 0,
) -> None:
    """Return once so many calls may be made; they then count as made.

    Raises:
        UsageLimitExceeded: a limit is used up, and nobody allows more.
    """
    while (breach := spending.breach(model_calls=model_calls, tool_calls=tool_calls)) is not None:
        if breach.pauses:
            await _ask(context, agent, breach)
        else:
            raise breach.error()
    spending.began(model_calls=model_calls, tool_calls=tool_calls)


async def _ask(context: AgentContext, agent: str, breach: Breach) -> None:
    spending, times = breach.spending, breach.spending.times
    shown = {"limit": breach.limit, "of": spending.of, "allowed": str(breach.allowed)}
    request = Request(
        kind="limit",
        agent=agent,
        tool="",
        tool_call_id="",
        description=(
            f"The {breach.limit} of {spending.of} are used up: {breach.allowed} are allowed,"
            f" the next step needs {breach.used}. Approve as much again?"
        ),
        arguments=shown,
        schema={"type": "object"},
    )
    place = f"limit-{spending.path}-{breach.limit}-{times}"
    while True:
        answer = await context.wait_for_event(
            f"Limit of {spending.of}",
            approval_id(context.workflow_run_id, place),
            timeout=_PATIENCE,
            details=request.to_json(),
        )
        if answer.timeout:
            raise breach.error(f"nobody answered within {_PATIENCE}")
        decision = Decision.read(answer.event_data)
        if decision is None or decision.arguments_hash != request.hash:
            continue  # it was meant for something else
        if decision.verdict == "reject":
            raise breach.error(decision.reason or "no reason was given")
        spending.raise_limits(times)
        return
