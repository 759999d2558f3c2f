"""Bars: what each feed of steps looks like on a line of time."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from workflow_agents.core.step_logs import FeedEntry
from workflow_agents.dashboard.timeline import Bar, Segment, Steps, bars

NOW = 10_000


def entry(at: int, kind: str, step: Any = 1, type_: str = "RUN", **data: Any) -> FeedEntry:
    return FeedEntry(at, at, kind, step, type_, f"step {step}", data or None)


def test_a_run_step_has_run_since_what_came_before_it() -> None:
    first, second = bars([entry(40, "STEP_SUCCESS", 1), entry(90, "STEP_SUCCESS", 2)], 10, NOW)
    assert first.segments == (Segment("running", 10, 40),)
    assert (second.began, second.ended, second.state) == (40, 90, "success")


def test_a_step_that_failed_waits_and_runs_again() -> None:
    found = bars(
        [
            entry(100, "STEP_RETRY", until=400, message="no"),
            entry(450, "STEP_RETRY", until=900),
            entry(950, "STEP_SUCCESS"),
        ],
        0,
        NOW,
    )
    assert found[0].attempts == (100, 450)
    assert [s.what for s in found[0].segments] == [
        "running", "backoff", "running", "backoff", "running",
    ]  # fmt: skip
    assert found[0].segments[1] == Segment("backoff", 100, 400)


def test_a_delay_that_has_passed_is_not_shown_as_one() -> None:
    [late] = bars([entry(100, "STEP_RETRY", until=400)], 0, 500)
    assert (late.state, late.segments[-1]) == ("running", Segment("running", 400, None))
    [early] = bars([entry(100, "STEP_RETRY", until=400)], 0, 300)
    assert (early.state, early.segments[-1]) == ("backoff", Segment("backoff", 100, None))


def test_sleeps_wait_and_slots_hold() -> None:
    [nap] = bars([entry(5, "STEP_WAITING", 1, "SLEEP", until=900)], 0, NOW)
    assert (nap.state, nap.segments) == ("waiting", (Segment("waiting", 5, None),))
    [held] = bars([entry(5, "STEP_WAITING", 1, "CALL", flowControl="k")], 0, NOW)
    assert held.state == "held"
    [paused] = bars([entry(5, "STEP_RETRY", 1, "CALL", pauseKey="k")], 0, NOW)
    assert (paused.state, paused.attempts) == ("held", ())


def test_branches_begin_where_they_forked() -> None:
    found = bars(
        [
            entry(20, "STEP_SUCCESS", 1),
            entry(50, "STEP_SUCCESS", "1.0/1"),
            entry(60, "STEP_SUCCESS", "1.1/1"),
            entry(90, "STEP_SUCCESS", "1.0/2"),
        ],
        0,
        NOW,
    )
    assert [(bar.began, bar.depth) for bar in found] == [(0, 0), (20, 1), (20, 1), (50, 1)]


def test_what_comes_behind_an_outcome_changes_nothing() -> None:
    [bar] = bars([entry(9, "STEP_SUCCESS"), entry(20, "STEP_WITHDRAWN")], 0, NOW)
    assert (bar.state, bar.ended) == ("success", 9)


KINDS = ("STEP_WAITING", "STEP_RETRY", "STEP_SUCCESS", "STEP_FAILED", "STEP_WITHDRAWN")
TYPES = ("RUN", "SLEEP", "WAIT", "CALL", "INVOKE", "WAIT_FOR_WEBHOOK")
DATA = st.sampled_from(
    [None, {"until": 60}, {"until": 400}, {"flowControl": "k"}, {"pauseKey": "k"}]
)
KEYS = st.sampled_from([1, 2, 3, "1.0/1", "1.1/1", "1.0/2"])
FEED = st.lists(st.tuples(st.integers(0, 50), st.sampled_from(KINDS), KEYS, DATA), max_size=30)


def feed_of(parts: list[tuple[int, str, Any, Any]], types: dict[Any, str]) -> list[FeedEntry]:
    at, found = 100, []
    for seq, (passed, kind, key, data) in enumerate(parts, 1):
        at += passed
        found.append(FeedEntry(seq, at, kind, key, types.get(key, "RUN"), str(key), data))
    return found


def check(bar: Bar) -> None:
    """Segments are in order, without gaps, from its beginning to its end."""
    at = bar.began
    for segment in bar.segments[:-1] if bar.ended is None else bar.segments:
        assert segment.since == at
        assert segment.until is not None
        assert segment.until > segment.since
        at = segment.until
    if bar.ended is None:
        assert bar.segments[-1].since == at
        assert bar.segments[-1].until is None
    else:
        assert at == bar.ended
        assert bar.began <= bar.ended
    assert all(bar.began <= failed for failed in bar.attempts)


@given(FEED, st.dictionaries(KEYS, st.sampled_from(TYPES)), st.integers(0, 30))
def test_bars_have_no_gaps_however_the_feed_is_read(
    parts: list[tuple[int, str, Any, Any]], types: dict[Any, str], cut: int
) -> None:
    feed = feed_of(parts, types)
    now = max([1_000, *(e.at for e in feed)])
    whole = bars(feed, 100, now)
    for bar in whole:
        check(bar)

    steps = Steps(100)
    steps.add(feed[:cut])
    before = {bar.step: bar for bar in steps.bars(now)} if cut >= len(feed) else {}
    changed = steps.add(feed[cut:])
    assert steps.bars(now) == whole
    assert steps.seq == (feed[-1].seq if feed else 0)
    assert steps.going(now) == [bar for bar in whole if bar.ended is None]
    news = {bar.step for bar in steps.news(changed, now)}
    assert {bar.step for bar in whole if bar.ended is None} <= news
    assert changed <= news
    if before:
        assert before == {bar.step: bar for bar in whole}
