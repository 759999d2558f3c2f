"""The steps of a run whose endpoint runs an official SDK, as the timeline shows them. Pure.

Such a run is known by its messages: a step is heard of when its result comes, or when it waits
elsewhere. When it began is when the one before it was done.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from workflow_agents.core.step_logs import CallRequest, StepLog
from workflow_agents.dashboard.timeline import Bar, Segment
from workflow_agents.protocol.history import StepKind

_STATES = {
    "STEP_SUCCESS": "success",
    "STEP_FAILED": "failed",
    "STEP_CANCELED": "withdrawn",
    "STEP_RETRY": "backoff",
    "STEP_PROGRESS": "running",
}
_WAITS = frozenset({"SleepFor", "SleepUntil", "Wait", "WaitForWebhook"})


def remote_bars(
    groups: Sequence[Mapping[str, Any]], created_at: int, ended_at: int | None, now: int
) -> list[Bar]:
    """A bar for each step.

    Args:
        groups: the steps as the log of the run has them.
        created_at: of the run, Unix milliseconds.
        ended_at: of the run.
        now: Unix milliseconds.
    """
    found: list[Bar] = []
    since = created_at
    for group in groups:
        members = [s for s in group["steps"] if s.get("stepType") not in {"Initial"}]
        depth = 1 if group["type"] == "parallel" else 0
        bars = [_bar(step, since, depth, ended_at, now) for step in members if "state" in step]
        found += bars
        since = max([since, *(bar.ended or bar.began for bar in bars)])
    return found


def _bar(step: Mapping[str, Any], since: int, depth: int, ended_at: int | None, now: int) -> Bar:
    state, kind = _STATES.get(step["state"], "running"), step.get("stepType") or ""
    heard = min(int(step.get("createdAt") or since), now)
    began = min(since, heard)
    over = state in {"success", "failed", "withdrawn"}
    ended = None
    if over:
        ended = max(heard, began) if state == "success" else max(began, ended_at or heard)
    if not over and kind in _WAITS:
        state = "waiting"
    what = "waiting" if kind in _WAITS else "backoff" if state == "backoff" else "running"
    attempts = tuple(int(error["time"]) for error in step.get("errors", ()) if error.get("time"))
    label = StepKind.of_wire(kind).label if kind else "visit"
    key = step.get("stepId") if step.get("stepId") is not None else f"next/{step.get('messageId')}"
    return Bar(
        key or 0, step.get("stepName") or "the next step", label, state, depth, began, ended,
        (Segment(what, began, ended),) if ended is None or ended > began else (), attempts,
    )  # fmt: skip


def remote_calls(groups: Sequence[Mapping[str, Any]]) -> list[StepLog]:
    """The steps that have requested something, as the log of a run that is kept here has them."""
    found: list[StepLog] = []
    for group in groups:
        for step in group["steps"]:
            if step.get("callUrl") is None:
                continue
            request = CallRequest(
                step.get("callMethod") or "",
                step["callUrl"],
                joined(step.get("callHeaders") or {}),
                plain(step.get("callBody")),
            )
            answer = plain(step.get("callResponseBody"))
            found.append(
                StepLog(
                    step.get("stepId") or 0,
                    step.get("stepName") or "",
                    "Call",
                    step.get("state") or "",
                    int(step.get("createdAt") or 0),
                    None if answer is None else int(step.get("createdAt") or 0),
                    out={"status": step.get("callResponseStatus"), "json": answer},
                    request=request,
                )
            )
    return found


def joined(headers: Mapping[str, Any]) -> dict[str, str]:
    """Headers, each as one text, with its name in lower case."""
    return {
        name.lower(): value if isinstance(value, str) else ", ".join(map(str, value))
        for name, value in headers.items()
    }


def plain(text: Any) -> Any:
    """JSON that stands in a text, as data."""
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def remote_step(groups: Sequence[Mapping[str, Any]], key: str) -> Mapping[str, Any] | None:
    """One of them as the log has it; None: there is none of this key."""
    for group in groups:
        for step in group["steps"]:
            found = step.get("stepId")
            own = f"next/{step.get('messageId')}" if found is None else str(found)
            if own == key and step.get("stepType") != "Initial":
                return step
    return None
