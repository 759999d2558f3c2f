"""What a refusal makes of a provider's key, and how it comes back."""

from dataclasses import replace

import pytest

from workflow_agents.core.pauses import (
    FIRST_BACKOFF_MS,
    LONGEST_BACKOFF_MS,
    SHORTEST_PAUSE_MS,
    Begin,
    Pause,
    WaitForEnd,
    WaitForTurn,
    after_refusal,
    after_success,
    is_refused,
    may_begin,
)

NOW = 1_767_225_600_000


def refused(pause: Pause | None = None, now: int = NOW, flying: int = 1, **headers: str) -> Pause:
    named = {name.replace("_", "-"): [value] for name, value in headers.items()}
    return after_refusal(pause, named, now=now, in_flight=flying)


@pytest.mark.parametrize(
    ("status", "headers", "body", "is_one"),
    [
        (429, {}, b"", True),
        (429, {"retry-after": ["1"]}, b"slow down", True),
        (429, {}, b'{"error": {"code": "insufficient_quota"}}', False),
        (503, {"retry-after": ["1"]}, b"", True),
        (529, {"Retry-After": ["1"]}, b"", True),
        (503, {}, b"", False),
        (529, {"x-ratelimit-reset-requests": ["1s"]}, b"", False),
        (500, {"retry-after": ["1"]}, b"", False),
        (200, {"retry-after": ["1"]}, b"", False),
    ],
)
def test_what_is_a_refusal_of_the_account(status, headers, body, is_one) -> None:
    assert is_refused(status, headers, body) is is_one


def test_the_provider_says_when_it_ends() -> None:
    assert refused(retry_after="20").until == NOW + 20_000
    assert refused(retry_after="Thu, 01 Jan 2026 00:00:30 GMT").until == NOW + 30_000
    assert refused(x_ratelimit_reset_requests="6m5s").until == NOW + 365_000


def test_without_a_time_it_waits_longer_each_time() -> None:
    pause, waits = None, []
    for _ in range(12):
        now = NOW if pause is None else pause.until
        pause = refused(pause, now)
        waits.append(pause.until - now)
    assert waits[:4] == [FIRST_BACKOFF_MS * 2**n for n in range(4)]
    assert waits[-1] == LONGEST_BACKOFF_MS
    free = after_success(pause, now=pause.until)
    assert refused(free, pause.until).until == pause.until + FIRST_BACKOFF_MS


def test_a_time_of_nothing_is_no_busy_retry() -> None:
    assert refused(retry_after="0").until == NOW + FIRST_BACKOFF_MS
    assert refused(retry_after="0.001").until == NOW + SHORTEST_PAUSE_MS


def test_those_that_were_under_way_make_it_longer_at_most() -> None:
    first = refused(retry_after="20")
    assert refused(first, NOW + 5, retry_after="10") == first
    assert refused(first, NOW + 5) == first
    assert refused(first, NOW + 5, retry_after="30") == replace(first, until=NOW + 30_005)


def test_who_may_begin() -> None:
    pause = refused(retry_after="20")
    over = NOW + 20_000
    assert may_begin(None, now=NOW, in_flight=10_000) == Begin()
    assert may_begin(pause, now=over - 1, in_flight=0) == WaitForEnd(over)
    assert may_begin(pause, now=over, in_flight=0) == Begin()
    assert may_begin(pause, now=over, in_flight=1) == WaitForTurn()


def test_the_window_grows_with_success_up_to_half_of_what_was_refused_and_then_slowly() -> None:
    pause = refused(retry_after="1", flying=8)
    windows = [pause.window]
    for _ in range(13):
        pause = after_success(pause, now=pause.until)
        windows.append(pause.window)
    assert windows == [1, 2, 3, 4, 4, 4, 4, 5, 5, 5, 5, 5, 6, 6]

    again = refused(pause, pause.until + 1, retry_after="1")
    assert (again.window, again.threshold) == (1, 3)


def test_a_success_during_the_pause_says_nothing() -> None:
    pause = refused(retry_after="20")
    assert after_success(pause, now=NOW + 19_999) == pause
