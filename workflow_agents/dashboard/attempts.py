"""The attempts of one step, each with how long its parts took. Pure.

An attempt of a call says how long it took to connect, to answer, and to send the rest, where it
was made over a network; how long it had waited for its turn is what is left. A body that ran in
a process has only run.
"""

from collections.abc import Iterable
from typing import Any

from workflow_agents.core.redaction import shown_headers
from workflow_agents.core.step_logs import FeedEntry
from workflow_agents.dashboard.timeline import HELD, Bar, members

_ENDS = {"STEP_RETRY": "failed", "STEP_FAILED": "failed", "STEP_SUCCESS": "success"}
_WORDS = {"connect": "connect", "first": "first byte", "body": "body"}
_ATTEMPTED = frozenset({"run", "call"})
"""Kinds of steps of which there are attempts; others are done, or waited for."""


def attempts(entries: Iterable[FeedEntry], bar: Bar) -> list[dict[str, Any]]:
    """What came of each attempt, in order; the last one may go on.

    Args:
        entries: of the feed of the step, in order.
        bar: the step on its line of time.
    """
    found: list[dict[str, Any]] = []
    since, over = bar.began, False
    for entry in entries:
        state, data = _ENDS.get(entry.kind), members(entry.data)
        if state is None or over or "pauseKey" in data:
            continue
        over = entry.kind != "STEP_RETRY"
        if state == "success" and bar.kind not in _ATTEMPTED:
            break
        found.append(_attempt(len(found) + 1, state, since, entry.at, data, bar))
        until = data.get("until")
        since = until if isinstance(until, int) else entry.at
    if bar.ended is None and bar.state == "running" and bar.kind in _ATTEMPTED:
        found.append({"number": len(found) + 1, "state": "running", "began": since, "phases": []})
    return found


def _attempt(
    number: int, state: str, since: int, at: int, data: dict[str, Any], bar: Bar
) -> dict[str, Any]:
    detail = members(data.get("detail"))
    timing = members(data.get("timing") or detail.get("timing"))
    spent: list[list[Any]] = [
        [word, timing[name]] for name, word in _WORDS.items() if name in timing
    ]
    held = sum(
        max(0, min(s.until or at, at) - max(s.since, since)) for s in bar.segments if s.what == HELD
    )
    took = sum(int(ms) for _, ms in spent)
    queued = max(0, at - since - took) if spent else held
    if not spent:
        spent = [["run" if bar.kind == "run" else "no answer", max(0, at - since - held)]]
    headers = members(data.get("header") or detail.get("header"))
    told: dict[str, Any] = {
        "number": number,
        "state": state,
        "began": since,
        "at": at,
        "phases": [["queued", queued], *spent] if queued or timing else spent,
        "kept": bool(timing) and "connect" not in timing,
        "header": shown_headers({name: _text(value) for name, value in headers.items()}),
    }
    if isinstance(data.get("status"), int) and (bar.kind == "call"):
        told["status"] = data["status"]
    if state == "failed":
        names = ("error", "message", "where", "until")
        told |= {name: data[name] for name in names if name in data}
        body = detail.get("body")
        if body:
            told["body"] = body
        told["more"] = {
            name: value
            for name, value in data.items()
            if name not in {*names, "status", "header", "timing", "attempts", "detail"}
        }
        own = {n: v for n, v in detail.items() if n not in {"body", "header", "timing"}}
        if own:
            told["more"]["detail"] = own
    return told


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] -- JSON
