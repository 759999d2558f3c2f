"""Logs of runs, shaped from what is stored of them."""

import base64
import json
from typing import Any

from workflow_agents.core.lifecycle import Phase
from workflow_agents.core.retry import DEFAULT_DELAY
from workflow_agents.protocol.history import EntryKind, StepKind
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.protocol.raw_steps import invoked
from workflow_agents.server.run_facts import RunFacts
from workflow_agents.server.run_json import event_json, run_json
from workflow_agents.store.interface import FeedRow
from workflow_agents.store.message_rows import MessageRow, Owed
from workflow_agents.store.remote_rows import LetterRow, RemoteRow

URL = "https://shop.test/api/order"
VISIT, PLAN, CALL = MessageKind.VISIT, MessageKind.PLAN, MessageKind.CALL
ANSWER, FAILURE = MessageKind.CALL_ANSWER, MessageKind.FAILURE_VISIT
FEATURES = ["LazyFetch", "InitialBody", "WF_DetectTrigger", "WF_TriggerOnConfig"]
HEADERS = {"Content-Type": "application/json", "Upstash-Workflow-Sdk-Version": "1"}
ERROR = {"error": "HTTP status 500", "status": 500, "headers": {"x-a": ["1"]}, "body": "no"}


class Told:
    """What happened to a run, put together in few words. Messages count from 1."""

    def __init__(self, phase: Phase = Phase.REMOTE, **spec: Any) -> None:
        self.phase = phase
        self.messages: list[MessageRow] = []
        self.entries: list[FeedRow] = []
        self.owed: dict[int, Owed] = {}
        self.more: dict[str, Any] = {}
        self.message(VISIT, 0, b'{"orderId":42}', headers=HEADERS | {"X-Own": "kept"}, **spec)
        self.entry(EntryKind.RUN_STARTED, 1)

    def message(
        self, kind: MessageKind, step: int | None, body: Any, url: str = URL, **spec: Any
    ) -> int:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        told = {"url": url, "headers": HEADERS, "workflow": {"features": FEATURES}, **spec}
        self.messages.append(
            MessageRow(
                id=len(self.messages) + 1, run=1, kind=kind, at=100 + len(self.messages), url=url,
                url_group=None, endpoint=None, queue=None, schedule=None, flow_key=None,
                caller_ip=None, step=step, source=None, spec=json.dumps(told).encode(), body=data,
            )
        )  # fmt: skip
        return len(self.messages)

    def entry(self, kind: EntryKind, message: int | None = None, **more: Any) -> FeedRow:
        data = more.pop("data", None)
        if data is not None and not isinstance(data, bytes):
            data = json.dumps(data).encode()
        entry = FeedRow(
            len(self.entries) + 1, 1, 200 + len(self.entries), kind, more.get("type"),
            more.get("step"), more.get("name"), data, message,
        )  # fmt: skip
        self.entries.append(entry)
        return entry

    def taken(self, *messages: int) -> None:
        for message in messages:
            self.entry(EntryKind.MESSAGE_DELIVERED, message, data={"status": 200, "attempts": 1})

    def result(self, number: int, name: str, size: int = 1, type_: str = "Run", **more: Any) -> int:
        step = {"stepId": number, "stepName": name, "stepType": type_, "concurrent": size, **more}
        return self.message(VISIT, number, step)

    def plan(self, number: int, name: str, size: int, type_: str = "Run", **more: Any) -> int:
        step = {"stepId": 0, "stepName": name, "stepType": type_, "concurrent": size, **more}
        message = self.message(PLAN, number, {**step, "targetStep": number})
        self.entry(EntryKind.STEP_WAITING, message, type=StepKind.of_wire(type_), step=number)
        return message

    def facts(self) -> RunFacts:
        spec = self.messages[0].spec
        run = RemoteRow(1, "wfr_1", URL, self.phase, 50, None, None, None, 1, spec, True)
        return RunFacts(
            run, 900 if self.phase is not Phase.REMOTE else None, self.more.pop("result", None),
            self.more.pop("labels", ()), self.messages, self.entries, self.owed,
            ids={m.id: f"msg_{m.id}" for m in self.messages}, **self.more,
        )  # fmt: skip

    @property
    def log(self) -> dict[str, Any]:
        return run_json(self.facts())

    @property
    def groups(self) -> list[tuple[str, list[tuple[Any, Any]]]]:
        """Type, and of each step its name or message and its state."""
        return [
            (g["type"], [(s.get("stepId", s["messageId"]), s["state"]) for s in g["steps"]])
            for g in self.log["steps"]
        ]


