"""What follows a failed attempt, and the delays that the other side may ask for."""

import pytest

from workflow_agents.core.delay_expression import DelayExpression
from workflow_agents.core.retry import (
    DEFAULT_DELAY,
    MAX_DELAY_MS,
    GiveUp,
    Retry,
    RetryPolicy,
    after_failure,
    default_delay_ms,
    retry_after_ms,
)
from workflow_agents.errors import ConfigurationError

NOW = 1_445_412_480_000  # Wed, 21 Oct 2015 07:28:00 GMT


def test_the_default_delays_grow_to_a_day():
    assert [default_delay_ms(n) // 1000 for n in (1, 2, 3, 4, 5, 1000)] == [
        12,
        2 * 60 + 28,
        30 * 60 + 8,
        6 * 3600 + 7 * 60 + 6,
        86_400,
        86_400,
    ]


def test_the_default_expression_says_what_the_default_is():
    expression = DelayExpression.parse(DEFAULT_DELAY)

    assert [expression.delay_ms(n - 1) for n in range(1, 10)] == [
        default_delay_ms(n) for n in range(1, 10)
    ]


def test_three_retries_are_four_attempts():
    policy = RetryPolicy(delay=DelayExpression.parse("1000 * retried"))

    assert [after_failure(policy, failures=n) for n in (1, 2, 3)] == [
        Retry(after_ms=0, attempt=2),
        Retry(after_ms=1000, attempt=3),
        Retry(after_ms=2000, attempt=4),
    ]
    assert after_failure(policy, failures=4) == GiveUp(
        "it failed 4 times, and 3 retries are allowed"
    )


def test_no_retries_give_up_at_once():
    assert after_failure(RetryPolicy(0), failures=1) == GiveUp(
        "it failed once, and 0 retries are allowed"
    )


def test_a_final_failure_is_not_retried():
    given_up = after_failure(RetryPolicy(10), failures=1, retry_after_ms=5, non_retryable=True)

    assert isinstance(given_up, GiveUp)


def test_the_delay_asked_for_goes_before_the_policy():
    policy = RetryPolicy(delay=DelayExpression.parse("1000"))

    assert after_failure(policy, failures=1, retry_after_ms=7) == Retry(7, 2)
    assert after_failure(policy, failures=1, retry_after_ms=0) == Retry(0, 2)
    assert after_failure(policy, failures=1, retry_after_ms=10**12) == Retry(MAX_DELAY_MS, 2)
    assert after_failure(policy, failures=1) == Retry(1000, 2)
    assert after_failure(RetryPolicy(), failures=1) == Retry(12_182, 2)
    # It counts as a retry.
    assert isinstance(after_failure(policy, failures=4, retry_after_ms=7), GiveUp)


@pytest.mark.parametrize(
    "retries", [-1, 1001, True, 1.0, "3", None, pytest.param(10**5000, id="digits")]
)
def test_unusable_retries_are_refused(retries):
    with pytest.raises(ConfigurationError) as refused:
        RetryPolicy(retries)

    assert refused.value.code == "WA102"


def test_a_delay_is_an_expression():
    with pytest.raises(ConfigurationError, match="DelayExpression"):
        RetryPolicy(delay="1000")


@pytest.mark.parametrize(
    ("headers", "ms"),
    [
        ({}, None),
        ({"Retry-After": []}, None),
        ({"Retry-After": ["30"]}, 30_000),
        ({"retry-after": [" 1.5 "]}, 1500),
        ({"RETRY-AFTER": ["6m5s"]}, 365_000),
        ({"Retry-After": ["20ms"]}, 20),
        ({"Retry-After": ["1d"]}, MAX_DELAY_MS),
        ({"Retry-After": ["0"]}, 0),
        ({"Retry-After": ["Wed, 21 Oct 2015 07:28:10 GMT"]}, 10_000),
        ({"Retry-After": ["Wed, 21 Oct 2015 07:00:00 GMT"]}, 0),
        ({"Retry-After": ["Wed, 28 Oct 2015 07:28:10 GMT"]}, None),
        ({"Retry-After": ["86401"]}, None),
        ({"Retry-After": ["-1"]}, None),
        ({"Retry-After": ["soon"]}, None),
        ({"Retry-After": [""]}, None),
        pytest.param({"Retry-After": ["9" * 100_000]}, None, id="long"),
        ({"X-RateLimit-Reset": ["12"]}, 12_000),
        ({"X-RateLimit-Reset": ["1445412490"], "x-ratelimit-reset-requests": ["1s"]}, 1000),
        ({"x-ratelimit-reset-tokens": ["6m0s"], "X-RateLimit-Reset-Requests": ["20ms"]}, 20),
        ({"x-ratelimit-reset-tokens": ["6m0s"]}, 360_000),
        ({"X-RateLimit-Reset": ["12"], "Retry-After": ["soon", "3"]}, 3000),
        ({"X-RateLimit-Reset": ["12"], "Retry-After": ["2d"]}, 12_000),
    ],
)
def test_the_delay_that_headers_ask_for(headers, ms):
    assert retry_after_ms(headers, NOW) == ms
