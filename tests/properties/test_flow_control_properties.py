"""Limits are never exceeded, nobody waits longer than they demand, and everybody gets in."""

import heapq

from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_agents.core.admission import Admit, WaitForSlot, WaitUntil, admit
from workflow_agents.core.flow_control import FlowControl

few = settings(max_examples=200, deadline=None)

limits = st.builds(
    lambda rate, period, parallelism: FlowControl(
        "k", rate if rate or parallelism else 1, period, parallelism
    ),
    st.none() | st.integers(1, 5),
    st.integers(1, 3),
    st.none() | st.integers(1, 4),
)
# Each arrival: the gap after the one before, and how long it runs; milliseconds.
arrivals = st.lists(st.tuples(st.integers(0, 900), st.integers(0, 4000)), min_size=1, max_size=40)


def simulate(limit: FlowControl, work: list[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """Admit in order of arrival, asking again only when `admit` said so.

    Returns:
        (arrived, started, ended) of each, in order of arrival.
    """
    done: list[tuple[int, int, int]] = []
    starts: list[int] = []
    running: list[int] = []
    now = arrived = 0
    for gap, takes in work:
        arrived += gap
        now = max(now, arrived)
        while True:
            while running and running[0] <= now:
                heapq.heappop(running)
            match admit(limit, in_flight=len(running), recent_starts=starts, now=now):
                case Admit():
                    break
                case WaitUntil(at_ms):
                    assert at_ms > now, "it would ask again for ever"
                    now = at_ms
                case WaitForSlot():
                    assert running, "a slot is taken by nobody"
                    now = running[0]
        starts.append(now)
        heapq.heappush(running, now + takes)
        done.append((arrived, now, now + takes))
    return done


@few
@given(limits, arrivals)
def test_limits_hold_in_every_window_and_at_every_instant(limit, work):
    done = simulate(limit, work)

    for _, start, _ in done:
        if limit.rate is not None:
            assert (
                sum(start <= other < start + limit.period_ms for _, other, _ in done) <= limit.rate
            )
        if limit.parallelism is not None:
            assert sum(s <= start < e for _, s, e in done) <= limit.parallelism


@few
@given(limits, arrivals)
def test_nobody_waits_without_need(limit, work):
    done = simulate(limit, work)

    for place, (arrived, start, _) in enumerate(done):
        before = done[:place]
        turn = max([arrived, *(s for _, s, _ in before[-1:])])  # those before go first
        if start == turn:
            continue
        # A millisecond earlier, one of the limits would have been exceeded.
        early = start - 1
        in_flight = sum(s <= early < e for _, s, e in before)
        in_window = sum(early - limit.period_ms < s <= early for _, s, _ in before)
        assert in_flight == limit.parallelism or in_window == limit.rate


@few
@given(limits, arrivals)
def test_everybody_gets_in_and_in_order(limit, work):
    done = simulate(limit, work)

    assert len(done) == len(work)
    assert [start for _, start, _ in done] == sorted(start for _, start, _ in done)


@few
@given(limits, arrivals)
def test_the_latest_starts_are_enough(limit, work):
    starts = [start for _, start, _ in simulate(limit, work)]
    latest = starts[-(limit.rate or 1) :]

    for now in (starts[-1], starts[-1] + limit.period_ms // 2, starts[-1] + limit.period_ms):
        assert admit(limit, in_flight=0, recent_starts=latest, now=now) == admit(
            limit, in_flight=0, recent_starts=starts, now=now
        )


@few
@given(limits)
def test_limits_come_back_from_the_wire(limit):
    back = FlowControl.from_value("k", limit.to_value())

    assert (back.rate, back.parallelism) == (limit.rate, limit.parallelism)
    assert back.rate is None or back.period_ms == limit.period_ms