def due(at: int | None = None, attempt: int = 0, not_before: int | None = None) -> Owed:
    return Owed(1, 0, attempt, at, not_before)


def test_a_run_on_its_first_visit_has_these_members_and_no_others():
    told = Told()
    told.owed = {1: due()}

    assert told.log == {
        "workflowRunId": "wfr_1",
        "workflowUrl": URL,
        "workflowState": "RUN_STARTED",
        "workflowRunCreatedAt": 50,
        "steps": [
            {
                "type": "sequential",
                "steps": [
                    {
                        "stepName": "init", "stepType": "Initial", "callType": "step",
                        "messageId": "msg_1", "out": '{"orderId":42}', "retries": 3,
                        "retryDelay": DEFAULT_DELAY, "concurrent": 1, "state": "STEP_SUCCESS",
                        "createdAt": 100,
                        "headers": {
                            "Content-Type": ["application/json"],
                            "Upstash-Workflow-Sdk-Version": ["1"],
                            "X-Own": ["kept"],
                        },
                    }
                ],
            },
            {
                "type": "next",
                "steps": [
                    {
                        "messageId": "msg_1", "retries": 3, "retryDelay": DEFAULT_DELAY,
                        "state": "STEP_PROGRESS",
                    }
                ],
            },
        ],
    }  # fmt: skip


def test_a_visit_that_is_tried_again_tells_why():
    told = Told(retries=5, retry_delay="1000")
    told.owed = {1: due(5_000, attempt=1)}
    headers = {"upstash-error-step-name": ["charge"]}
    told.entry(EntryKind.MESSAGE_RETRY, 1, data=ERROR | {"headers": headers})

    (following,) = told.log["steps"][-1]["steps"]
    assert following == {
        "messageId": "msg_1", "retries": 5, "retryDelay": "1000", "state": "STEP_RETRY",
        "stepName": "charge", "nextDeliveryTime": 5_000,
        "errors": [
            {
                "error": "500 Internal Server Error", "status": 500, "body": "no", "time": 201,
                "headers": {"Upstash-Error-Step-Name": ["charge"]},
            }
        ],
    }  # fmt: skip


def test_a_finished_run_ends_with_its_last_step():
    told = Told(Phase.SUCCESS, retries=0)
    told.taken(1)
    told.result(1, "reserve", out='{"stock":3}')
    told.entry(EntryKind.RUN_SUCCESS)
    told.taken(2)
    told.more = {"result": b'{"ok":true}', "labels": ("eu", "vip")}

    log = told.log
    assert (log["workflowState"], log["workflowRunCompletedAt"]) == ("RUN_SUCCESS", 900)
    assert (log["workflowRunResponse"], log["label"]) == ('{"ok":true}', "eu")
    assert told.groups == [
        ("sequential", [("msg_1", "STEP_SUCCESS")]),
        ("sequential", [(1, "STEP_SUCCESS")]),
    ]
    step = log["steps"][1]["steps"][0]
    assert (step["out"], step["retries"], "retryDelay" in step) == ('{"stock":3}', 0, False)


def test_a_sleep_is_under_way_until_it_is_delivered():
    told = Told()
    told.taken(1)
    told.result(1, "nap", type_="SleepFor", sleepFor=60)
    told.owed = {2: due(60_000, not_before=60_000)}

    assert told.groups[1:] == [("sequential", [(1, "STEP_PROGRESS")])]
    step = told.log["steps"][1]["steps"][0]
    assert (step["sleepFor"], step["nextDeliveryTime"]) == (60, 60_000)
    told.owed = {2: due(attempt=1, not_before=60_000)}
    assert told.groups[1:] == [
        ("sequential", [(1, "STEP_SUCCESS")]),
        ("next", [("msg_2", "STEP_PROGRESS")]),
    ]


