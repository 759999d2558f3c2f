"""What code is told that asks for a step in a way that cannot work."""

from workflow_agents.context.branches import Branch, InsideStep
from workflow_agents.core.limits import Limits
from workflow_agents.core.replay import describe, place
from workflow_agents.errors import HistoryMismatch, LimitError, StepUsageError
from workflow_agents.protocol.history import Recorded, StepKind

NOT_ITS_OWN = "expected the context's own function and the tasks it starts, found other code"


def unfit_for(head: Recorded, asked: str) -> HistoryMismatch:
    """The code asks for something else than what is recorded next."""
    return HistoryMismatch(place(head.key), describe(head.kind, head.name), asked)


def too_much(limits: Limits, kind: StepKind, name: str, steps: int) -> LimitError:
    """One step too many, or a name that is too long."""
    asked = describe(kind, name[:60])
    if steps > limits.steps:
        return LimitError(
            "WA503", where=asked, found=f"expected at most {limits.steps:,} steps, found one more"
        )
    found = f"expected at most {limits.name_characters:,} characters, found {len(name):,}"
    return LimitError("WA504", where=asked, found=found, fix=("give the step a shorter name",))


def misplaced(branch: Branch | InsideStep | None, kind: StepKind, name: str) -> StepUsageError:
    """A step inside a step, or outside its function."""
    asked = describe(kind, name)
    if isinstance(branch, InsideStep):
        return StepUsageError(
            "WA203",
            where=f"{asked}, inside step {branch.name!r}",
            found=f"the body of {branch.name!r} asks for {asked}",
        )
    return StepUsageError("WA208", where=asked, found=NOT_ITS_OWN)
