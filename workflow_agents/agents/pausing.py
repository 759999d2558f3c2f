"""Room for the next step: within all limits, or once a person has allowed more.

Where a limit says "pause", the run waits for an event whose id is made of the run, of whose limit
it is, and of what is used; nothing else is stored. Branches that meet the same limit wait for the
same event, and one answer raises it once for all of them.
"""

from typing import Any, cast

from workflow_agents.agents.ports import AgentContext
from workflow_agents.agents.spending import Breach, Spending

KIND = "limit"
"""What the wait is, for those who list what is waited for."""

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
    run = context.workflow_run_id
    event_id = f"{KIND}:{run}:{spending.path}:{breach.limit}:{breach.allowed}"
    details = {
        "kind": KIND,
        "agent": agent,
        "limit": breach.limit,
        "of": spending.of,
        "allowed": str(breach.allowed),
        "used": str(breach.used),
        "usage": {
            "prompt_tokens": spending.usage.prompt_tokens,
            "completion_tokens": spending.usage.completion_tokens,
            "total_tokens": spending.usage.total_tokens,
        },
    }
    answer = await context.wait_for_event(
        f"Limit of {spending.of}", event_id, timeout=_PATIENCE, details=details
    )
    if answer.timeout:
        raise breach.error(f"nobody answered in {_PATIENCE}")
    data: Any = answer.event_data
    decision = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
    if decision.get("approved") is not True:
        raise breach.error(str(decision.get("reason") or "no reason given"))
    spending.raise_limits(times)