def test_a_group_is_shown_by_number_and_a_failing_member_in_it():
    told = Told(Phase.FAILED)
    told.taken(1)
    a, b, c = (told.plan(n, name, 3) for n, name in ((1, "a"), (2, "b"), (3, "c")))
    told.result(1, "a", 3, out="1")
    told.taken(a)
    told.entry(EntryKind.MESSAGE_FAILED, b, data=ERROR | {"status": 489})
    told.entry(EntryKind.RUN_FAILED, b, data={})
    told.taken(c)

    assert told.groups[1:] == [
        ("parallel", [(1, "STEP_SUCCESS"), (2, "STEP_FAILED"), (3, "STEP_CANCELED")])
    ]
    first, second, _ = told.log["steps"][1]["steps"]
    assert (first["messageId"], first["out"], first["concurrent"]) == ("msg_2", "1", 3)
    assert second["errors"][0]["status"] == 489


def test_a_finished_group_is_followed_by_what_comes_next():
    told = Told()
    told.taken(1, told.plan(1, "a", 2), told.plan(2, "b", 2))
    told.taken(told.result(2, "b", 2))
    assert [kind for kind, _ in told.groups] == ["sequential", "parallel"]
    last = told.result(1, "a", 2)
    told.owed = {last: due()}
    assert told.groups[1:] == [
        ("parallel", [(1, "STEP_SUCCESS"), (2, "STEP_SUCCESS")]),
        ("next", [(f"msg_{last}", "STEP_PROGRESS")]),
    ]


def test_a_cancelled_run_ends_with_the_visit_that_was_under_way():
    told = Told(Phase.CANCELED)
    told.entry(EntryKind.RUN_CANCELED)
    told.taken(1)

    assert told.groups[1:] == [("next", [("msg_1", "STEP_CANCELED")])]


def test_a_call_is_one_step_from_its_request_to_its_answer():
    told = Told()
    told.taken(1)
    call = told.message(
        CALL, 1, b"tea?", "https://pay.test/", method="PUT", retries=2,
        headers={"Authorization": {"sealed": "x"}, "X-A": "1"},
    )  # fmt: skip
    told.entry(EntryKind.STEP_WAITING, call, type=StepKind.CALL, step=1, name="charge")
    told.owed = {call: due(9_000, attempt=1)}
    told.entry(EntryKind.MESSAGE_RETRY, call, data=ERROR)
    (step,) = told.log["steps"][-1]["steps"]
    assert (step["callType"], step["state"], step["retries"]) == ("toCallback", "STEP_RETRY", 2)
    assert (step["callMethod"], step["callUrl"], step["callBody"]) == (
        "PUT", "https://pay.test/", "tea?",
    )  # fmt: skip
    assert step["callHeaders"] == {"Authorization": ["[hidden]"], "X-A": ["1"]}

    told.taken(call)
    answer = {"status": 418, "header": {"X-B": ["2"]}, "body": base64.b64encode(b"pot").decode()}
    told.taken(told.message(ANSWER, 1, answer))
    result = told.result(1, "charge", type_="Call", out="{}")
    told.owed = {result: due()}
    assert [kind for kind, _ in told.groups] == ["sequential", "sequential", "next"]
    step = told.log["steps"][1]["steps"][0]
    assert (step["stepType"], step["state"], step["callType"]) == ("Call", "STEP_SUCCESS", "step")
    assert (step["callResponseStatus"], step["callResponseBody"]) == (418, "pot")
    assert step["callResponseHeaders"] == {"X-B": ["2"]}


def test_a_wait_tells_what_it_waits_for_and_how_it_ended():
    told = Told()
    told.taken(1)
    data = {"eventId": "paid", "timeout": "1h", "until": 3_600_000}
    told.entry(EntryKind.STEP_WAITING, None, type=StepKind.WAIT, step=1, name="paid?", data=data)
    (step,) = told.log["steps"][-1]["steps"]
    assert (step["state"], step["waitEventId"], step["waitTimeoutDeadline"]) == (
        "STEP_PROGRESS", "paid", 3_600,
    )  # fmt: skip
    told.result(1, "paid?", type_="Wait", out="eWVz", waitTimeout=False, waitEventId="paid")
    step = told.log["steps"][1]["steps"][0]
    assert (step["out"], step["waitTimeout"], step["waitTimeoutDuration"]) == ("yes", False, "1h")


