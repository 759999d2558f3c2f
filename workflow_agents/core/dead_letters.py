"""Runs that failed for good, as clients are told of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from workflow_agents.core.logs import RunLog


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A run that failed for good.

    Attributes:
        dlq_id: its id as a dead letter.
        workflow_run_id: the run.
        workflow: the run's path.
        at: when it failed, Unix milliseconds.
        failure: error, message, status, attempts.
        failure_function_state: CALLBACK_INPROGRESS, CALLBACK_SUCCESS, CALLBACK_FAIL; or None.
        log: the run.
        caller_ip: the address that triggered the run over HTTP; None: nobody did.
    """

    dlq_id: str
    workflow_run_id: str
    workflow: str
    at: int
    failure: Mapping[str, Any]
    failure_function_state: str | None
    log: RunLog
    caller_ip: str | None = None


class DeadLetterList(list[DeadLetter]):
    """A part of all dead letters.

    Attributes:
        cursor: where the next part begins; None: this was the last.
    """

    def __init__(self, letters: Iterable[DeadLetter] = (), cursor: str | None = None) -> None:
        super().__init__(letters)
        self.cursor = cursor
