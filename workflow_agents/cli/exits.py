"""How commands end: what their exit codes say, and how an error is told."""

import json
import sys
from enum import IntEnum

from workflow_agents.errors import NotFound, RemoteError, StateError, WorkflowAgentsError


class Exit(IntEnum):
    """The exit codes; documented in docs/guides/command_line.md."""

    DONE = 0
    FAILED = 1
    WRONG_CALL = 2
    UNREACHABLE = 3
    REFUSED = 4
    NOT_FOUND = 5
    WRONG_STATE = 6
    RUN_FAILED = 7
    FAULTS = 8


def exit_of(error: WorkflowAgentsError) -> Exit:
    """The code of an error."""
    match error:
        case RemoteError(status=401 | 403):
            return Exit.REFUSED
        case RemoteError():
            return Exit.UNREACHABLE
        case NotFound():
            return Exit.NOT_FOUND
        case StateError():
            return Exit.WRONG_STATE
        case _:
            return Exit.FAILED


def tell(error: WorkflowAgentsError, *, as_json: bool) -> None:
    """Write an error to standard error: in its five parts, or as JSON."""
    if as_json:
        told = {"error": {**error.as_dict(), "exitCode": int(exit_of(error))}}
        sys.stderr.write(f"{json.dumps(told, ensure_ascii=False)}\n")
        return
    sys.stderr.write(f"{error}\n  more   workflow-agents explain {error.code}\n")
