"""What a tool may know of the call that it serves."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """Given to a tool function that has a parameter of this type; the model does not see it.

        @tool
        async def pay(amount: int, context: ToolContext) -> str:
            \"\"\"Pay an amount of euros.\"\"\"
            return await bank.pay(amount, idempotency_key=context.idempotency_key)

    Attributes:
        workflow_run_id: the run that the agent works in.
        agent: the agent's name.
        tool_name: the tool's name.
        tool_call_id: the provider's id of the call; providers may use one again.
        idempotency_key: of this one call: the same when it is tried again, after a crash, and
            in a run that is resumed from a failed one; another for any other call, also one
            with equal arguments.
        attempt: from 1; attempts that failed count, those that a crash ended do not.
    """

    workflow_run_id: str
    agent: str
    tool_name: str
    tool_call_id: str
    idempotency_key: str
    attempt: int = 1
