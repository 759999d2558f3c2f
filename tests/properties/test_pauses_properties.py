"""A line of requests at a provider with a limit: all pass, and few are refused on the way."""

import heapq

from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_agents.core.pauses import (
    Begin,
    Pause,
    WaitForEnd,
    after_refusal,
    after_success,
    may_begin,
)


class Provider:
    """Lets `rate` requests through in any window; says when the next may come, or does not."""

    def __init__(self, rate: int, period: int, *, tells: bool) -> None:
        self._rate, self._period, self._tells = rate, period, tells
        self._passed: list[int] = []
        self.refused = 0

    def ask(self, now: int) -> dict[str, list[str]] | None:
        within = [at for at in self._passed if at > now - self._period]
        if len(within) < self._rate:
            self._passed.append(now)
            return None
        self.refused += 1
        seconds = (within[0] + self._period - now) / 1000
        return {"retry-after": [str(seconds)]} if self._tells else {}


def run(provider: Provider, waiting: int, latency: int) -> tuple[int, list[tuple[int, Pause]]]:
    """Let `waiting` requests through; when it was done, and each pause with its begin."""
    now, pause = 0, None
    flying: list[tuple[int, int, dict[str, list[str]] | None]] = []
    pauses: list[tuple[int, Pause]] = []
    sent = 0
    while waiting or flying:
        decision = may_begin(pause, now=now, in_flight=len(flying))
        if waiting and decision == Begin():
            waiting, sent = waiting - 1, sent + 1
            heapq.heappush(flying, (now + latency, sent, provider.ask(now)))
            continue
        if not flying:
            assert isinstance(decision, WaitForEnd), "nobody is under way, and nobody may begin"
            now = decision.at_ms
            continue
        now, _, refusal = heapq.heappop(flying)
        if refusal is None:
            pause = None if pause is None or not waiting else after_success(pause, now=now)
            continue
        waiting += 1
        before, pause = pause, after_refusal(pause, refusal, now=now, in_flight=len(flying) + 1)
        assert pause.until > now
        if before is not None:
            assert pause.until >= before.until
        pauses.append((now, pause))
    return now, pauses


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 60),
    st.sampled_from([1_000, 10_000, 60_000]),
    st.integers(1, 400),
    st.sampled_from([1, 50, 900]),
    st.booleans(),
)
def test_all_pass_and_not_much_later_than_they_must(
    rate: int, period: int, count: int, latency: int, tells: bool
) -> None:
    provider = Provider(rate, period, tells=tells)
    done, _ = run(provider, count, latency)

    least = (count - 1) // rate * period
    if tells:
        assert done <= (least + latency) * 2 + 20 * latency + 1_000 * (count // rate + 1)
    # Those that came at once before anything was known, and then at most what passes; and
    # where nobody says how long, those that ask for it.
    asks = 2 if tells else 8
    assert provider.refused <= count + count + asks * (count // rate + 1) + 40


def test_a_long_line_learns_what_passes() -> None:
    """1,000 at once, 60 a minute: after the first rush hardly anybody is refused."""
    provider = Provider(60, 60_000, tells=True)
    run(provider, 1_000, 500)
    rush = 1_000 - 60
    assert provider.refused - rush < 300