def test_an_invoked_run_that_outlives_its_parent_is_told_of_all_the_same():
    told = Told(Phase.FAILED)
    told.taken(1)
    told.entry(EntryKind.STEP_WAITING, None, type=StepKind.INVOKE, step=1, name="ship")
    told.entry(EntryKind.RUN_FAILED, 1, data={})
    child = RemoteRow(
        2, "wfr_2", f"{URL}/ship", Phase.SUCCESS, 60, None, 1, 1, 9, told.messages[0].spec, True
    )
    told.more = {"children": {1: (child, b"21")}}
    assert told.log["steps"][1]["steps"][0]["state"] == "STEP_CANCELED"
    told.entry(EntryKind.DISCARDED, None, step=1, data=invoked("42"))
    told.more = {"children": {1: (child, b"21")}}
    step = told.log["steps"][1]["steps"][0]
    assert step["state"] == "STEP_SUCCESS"
    assert json.loads(step["out"])["body"] == "42"
    assert (step["invokedWorkflowRunId"], step["invokedWorkflowRunBody"]) == ("wfr_2", "21")


def failed_run(*callbacks: tuple[EntryKind, dict[str, Any]]) -> Told:
    told = Told(Phase.FAILED, retries=0)
    told.entry(EntryKind.MESSAGE_FAILED, 1, data=ERROR)
    told.entry(EntryKind.RUN_FAILED, 1, data={"message": "no"})
    told.entry(EntryKind.DEAD_LETTER_ADDED, None, data={"dlqId": "300-1"})
    notice = told.message(FAILURE, None, {}, retries=1)
    told.messages[-1].source = 1
    for kind, data in callbacks:
        told.entry(kind, notice, data=data)
    told.more = {"letter": LetterRow(1, "300-1", 1, 300, "{}", None)}
    return told


def test_a_failed_run_tells_of_its_failure_function():
    log = failed_run().log
    assert log["dlqId"] == "300-1"
    assert [group["type"] for group in log["steps"]] == ["sequential", "next"]
    assert log["steps"][1]["steps"][0]["state"] == "STEP_FAILED"
    assert log["failureFunction"] == {
        "messageId": "msg_2", "url": URL, "state": "CALLBACK_INPROGRESS", "failStatus": 500,
        "failResponse": "no", "failHeaders": {"X-A": ["1"]}, "dlqId": "300-1", "maxRetries": 1,
    }  # fmt: skip
    answer = {"status": 200, "headers": {"x-b": ["2"]}, "body": '{"result":"told"}', "attempts": 1}
    told = failed_run((EntryKind.FAILURE_FUNCTION_SUCCESS, answer)).log["failureFunction"]
    assert (told["state"], told["responseStatus"]) == ("CALLBACK_SUCCESS", 200)
    assert (told["responseBody"], told["responseHeaders"]) == (
        '{"result":"told"}', {"X-B": ["2"]},
    )  # fmt: skip


def test_a_run_without_a_failure_function_tells_of_none():
    answer = {
        "status": 200, "headers": {"upstash-workflow-failure-callback-notfound": ["true"]},
        "body": "{}", "attempts": 1,
    }  # fmt: skip
    log = failed_run((EntryKind.FAILURE_FUNCTION_SUCCESS, answer)).log
    assert "failureFunction" not in log


def test_what_is_redacted_is_shown_as_its_mark():
    told = Told(redact={"body": True, "header": ["X-Own"]})
    init = told.log["steps"][0]["steps"][0]
    assert init["out"].startswith("REDACTED:")
    assert init["headers"]["X-Own"][0].startswith("REDACTED:")
    assert init["headers"]["Content-Type"] == ["application/json"]


def test_events_tell_one_thing_each():
    told = failed_run()
    facts = told.facts()
    started, failed, over = [event_json(facts, entry) for entry in told.entries[:3]]
    assert (started["state"], started["workflowCreatedAt"]) == ("RUN_STARTED", 50)
    assert (failed["state"], failed["stepInfo"]["stepName"]) == ("STEP_FAILED", "init")
    assert (over["state"], over["dlqId"], over["error"]) == ("RUN_FAILED", "300-1", "no")
