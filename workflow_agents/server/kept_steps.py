"""The steps of a run that is kept by checkpoints, as its log shows them. Pure.

The engine keeps such a run as its own, and so its feed tells of every step. Keys of steps are
places in a tree of branches; clients of logs expect numbers, so that steps are numbered in the
order in which they were first heard of. A step of the function itself is a group of its own;
those of branches that were forked in one place are a parallel group. Source: protocol 7.1, 7.2.
"""

import json
from collections.abc import Iterable
from typing import Any, cast

from workflow_agents.core.redaction import redacted
from workflow_agents.core.step_logs import FeedEntry, StepLog, fold_steps
from workflow_agents.protocol.codec import encode
from workflow_agents.protocol.history import StepKey
from workflow_agents.protocol.message_headers import header_map
from workflow_agents.server.run_facts import RunFacts
from workflow_agents.store.interface import FeedRow

Step = dict[str, Any]


def kept_groups(facts: RunFacts) -> list[dict[str, Any]]:
    """All groups of a run but the first, in order."""
    groups: dict[str, list[Step]] = {}
    for number, step in enumerate(_folded(facts.entries), 1):
        groups.setdefault(_place(step.step), []).append(_shown(facts, step, number))
    return [
        {"type": "sequential" if "." not in place else "parallel", "steps": _together(steps)}
        for place, steps in groups.items()
    ]


def kept_step(facts: RunFacts, entry: FeedRow) -> Step | None:
    """The step that a feed entry is about, as it is now."""
    for number, step in enumerate(_folded(facts.entries), 1):
        if step.step == entry.step:
            return _shown(facts, step, number)
    return None


def _folded(entries: Iterable[FeedRow]) -> list[StepLog]:
    return fold_steps(
        FeedEntry(
            e.seq, e.at, e.kind.name, e.step, None if e.type is None else e.type.name, e.name,
            _data(e),
        )
        for e in entries
        if e.step is not None
    )  # fmt: skip


def _data(entry: FeedRow) -> Any:
    try:
        return json.loads(entry.data) if entry.data else None
    except ValueError:  # what came too late is kept in part
        return None


def _place(key: StepKey) -> str:
    """Where it was forked: "2." for every step of the branches that the second one came before."""
    text = str(key)
    return text if "." not in text else text[: text.index(".") + 1]


def _together(steps: list[Step]) -> list[Step]:
    return [{**step, "concurrent": len(steps)} for step in steps]


def _shown(facts: RunFacts, step: StepLog, number: int) -> Step:
    open_one = step.state in {"STEP_PROGRESS", "STEP_RETRY"}
    told: Step = {
        "stepId": number,
        "stepName": step.name,
        "stepType": step.type,
        "callType": "step",
        **facts.retrying(facts.config),
        "createdAt": step.began_at,
        "state": "STEP_CANCELED" if open_one and facts.is_over else step.state,
    }
    if step.ended_at is not None:
        text = step.out if isinstance(step.out, str) else encode(step.out).decode()
        told["out"] = redacted(text, facts.config.redact)
    return told | _about(facts, step)


def _about(facts: RunFacts, step: StepLog) -> Step:
    """What a call, a wait or an invocation is about."""
    given = step.waits_for
    waits = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    match step.type:
        case "SleepFor" | "SleepUntil":
            return {"sleepUntil": waits["until"] // 1000} if "until" in waits else {}
        case "Wait" | "WaitForWebhook":
            deadline = int(waits.get("until", 0)) // 1000
            return {"waitEventId": waits.get("eventId"), "waitTimeoutDeadline": deadline}
        case "Call":
            return _call(step)
        case "Invoke":
            return _invoked(facts, step)
        case _:
            return {}


def _call(step: StepLog) -> Step:
    if step.request is None:
        return {}
    asked = step.request
    told: Step = {
        "callUrl": asked.url,
        "callMethod": asked.method,
        "callHeaders": header_map(asked.headers.items()),
    }
    out = step.out
    answer = cast("dict[str, Any]", out) if isinstance(out, dict) else {}
    if "header" in answer:
        headers: dict[str, list[str]] = answer["header"]
        pairs = [(name, value) for name, values in headers.items() for value in values]
        told["callResponseStatus"] = answer.get("status")
        told["callResponseHeaders"] = header_map(pairs)
    return told


def _invoked(facts: RunFacts, step: StepLog) -> Step:
    found = facts.children.get(step.step)
    if found is None:
        return {}
    child, payload = found
    body = redacted(payload.decode("utf-8", "replace"), facts.config.redact)
    return {
        "invokedWorkflowRunId": child.run_id,
        "invokedWorkflowUrl": child.url,
        "invokedWorkflowCreatedAt": child.created_at,
        "invokedWorkflowRunBody": body,
    }
