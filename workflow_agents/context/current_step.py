"""What the body of a step is told of itself."""

from dataclasses import dataclass

from workflow_agents.protocol.history import StepKey


@dataclass(frozen=True, slots=True)
class CurrentStep:
    """The step whose body runs now.

    Attributes:
        name: its name.
        key: its place in the run.
        idempotency_key: the same in every attempt, after a crash, and in a run that is resumed
            from this one; another for every other step.
        attempt: from 1; attempts that failed count, those that a crash ended do not.
    """

    name: str
    key: StepKey
    idempotency_key: str
    attempt: int
