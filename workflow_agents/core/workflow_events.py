"""What happens to runs and messages, as `client.events` tells of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workflow_agents.protocol.history import StepKey


@dataclass(frozen=True, slots=True)
class WorkflowEvent:
    """Something that happened to a run or a message.

    Attributes:
        seq: its place in the feed of the whole store; whoever follows again goes on behind it.
        at: Unix milliseconds.
        kind: RUN_STARTED, STEP_SUCCESS, MESSAGE_DELIVERED, ...
        workflow_run_id: of the run.
        workflow: the path or address of the run's function.
        message_id: of the message.
        step: of a step: its key.
        step_name: of a step: its name.
        step_type: of a step: Run, Call, SleepFor, ...
        data: a result, a failure, what is waited for; None where it is long.
        left_out: the data is too long for an event: the log of the run has it.
    """

    seq: int
    at: int
    kind: str
    workflow_run_id: str | None = None
    workflow: str | None = None
    message_id: str | None = None
    step: StepKey | None = None
    step_name: str | None = None
    step_type: str | None = None
    data: Any = None
    left_out: bool = False

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "WorkflowEvent":
        """An event as a stream has it."""
        return cls(
            told["seq"],
            told["at"],
            told["kind"],
            told.get("workflowRunId"),
            told.get("workflow"),
            told.get("messageId"),
            told.get("stepId"),
            told.get("stepName"),
            told.get("stepType"),
            told.get("data"),
            told.get("leftOut", False),
        )
