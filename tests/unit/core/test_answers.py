"""What follows an answer: the table of endpoint responses, and the delays that answers ask for."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_agents.core.answers import (
    NOT_A_WORKFLOW,
    SDK_TOO_OLD,
    Cause,
    Delivered,
    Failed,
    Proof,
    after_answer,
    proof_owed,
)
from workflow_agents.core.delay_expression import DelayExpression
from workflow_agents.core.retry import MAX_DELAY_MS, Retry, RetryPolicy
from workflow_agents.protocol.message_kinds import MessageKind

NOW = 1_445_412_480_000  # Wed, 21 Oct 2015 07:28:00 GMT
BASE = {"Upstash-Workflow-Sdk-Version": ["1"], "Upstash-workflow-sdk": ["v1.3.2"]}
FINAL = {"Upstash-NonRetryable-Error": ["true"]}
NO_FUNCTION = {"Upstash-Workflow-Failure-Callback-Notfound": ["true"]}
SECOND = Retry(12_182, 2)


def follows(status, headers=None, *, attempt=1, retries=3, delay=None, **owed):
    policy = RetryPolicy(retries, delay and DelayExpression.parse(delay))
    return after_answer(status, headers or {}, attempt=attempt, policy=policy, now_ms=NOW, **owed)


def cause(outcome):
    assert isinstance(outcome, Failed)
    return outcome.cause


# The table of endpoint responses, for a first visit that has to prove itself.
@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        pytest.param(200, BASE, Delivered(), id="step submitted"),
        pytest.param(489, {**BASE, **FINAL}, Cause.NON_RETRYABLE, id="quota, or a final error"),
        pytest.param(400, BASE, SECOND, id="no steps"),
        pytest.param(429, {**BASE, "Retry-After": ["30"]}, Retry(30_000, 2), id="retry after"),
        pytest.param(429, {**BASE, "Retry-After": ["2m"]}, Retry(120_000, 2), id="a duration"),
        pytest.param(500, {"Upstash-Workflow-Sdk-Version": ["1"]}, SECOND, id="other exception"),
        pytest.param(500, {"Upstash-Error-Step-Name": ["pay"]}, SECOND, id="a step's exception"),
        pytest.param(500, {}, SECOND, id="an exception in Python"),
        pytest.param(404, BASE, SECOND, id="no such workflow"),
        pytest.param(404, {}, SECOND, id="no such page"),
        pytest.param(405, {}, SECOND, id="only POST"),
        pytest.param(None, {}, SECOND, id="no answer"),
        pytest.param(301, {"Location": ["https://x.test"]}, SECOND, id="elsewhere"),
        pytest.param(200, {}, Failed(Cause.NOT_A_WORKFLOW, NOT_A_WORKFLOW), id="not a workflow"),
    ],
)
def test_endpoint_responses(status, headers, expected):
    outcome = follows(status, headers, kind=MessageKind.VISIT, proof=Proof.WORKFLOW)

    assert (cause(outcome) if isinstance(expected, Cause) else outcome) == expected


def test_a_failure_callback_without_a_function_is_known():
    told = {"kind": MessageKind.FAILURE_VISIT}

    assert follows(200, BASE, **told) == Delivered()
    assert follows(200, {**BASE, **NO_FUNCTION}, **told) == Delivered(unhandled=True)
    assert follows(200, {**BASE, **NO_FUNCTION}, kind=MessageKind.VISIT) == Delivered()
    assert follows(500, {**BASE, **NO_FUNCTION}, **told) == SECOND


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_delivers(status):
    assert follows(status) == Delivered()
    # What else it says does not matter then.
    assert follows(status, {**FINAL, "Retry-After": ["5"]}, attempt=9, retries=0) == Delivered()


@pytest.mark.parametrize(
    "status", [None, 100, 199, 300, 304, 400, 404, 408, 429, 489, 500, 503, 599]
)
def test_all_else_is_tried_again_and_then_given_up(status):
    assert follows(status) == SECOND
    assert follows(status, attempt=3, delay="1000 * retried") == Retry(2000, 4)
    assert follows(status, attempt=4) == Failed(
        Cause.EXHAUSTED, "it failed 4 times, and 3 retries are allowed"
    )
    assert follows(status, attempt=1, retries=0) == Failed(
        Cause.EXHAUSTED, "it failed once, and 0 retries are allowed"
    )


@pytest.mark.parametrize("kind", MessageKind)
def test_a_final_error_needs_both_the_status_and_the_header(kind):
    assert cause(follows(489, FINAL, retries=1000, kind=kind)) is Cause.NON_RETRYABLE
    assert cause(follows(489, {"upstash-nonretryable-error": [" True "]}, kind=kind)) is (
        Cause.NON_RETRYABLE
    )
    assert follows(489, {}, kind=kind) == SECOND
    assert follows(489, {"Upstash-NonRetryable-Error": ["false"]}, kind=kind) == SECOND
    assert follows(500, FINAL, kind=kind) == SECOND
    # It goes before the time that the same answer names.
    assert cause(follows(489, {**FINAL, "Retry-After": ["1"]})) is Cause.NON_RETRYABLE


def test_no_answer_may_be_final():
    assert cause(follows(None, final=True)) is Cause.NON_RETRYABLE
    assert follows(500, final=True) == SECOND


# Delays.
def test_the_default_delays():
    delays = [follows(500, attempt=n, retries=9).after_ms / 1000 for n in range(1, 7)]

    assert delays == [round(min(86_400, math.exp(2.5 * n)), 3) for n in range(1, 7)]


@pytest.mark.parametrize(
    ("name", "value", "ms"),
    [
        *(
            (name, value, ms)
            for name in (
                "Retry-After",
                "X-RateLimit-Reset",
                "X-RateLimit-Reset-Requests",
                "x-ratelimit-reset-tokens",
            )
            for value, ms in [
                ("0", 0),
                ("30", 30_000),
                ("1.5", 1500),
                ("6m5s", 365_000),
                ("20ms", 20),
                ("1h0m0.5s", 3_600_500),
                ("1500us", 2),
                ("100ns", 0),
                ("1d", MAX_DELAY_MS),
                ("86400", MAX_DELAY_MS),
                ("Wed, 21 Oct 2015 07:28:10 GMT", 10_000),
                ("Thu, 22 Oct 2015 07:28:00 GMT", MAX_DELAY_MS),
                ("Wed, 21 Oct 2015 07:00:00 GMT", 0),
                # More than a day, or not understood: as if it were not there.
                ("86401", None),
                ("1d1s", None),
                ("1445412490", None),
                ("Thu, 22 Oct 2015 07:28:01 GMT", None),
                ("-5", None),
                ("soon", None),
                ("", None),
                ("1m s", None),
                ("Wed, 31 Feb 2015 07:28:10 GMT", None),
            ]
        )
    ],
)
def test_the_delay_that_an_answer_asks_for(name, value, ms):
    expected = Retry(ms, 2) if ms is not None else Retry(777, 2)

    for status in (429, 503, 500, 301):
        assert follows(status, {name: [value]}, delay="777") == expected


def test_a_delay_that_is_asked_for_counts_as_a_retry():
    assert follows(429, {"Retry-After": ["30"]}, attempt=3) == Retry(30_000, 4)
    assert cause(follows(429, {"Retry-After": ["30"]}, attempt=4)) is Cause.EXHAUSTED


# Proofs.
@pytest.mark.parametrize(
    ("kind", "told", "proof"),
    [
        (MessageKind.VISIT, {"first": True, "features": {"LazyFetch"}}, Proof.NONE),
        (MessageKind.VISIT, {"first": True, "features": {"WF_DetectTrigger"}}, Proof.WORKFLOW),
        (MessageKind.VISIT, {"first": True, "by_rest": True}, Proof.SDK_1),
        (MessageKind.VISIT, {"first": True, "features": ["WF_DetectTrigger"], "by_rest": True},
         Proof.SDK_1),
        (MessageKind.VISIT, {"first": False, "features": {"WF_DetectTrigger"}, "by_rest": True},
         Proof.STILL),
        (MessageKind.PLAN, {"first": False, "features": {"WF_DetectTrigger"}}, Proof.STILL),
        (MessageKind.CALL_ANSWER, {"first": False, "features": {"LazyFetch"}}, Proof.NONE),
        (MessageKind.PLAIN, {"first": True, "features": {"WF_DetectTrigger"}}, Proof.NONE),
        (MessageKind.CALL, {"first": True, "features": {"WF_DetectTrigger"}, "by_rest": True},
         Proof.NONE),
    ],
)  # fmt: skip
def test_visits_have_to_prove_that_they_were_made(kind, told, proof):
    assert proof_owed(kind, **told) is proof


def test_a_later_visit_may_prove_it_another_time():
    assert follows(200, {}, proof=Proof.STILL) == SECOND
    assert cause(follows(200, {}, proof=Proof.STILL, attempt=4)) is Cause.EXHAUSTED
    headers = {"Upstash-Workflow-Sdk-Version": ["1"]}
    assert follows(200, headers, proof=Proof.STILL) == Delivered()


def test_the_texts_that_clients_compare():
    assert follows(200, {}, proof=Proof.WORKFLOW).reason == (
        "detected a non-workflow destination for trigger/invoke. "
        "make sure you are sending the request to the correct endpoint"
    )
    assert follows(200, {}, proof=Proof.SDK_1).reason == (
        "trigger rest api is only usable with sdk versions after v1.0.0 major version"
    )


@pytest.mark.parametrize("sdk", ["v1.0.0", "v1.3.2", "1.3.2", "v1", "v2.0.0-rc.1", " v10.0.1 "])
def test_an_sdk_of_today_can_be_triggered_by_rest(sdk):
    headers = {"upstash-workflow-sdk-version": ["1"], "UPSTASH-WORKFLOW-SDK": [sdk]}

    assert follows(200, headers, proof=Proof.SDK_1) == Delivered()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Upstash-Workflow-Sdk-Version": ["1"]},
        {"Upstash-workflow-sdk": ["v1.3.2"]},
        *(
            {"Upstash-Workflow-Sdk-Version": ["1"], "Upstash-workflow-sdk": values}
            for values in ([], [""], ["v0.9.9"], ["0.3"], ["vv1"], ["latest"], ["v" + "1" * 99])
        ),
    ],
)
def test_an_older_sdk_cannot_be_triggered_by_rest(headers):
    assert follows(200, headers, proof=Proof.SDK_1, retries=9) == Failed(
        Cause.SDK_TOO_OLD, SDK_TOO_OLD
    )
    assert follows(500, headers, proof=Proof.SDK_1) == SECOND


# Whatever the other side sends.
NAMES = [
    *("Retry-After", "X-RateLimit-Reset", "x-ratelimit-reset-tokens", "Upstash-NonRetryable-Error"),
    *("Upstash-Workflow-Sdk-Version", "Upstash-workflow-sdk"),
]
texts = st.text(max_size=40) | st.from_regex(r"[0-9.]{0,70}[a-zµ]{0,3}", fullmatch=True)
dates = st.from_regex(
    r"(Mon|Sun), [0-9]{2} (Jan|Feb|Xyz) [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT", fullmatch=True
)


@settings(max_examples=100, deadline=None)
@given(
    status=st.none() | st.integers(0, 999),
    headers=st.dictionaries(
        st.sampled_from(NAMES) | st.text(max_size=9), st.lists(texts | dates, max_size=3)
    ),
    attempt=st.integers(1, 1200),
    retries=st.integers(0, 1000),
    kind=st.sampled_from(MessageKind),
    proof=st.sampled_from(Proof),
)
def test_nothing_raises(status, headers, attempt, retries, kind, proof):
    outcome = follows(status, headers, attempt=attempt, retries=retries, kind=kind, proof=proof)

    if isinstance(outcome, Retry):
        assert status is None or not 200 <= status < 300 or proof is Proof.STILL
        assert 0 <= outcome.after_ms <= MAX_DELAY_MS
        assert outcome.attempt == attempt + 1 <= retries + 1
    elif isinstance(outcome, Delivered):
        assert 200 <= status < 300
    else:
        assert outcome.reason
