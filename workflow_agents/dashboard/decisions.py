"""Who answered what a step waited for, when, and from where. Pure.

A decision about a tool says so itself. Of any other event, and of a webhook, the feed does.
"""

from collections.abc import Sequence
from typing import Any, cast

from workflow_agents.protocol.approvals import Decision


def event_of(waits_for: Any) -> str | None:
    """The id of the event that a step waits for; None: it waits for something else."""
    if not isinstance(waits_for, dict):
        return None
    told = cast("dict[str, Any]", waits_for)
    event = told.get("eventId") or told.get("waitEventId")
    return event if isinstance(event, str) else None


def decided(out: Any, notified: Sequence[tuple[int, Any]]) -> dict[str, Any] | None:
    """Who it was, as the page of a step tells.

    Args:
        out: of the step; None: it still waits.
        notified: when the event was notified, and what the feed tells of that, in order.

    Returns:
        `by`: a user, None where nobody had to say; `at`: Unix milliseconds; `through`:
        "dashboard", "api" or None; `verdict`: of a decision about a tool. None: nobody has.
    """
    if not isinstance(out, dict):
        return None
    told = cast("dict[str, Any]", out)
    if told.get("timeout") or told.get("waitTimeout"):
        return None
    decision = Decision.read(told.get("data"))
    at, feed = notified[-1] if notified else (0, None)
    known = cast("dict[str, Any]", feed) if isinstance(feed, dict) else {}
    if decision is not None:
        by, at = decision.by, decision.at or at
    elif notified:
        by = known.get("by")
    else:
        return None
    verdict = None if decision is None else decision.verdict
    return {"by": by, "at": at, "through": known.get("through"), "verdict": verdict}
