"""What a forked run takes over of the run that it is forked from. Pure.

A fork at a step keeps every outcome that was recorded before that step's, in the order of
recording, and nothing else: the step runs again, and so does all that could have known of it.
What was recorded before cannot have depended on it, whatever branch it is in.
"""

from collections.abc import Sequence

from workflow_agents.errors import NotFound
from workflow_agents.protocol.history import Recorded, StepKey


def left_out_from(recorded: Sequence[Recorded], step: StepKey | None) -> list[StepKey]:
    """The keys of the outcomes that a fork at `step` does not take over; None: all of them."""
    keys = [r.key for r in recorded]
    return keys if step is None else keys[keys.index(step) :]


def found(recorded: Sequence[Recorded], step: StepKey, *, run_id: str) -> Recorded:
    """The recorded step of this key or, if there is one only, of this name.

    Raises:
        NotFound: WA212.
    """
    for outcome in recorded:
        if outcome.key == step:
            return outcome
    named = [outcome for outcome in recorded if outcome.name == step]
    if len(named) == 1:
        return named[0]
    known = ", ".join(f"{r.key!r} {r.name!r}" for r in recorded[:20])
    raise NotFound(
        "WA212",
        where=f"run {run_id!r}",
        found=(
            f"expected a recorded step, found {len(named)} named {step!r}"
            if named
            else f"expected a recorded step, found none with the key or name {step!r}",
            f"recorded: {known or 'none'}"[:300],
        ),
        fix=("fork at the step's key: (await handle.log()).steps[...].step",),
    )
