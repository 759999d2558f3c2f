"""What the page of a run shows of one step: what it was asked, what came of it, and how."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workflow_agents.core.redaction import shown_headers
from workflow_agents.dashboard.attempts import attempts
from workflow_agents.dashboard.remote_steps import joined, plain
from workflow_agents.dashboard.timeline import Bar, members

if TYPE_CHECKING:
    from workflow_agents.core.step_logs import FeedEntry, StepLog

_LOGGED = 100


def step_page(
    step: "StepLog", entries: "Sequence[FeedEntry]", bar: Bar, code: Any
) -> dict[str, Any]:
    """A step of a run that is kept here.

    Args:
        step: as the log has it.
        entries: of the feed of the step, in order.
        bar: of the timeline.
        code: where it stands, if that is known.
    """
    request = step.request
    return {
        "step": step.step,
        "name": step.name,
        "type": step.type,
        "state": step.state,
        "out": _shown(step.out, bar.kind),
        "failure": step.out if step.state == "STEP_FAILED" else None,
        "waitsFor": step.waits_for if step.request is None else None,
        "retries": step.retries,
        "attempts": attempts(entries, bar),
        "logs": [[e.seq, e.at, e.kind, _told(e)] for e in entries[-_LOGGED:]],
        "code": code,
        "request": None
        if request is None
        else {
            "method": request.method,
            "url": request.url,
            "headers": dict(request.headers),
            "body": request.body,
            "bytes": request.body_bytes,
        },
    }


def remote_step_page(step: Mapping[str, Any]) -> dict[str, Any]:
    """A step of a run that is known by its messages only."""
    url = step.get("callUrl")
    waits = {n: v for n, v in step.items() if n.startswith(("wait", "sleep", "invoked"))}
    out = step.get("out", step.get("callResponseBody"))
    headers = joined(step.get("callHeaders") or {})
    answered = step.get("callResponseStatus")
    errors = step.get("errors", ())
    return {
        "step": step.get("stepId"),
        "name": step.get("stepName"),
        "type": step.get("stepType"),
        "state": step.get("state"),
        "out": plain(out),
        "failure": errors[-1] if step.get("state") == "STEP_FAILED" and errors else None,
        "waitsFor": waits or None,
        "retries": len(errors),
        "attempts": [
            {
                "number": number,
                "state": "failed",
                "at": error.get("time"),
                "phases": [],
                "status": error.get("status"),
                "message": error.get("error"),
                "more": error,
            }
            for number, error in enumerate(errors, 1)
        ]
        + (
            []
            if answered is None
            else [
                {
                    "number": len(errors) + 1,
                    "state": "success",
                    "at": step.get("createdAt"),
                    "phases": [],
                    "status": answered,
                    "header": shown_headers(joined(step.get("callResponseHeaders") or {})),
                }
            ]
        ),
        "logs": [],
        "code": None,
        "request": None
        if url is None
        else {
            "method": step.get("callMethod"),
            "url": url,
            "headers": headers,
            "body": plain(step.get("callBody")),
            "bytes": len(step.get("callBody") or ""),
        },
    }


def _shown(out: Any, kind: str) -> Any:
    """A result; of a call without what hides in headers, and without its times."""
    if kind != "call" or "header" not in members(out):
        return out
    headers = members(out["header"])
    hidden = shown_headers(dict.fromkeys(headers, ""))
    shown = {name: hidden[name] or value for name, value in headers.items()}
    return {n: v for n, v in out.items() if n != "timing"} | {"header": shown}


def _told(entry: "FeedEntry") -> Any:
    """What an entry tells besides the result, which has a place of its own."""
    if entry.kind == "STEP_SUCCESS":
        return None
    data = members(entry.data)
    if not data:
        return entry.data
    return {n: v for n, v in data.items() if n not in {"headers", "header", "body"}}
