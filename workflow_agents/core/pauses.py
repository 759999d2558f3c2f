"""The pause that all requests to one account of a provider share, when it refuses one of them.

Theory. A provider that answers 429 speaks of the account, not of the request: whoever else
asks before the time that it names is refused too, and may put it off. So the refusal becomes a
pause of the account's key, and every request of the key waits for its end: a row for each, no
task, no attempt. None of them has failed.

Afterwards they must not all come at once, or most are refused again, the more the longer the
line is. A key comes back as a TCP connection does after a loss (RFC 5681): one request at
first; each that succeeds lets one more be under way (slow start), until half of what was under
way at the last refusal; from there on, one more for each round (congestion avoidance). So a
round of refusals is never larger than what was under way, which settles near what the account
allows. A key for which nobody waits any more is free, and forgotten.

This is only the rule. It reads no clock and stores nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from workflow_agents.core.retry import retry_after_ms

PAUSE_LIMIT_MS = 86_400_000
"""How long one request is refused without failing for it; then refusals are failures."""

FIRST_BACKOFF_MS = 1_000
LONGEST_BACKOFF_MS = 300_000
SHORTEST_PAUSE_MS = 50
UNKNOWN_THRESHOLD = 1_024

_BUSY = frozenset({503, 529})
_NEVER_BETTER = b'"insufficient_quota"'
_LOOKED_AT = 2_000


@dataclass(frozen=True, slots=True)
class Pause:
    """A key that was refused, until it is free again.

    Attributes:
        until: no request begins before; Unix milliseconds.
        in_a_row: how often it was paused since a request succeeded.
        window: how many requests may be under way when the pause is over.
        threshold: up to this, each success adds one to the window.
        passed: successes since the window last grew, above the threshold.
    """

    until: int
    in_a_row: int = 1
    window: int = 1
    threshold: int = UNKNOWN_THRESHOLD
    passed: int = 0


def is_refused(status: int, headers: Mapping[str, Sequence[str]], body: bytes) -> bool:
    """Whether an answer says that the account has to wait.

    429 does, but for an account without money, which waiting does not help. 503 and 529 do
    where they name a time; where they do not, they are failures of that request.
    """
    if status == 429:
        return _NEVER_BETTER not in body[:_LOOKED_AT]
    return status in _BUSY and any(name.lower() == "retry-after" for name in headers)


def after_refusal(
    pause: Pause | None, headers: Mapping[str, Sequence[str]], *, now: int, in_flight: int
) -> Pause:
    """What a refusal makes of the key.

    Args:
        pause: of the key, if it has one.
        headers: of the refusal, which may name a time.
        now: Unix milliseconds.
        in_flight: how many requests of the key were under way, this one included.
    """
    asked = retry_after_ms(headers, now)
    if pause is not None and now < pause.until:
        # One that was under way already: the pause is known, and at most becomes longer.
        return pause if asked is None else replace(pause, until=max(pause.until, now + asked))
    in_a_row = 1 if pause is None else pause.in_a_row + 1
    wait = asked or _backoff_ms(in_a_row)
    reached = in_flight if pause is None else pause.window
    return Pause(
        until=now + max(wait, SHORTEST_PAUSE_MS),
        in_a_row=in_a_row,
        threshold=max(1, reached // 2),
    )


def _backoff_ms(in_a_row: int) -> int:
    return min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS << min(in_a_row - 1, 16))


def after_success(pause: Pause, *, now: int) -> Pause:
    """What a success makes of a key: more may be under way. While it is paused: nothing."""
    if now < pause.until:
        return pause
    if pause.window < pause.threshold:
        return replace(pause, in_a_row=0, window=pause.window + 1)
    if pause.passed + 1 < pause.window:
        return replace(pause, in_a_row=0, passed=pause.passed + 1)
    return replace(pause, in_a_row=0, window=pause.window + 1, passed=0)


@dataclass(frozen=True, slots=True)
class Begin:
    """The request may begin."""


@dataclass(frozen=True, slots=True)
class WaitForEnd:
    """The key is paused.

    Attributes:
        at_ms: when the pause ends.
    """

    at_ms: int


@dataclass(frozen=True, slots=True)
class WaitForTurn:
    """As many are under way as may be; ask again when one of them has ended."""


def may_begin(pause: Pause | None, *, now: int, in_flight: int) -> Begin | WaitForEnd | WaitForTurn:
    """Decide whether one more request of a key may begin.

    Args:
        pause: of the key, if it has one.
        now: Unix milliseconds.
        in_flight: how many of its requests are under way.
    """
    if pause is None:
        return Begin()
    if now < pause.until:
        return WaitForEnd(pause.until)
    return Begin() if in_flight < pause.window else WaitForTurn()
