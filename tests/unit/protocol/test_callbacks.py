"""Callbacks bring what the endpoints of both SDKs read from them."""

import json
from typing import Any

from workflow_agents.protocol.callbacks import Answer, FailedRun, Source, callback_body
from workflow_agents.protocol.message_headers import delivered_headers
from workflow_agents.protocol.wire_steps import read_call_answer, read_failure

SOURCE = Source(
    "msg_1",
    "https://pay.test/charge",
    "POST",
    {"authorization": "Bearer pay"},
    b'{"amount":10}',
    created_at=1_735_689_601_000,
    not_before=1_735_689_602_000,
    max_retries=3,
    caller_ip="203.0.113.7",
)


def test_a_callback_tells_the_answer_and_its_source() -> None:
    answer = Answer(200, (("content-type", "a/b"), ("set-cookie", "1"), ("set-cookie", "2")), b"hi")
    data: dict[str, Any] = json.loads(callback_body(SOURCE, answer, retried=1))
    assert data == {
        "status": 200,
        "header": {"Content-Type": ["a/b"], "Set-Cookie": ["1", "2"]},
        "body": "aGk=",
        "retried": 1,
        "maxRetries": 3,
        "sourceMessageId": "msg_1",
        "url": "https://pay.test/charge",
        "method": "POST",
        "sourceHeader": {"Authorization": ["Bearer pay"]},
        "sourceBody": "eyJhbW91bnQiOjEwfQ==",
        "notBefore": "1735689602000",
        "createdAt": "1735689601000",
        "callerIP": "203.0.113.7",
    }


def test_a_call_step_reads_its_callback() -> None:
    answer = Answer(503, (("Retry-After", "1"),), bytes(range(256)))
    found = read_call_answer(callback_body(SOURCE, answer, retried=1))
    assert (found.status, found.body, found.retries_left) == (503, bytes(range(256)), True)
    assert found.headers == {"retry-after": ["1"]}


def test_a_workflow_reads_why_it_failed() -> None:
    answer = Answer(500, (), b'{"error":"Error","message":"card declined"}')
    run = FailedRun("wfr_1", "https://shop.test/api/order", 1_735_689_600_000)
    body = callback_body(SOURCE, answer, retried=3, dlq_id="1735689712000-0", run=run)
    found = read_failure(body)
    assert (found.status, found.message) == (500, "card declined")
    assert (found.run_id, found.created_at) == ("wfr_1", 1_735_689_600_000)
    assert (found.url, found.payload) == (SOURCE.url, b'{"amount":10}')
    assert json.loads(body)["dlqId"] == "1735689712000-0"
    assert json.loads(body)["workflowUrl"] == "https://shop.test/api/order"


def test_a_body_reads_the_same_when_an_endpoint_writes_it_again() -> None:
    """Express writes the JSON again before the signature is checked."""
    source = Source("msg_1", "https://a.test/ü", "POST", {"X": "é"}, b"", 1, 1, 0)
    body = callback_body(source, Answer(200), retried=0)
    again = json.dumps(json.loads(body), ensure_ascii=False, separators=(",", ":")).encode()
    assert again == body
    assert "ü".encode() in body


def test_what_the_server_sets_counts_before_what_is_forwarded() -> None:
    sent = delivered_headers(
        {"X-Tenant": "acme", "Upstash-Workflow-Runid": "forged"},
        message_id="msg_1",
        retried=2,
        own={"upstash-workflow-runid": "wfr_1", "Upstash-Signature": "mark"},
    )
    assert sent == {
        "X-Tenant": "acme",
        "User-Agent": "Upstash-QStash",
        "Upstash-Message-Id": "msg_1",
        "Upstash-Retried": "2",
        "Upstash-Workflow-Runid": "wfr_1",
        "Upstash-Signature": "mark",
    }
