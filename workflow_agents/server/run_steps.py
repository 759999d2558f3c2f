"""The steps of a run as its log shows them, in groups. Pure. Source: protocol 7.1, 7.2.

A sequential step is a group of its own. A parallel group has its members by number. What is
asked for and not there yet (a call, a wait, an invoked run) is shown as in progress. Behind
them comes the visit that will produce the next step, as long as there is one to come.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

from workflow_agents.core.lifecycle import Phase
from workflow_agents.core.redaction import redacted, redacted_headers
from workflow_agents.protocol.history import EntryKind, StepKind
from workflow_agents.protocol.message_headers import header_map
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.server.kept_steps import kept_groups, kept_step
from workflow_agents.server.run_facts import RunFacts, data_of, shown_spec
from workflow_agents.store.interface import FeedRow
from workflow_agents.store.message_rows import MessageRow

Step = dict[str, Any]

_STEP_NAME = "upstash-error-step-name"
_SLEEPS = frozenset({"SleepFor", "SleepUntil"})
_WAITS = frozenset({"Wait", "WaitForWebhook"})
_KEPT = ("sleepFor", "sleepUntil", "waitEventId", "waitTimeout")


def step_groups(facts: RunFacts) -> list[dict[str, Any]]:
    """All groups of a run, in order."""
    steps = _Steps(facts)
    return [_sequential(steps.init()), *kept_groups(facts)] if facts.kept else steps.groups()


def step_of(facts: RunFacts, entry: FeedRow) -> Step | None:
    """The step that a feed entry is about."""
    return kept_step(facts, entry) if facts.kept else _Steps(facts).of_entry(entry)


class _Steps:
    """The steps of one run."""

    def __init__(self, facts: RunFacts) -> None:
        self._facts = facts
        self._plans = facts.by_step(MessageKind.PLAN)
        self._results = facts.by_step(MessageKind.VISIT)
        self._calls = facts.by_step(MessageKind.CALL)
        self._answers = facts.by_step(MessageKind.CALL_ANSWER)
        self._asked = {e.step: e for e in facts.entries if self._is_asked(e)}

    def _is_asked(self, entry: FeedRow) -> bool:
        """Whether it tells that a step waits elsewhere, and not that it is planned."""
        planned = self._plans.get(entry.step)
        mine = planned is not None and entry.message == planned.id
        return entry.kind is EntryKind.STEP_WAITING and not mine

    def groups(self) -> list[dict[str, Any]]:
        groups = [_sequential(self.init())]
        members: list[Step] = []
        for row in self._facts.elements:
            if row.kind is MessageKind.PLAN:
                plan = json.loads(row.body)
                members.append(self._member(row, plan))
                if len(members) == plan.get("concurrent", 1):
                    groups.append(_parallel(members))
                    members = []
            elif row.step not in self._plans:
                groups.append(_sequential(self._result(row)))
        if members:
            groups.append(_parallel(members))
        pending = [
            self._pending(entry)
            for number, entry in self._asked.items()
            if number not in self._results and number not in self._plans
        ]
        groups += map(_sequential, pending)
        following = None if pending else self._next()
        return groups if following is None else [*groups, {"type": "next", "steps": [following]}]

    def of_entry(self, entry: FeedRow) -> Step | None:
        facts = self._facts
        if entry.kind is EntryKind.STEP_WAITING and entry.step in self._asked:
            return self._pending(entry)
        row = next((m for m in facts.messages if m.id == entry.message), None)
        if row is None:
            row = self._results.get(entry.step) if entry.step else None
        if row is None:
            return None
        if row.id == facts.run.first:
            return self.init()
        if row.kind is MessageKind.PLAN:
            return self._member(row, json.loads(row.body))
        if row.kind is MessageKind.VISIT:
            return self._result(row)
        asked = self._asked.get(row.step)
        return None if asked is None else self._pending(asked)

    # Single steps.

    def init(self) -> Step:
        """What the run was started with."""
        facts, row = self._facts, self._facts.first
        spec = shown_spec(row.spec)
        return {
            "stepName": "init",
            "stepType": "Initial",
            "callType": "step",
            "messageId": facts.ids[row.id],
            "out": self._shown(row.body.decode("utf-8", "replace")),
            **facts.retrying(spec),
            "concurrent": 1,
            "state": "STEP_SUCCESS",
            "createdAt": row.at,
            "headers": self._headers(spec.headers),
        }

    def _result(self, row: MessageRow) -> Step:
        """A sequential result."""
        data = json.loads(row.body)
        step = self._base(row, data, row.step)
        step["state"] = "STEP_SUCCESS"
        if data.get("stepType") in _SLEEPS:
            step |= self._sleeping(row)
        return step | self._result_of(data)

    def _member(self, row: MessageRow, plan: Mapping[str, Any]) -> Step:
        """A member of a parallel group, from its plan on."""
        step = self._base(row, plan, row.step)
        result = self._results.get(row.step)
        if result is not None:
            return step | {"state": "STEP_SUCCESS"} | self._result_of(json.loads(result.body))
        asked = self._asked.get(row.step)
        if asked is not None:
            return step | self._asked_of(asked)
        step |= self._visit(row)
        if step["state"] == "STEP_SUCCESS":
            # Its visit is over, and what it has led to is not there.
            step["state"] = self._unfinished()
        return step

    def _pending(self, entry: FeedRow) -> Step:
        """A sequential step that waits elsewhere."""
        facts, call = self._facts, self._calls.get(entry.step)
        kind = entry.type or StepKind.RUN
        step: Step = {
            "stepId": entry.step,
            "stepName": entry.name,
            "stepType": kind.wire,
            "callType": "step" if call is None else call.kind.call_type,
            **({} if call is None else {"messageId": facts.ids[call.id]}),
            **facts.retrying(facts.config if call is None else shown_spec(call.spec)),
            "concurrent": 1,
            "createdAt": entry.at,
            "headers": {} if call is None else self._headers(shown_spec(call.spec).headers),
        }
        return step | self._asked_of(entry)

    def _base(self, row: MessageRow, data: Mapping[str, Any], number: Any) -> Step:
        facts = self._facts
        spec = shown_spec(row.spec)
        return {
            "stepId": number,
            "stepName": data.get("stepName"),
            "stepType": data.get("stepType"),
            "callType": "step",
            "messageId": facts.ids[row.id],
            **facts.retrying(facts.effective(row)),
            "concurrent": data.get("concurrent", 1),
            "createdAt": row.at,
            "headers": self._headers(spec.headers),
            **{name: data[name] for name in _KEPT if data.get(name) is not None},
        }

    def _result_of(self, data: Mapping[str, Any]) -> Step:
        """What a result says, and what it came from."""
        number, kind = data.get("stepId"), data.get("stepType")
        step: Step = {name: data[name] for name in _KEPT if data.get(name) is not None}
        out = data.get("out")
        if out is not None:
            step["out"] = self._shown(_plain(out) if kind in _WAITS else out)
        asked = self._asked.get(number)
        if asked is not None:
            step |= self._details(asked)
        return step

    def _asked_of(self, entry: FeedRow) -> Step:
        """The state of a step that waits elsewhere, and what it waits for."""
        step = {"state": self._unfinished(), **self._details(entry)}
        answer = self._answers.get(entry.step)
        call = self._calls.get(entry.step)
        if answer is not None and not self._facts.delivered(answer.id):
            step |= self._visit(answer)
        elif call is not None and answer is None:
            step |= self._visit(call)
        late = next(
            (e for e in self._facts.entries if _came_late(e) and e.step == entry.step), None
        )
        if late is not None and entry.type is StepKind.INVOKE:
            step |= {"state": "STEP_SUCCESS", "out": self._shown(data_of(late).get("out", ""))}
        return step

    def _details(self, entry: FeedRow) -> Step:
        """What a call, a wait or an invocation is about."""
        match entry.type:
            case StepKind.CALL:
                return self._call(entry)
            case StepKind.WAIT | StepKind.WAIT_FOR_WEBHOOK:
                data = data_of(entry)
                return {
                    "waitEventId": data.get("eventId"),
                    "waitTimeoutDuration": data.get("timeout"),
                    "waitTimeoutDeadline": int(data.get("until", 0)) // 1000,
                }
            case StepKind.INVOKE:
                return self._invoked(entry)
            case _:
                return {}

    def _call(self, entry: FeedRow) -> Step:
        call, answer = self._calls.get(entry.step), self._answers.get(entry.step)
        if call is None:
            return {}
        spec = shown_spec(call.spec)
        step: Step = {
            "callUrl": spec.url,
            "callMethod": spec.method,
            "callHeaders": self._headers(spec.headers),
            "callBody": self._shown(call.body.decode("utf-8", "replace")),
        }
        if answer is not None:
            data = json.loads(answer.body)
            step |= {
                "callResponseStatus": data.get("status"),
                "callResponseBody": self._shown(_plain(data.get("body") or "")),
                "callResponseHeaders": data.get("header", {}),
            }
        return step

    def _invoked(self, entry: FeedRow) -> Step:
        found = self._facts.children.get(entry.step)
        if found is None:
            return {}
        child, payload = found
        return {
            "invokedWorkflowRunId": child.run_id,
            "invokedWorkflowUrl": child.url,
            "invokedWorkflowCreatedAt": child.created_at,
            "invokedWorkflowRunBody": self._shown(payload.decode("utf-8", "replace")),
            "invokedWorkflowRunHeaders": self._headers(shown_spec(child.spec).headers),
        }

    # States.

    def _sleeping(self, row: MessageRow) -> Step:
        """The state of a sleep, which ends when its message is delivered."""
        owed = self._facts.owed.get(row.id)
        if owed is not None and not owed.attempt and owed.not_before:
            return {"state": self._unfinished(), "nextDeliveryTime": owed.not_before}
        if owed is None and self._facts.is_over and not self._facts.told.get(row.id, [])[1:]:
            return {"state": self._unfinished()}
        return {}

    def _unfinished(self) -> str:
        """The state of what would go on if the run did."""
        return "STEP_CANCELED" if self._facts.is_over else "STEP_PROGRESS"

    def _visit(self, row: MessageRow) -> Step:
        """The state of the delivery of a message."""
        facts = self._facts
        errors = facts.errors(row.id)
        found: Step = {"errors": errors} if errors else {}
        owed = facts.owed.get(row.id)
        if facts.failed(row.id):
            return {**found, "state": "STEP_FAILED"}
        if facts.delivered(row.id):
            return {**found, "state": "STEP_SUCCESS"}
        if facts.is_over or owed is None:
            return {**found, "state": self._unfinished()}
        if owed.due_at is not None and owed.due_at > row.at:
            found["nextDeliveryTime"] = owed.due_at
        return {**found, "state": "STEP_RETRY" if errors else "STEP_PROGRESS"}

    def _next(self) -> Step | None:
        """The visit that is to produce the following step. Source: protocol 7.1."""
        facts = self._facts
        if facts.run.phase is Phase.SUCCESS:
            return None
        last = facts.elements[-1] if facts.elements else facts.first
        failed = self._failed()
        if failed is not None:
            last = failed
        elif last.step in self._plans and not self._group_is_complete():
            return None
        if last.kind is MessageKind.PLAN:
            return None
        visit = self._visit(last)
        if visit["state"] == "STEP_SUCCESS":
            return None
        if last.kind is MessageKind.VISIT and self._sleeps(last):
            return None
        step = {
            "messageId": facts.ids[last.id],
            **facts.retrying(facts.effective(last)),
            **visit,
        }
        name = self._failing_step(last)
        return {**step, "stepName": name} if name else step

    def _failed(self) -> MessageRow | None:
        """The visit that the run failed with, if it is shown in no group."""
        end = self._facts.end
        if end is None or end.kind is not EntryKind.RUN_FAILED:
            return None
        shown = (self._facts.first, *self._facts.elements)
        return next((m for m in shown if m.id == end.message), None)

    def _group_is_complete(self) -> bool:
        return all(number in self._results for number in self._plans)

    def _sleeps(self, row: MessageRow) -> bool:
        if row.step in self._plans or row.id == self._facts.run.first:
            return False
        return bool(self._sleeping(row)) and json.loads(row.body).get("stepType") in _SLEEPS

    def _failing_step(self, row: MessageRow) -> str | None:
        """The step whose body raised, as the SDK names it."""
        for entry in reversed(self._facts.told.get(row.id, [])):
            named = data_of(entry).get("headers", {}).get(_STEP_NAME)
            if named:
                return str(named[0])
        return None

    # What is shown.

    def _headers(self, headers: Mapping[str, str]) -> dict[str, list[str]]:
        shown = redacted_headers(headers, self._facts.config.redact)
        return header_map(shown.items())

    def _shown(self, text: str) -> str:
        return redacted(text, self._facts.config.redact)


def _came_late(entry: FeedRow) -> bool:
    return entry.kind is EntryKind.DISCARDED and entry.data is not None


def _plain(text: str) -> str:
    """The text that base64 stands for; as it is, where that is no text."""
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:
        return text


def _sequential(step: Step) -> dict[str, Any]:
    return {"type": "sequential", "steps": [step]}


def _parallel(steps: list[Step]) -> dict[str, Any]:
    return {"type": "parallel", "steps": sorted(steps, key=lambda step: step["stepId"])}
