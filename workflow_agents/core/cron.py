"""Schedules: which instants a cron expression names, and which of them are still to be fired.

    CRON_TZ=Europe/Berlin 0 9 * * MON-FRI

Five fields: minute, hour, day of the month, month, day of the week (0 and 7 are Sunday), each
`*`, a number, a name (JAN, MON), a range, a list of these, or one of them with a step. A day
of the month may be L (the last) or LW (the last weekday), a day of the week FRI#2 (the second
Friday) or 5L (the last one). `?` is `*` in the two fields of days. Where neither of them
begins with `*`, a day has to fit one of them; else both. Without a zone the zone is UTC.

When clocks are put forward or back, there are two kinds of schedules (as Debian's cron has it):

- *Fixed times* ("30 2 * * *"): neither minute nor hour is a wildcard. They fire once on every
  day that they name. A time that the day does not have, because clocks skip it, fires at the
  end of the gap; several of them there fire once. A time that occurs twice fires the first
  time.
- *Intervals* ("*/15 * * * *", "0 * * * *", "*/15 2 * * *"): minute or hour is a wildcard: it
  begins with `*`, or has every value. They fire whenever the clock on the wall shows a time
  that they name: not in the hour that is skipped, twice in the one that occurs twice. So what
  fires every 15 minutes goes on to do so.

Theory. On the wall, time has no gaps, and the library `cronsim` finds the next time there. What
that is as an instant is decided here: asked with a zone, the library loses ticks, or finds the
same ones for ever, where clocks change by half an hour or not on the hour. For fixed times the
way from wall to instant is monotone, so they come in order by themselves. For intervals the
time line is cut where the offset changes, and each piece has a wall of its own.

Nothing here reads a clock. Instants are Unix milliseconds, ticks whole seconds of them.
"""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from functools import lru_cache
from itertools import islice, takewhile
from typing import TYPE_CHECKING

from workflow_agents.core.cron_errors import (
    FIELDS,
    bad_field,
    bad_text,
    missing_library,
    never_fires,
    not_five_fields,
    unknown_alias,
    unknown_zone,
)

if TYPE_CHECKING:
    from cronsim import CronSim

MAX_LENGTH = 512
MAX_ZONE_LENGTH = 64

ON_TIME_MS = 60_000
"""A tick that is fired within this is on time; one that is older was missed."""

_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_UNREADABLE = re.compile(r"[^\t -~]")
_WORD = re.compile(r"[^\t ]+")
_ZONE_KEY = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*")
# These mean another thing on each machine, or count leap seconds.
_NO_ZONES = frozenset({"localtime", "posixrules", "Factory"})
_NO_ZONE_FOLDERS = ("posix/", "right/")

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # the wall has no zone
_SECOND = timedelta(seconds=1)
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed schedule; make one with `Cron.parse`.

    Attributes:
        text: as it was written.
        zone: the name of its time zone.
        expression: its five fields, as the library reads them.
        fixed: whether it is made of fixed times; else of intervals.
    """

    text: str
    zone: str = field(compare=False)
    expression: str = field(compare=False)
    fixed: bool = field(compare=False)

    @classmethod
    def parse(cls, text: str) -> "Cron":
        """Read a schedule.

        Args:
            text: five fields, or @hourly @daily @midnight @weekly @monthly @yearly @annually;
                before them, if the zone is not UTC, CRON_TZ=Zone or TZ=Zone.

        Raises:
            ConfigurationError: WA115, with the field, where it cannot be read or never fires;
                WA116 for the zone; WA108, the library is missing.

        Source: `Upstash-Cron`. Seconds are not known there, and are refused.
        """
        words = _words_of(text)
        zone = "UTC"
        if words and "=" in words[0][0]:
            zone = _zone_of(words.pop(0)[0])
        if words and words[0][0].startswith("@"):
            alias = " ".join(word for word, _ in words)
            expression = _ALIASES.get(alias.lower())
            if expression is None:
                raise unknown_alias(alias, _ALIASES)
        elif len(words) == len(FIELDS):
            expression = _expression_of(words)
        else:
            raise not_five_fields([word for word, _ in words])
        schedule = _library()(expression, _EPOCH)
        if next(schedule, None) is None:
            raise never_fires(expression)
        fixed = not (
            expression.startswith("*")
            or expression.split()[1].startswith("*")
            or len(schedule.minutes) == 60
            or len(schedule.hours) == 24
        )
        return cls(text, zone, expression, fixed)

    def next_tick(self, after_ms: int) -> int | None:
        """The first tick after an instant, or None where the calendar ends (the year 9999).

        Args:
            after_ms: Unix milliseconds; a tick at this very instant is not meant.
        """
        return next(self._ticks(after_ms), None)

    def ticks(self, after_ms: int, until_ms: int, most: int) -> list[int]:
        """The first ticks after an instant and up to another one, which may be a tick itself.

        Args:
            after_ms: Unix milliseconds, not included.
            until_ms: Unix milliseconds, included.
            most: no more of them are looked for.
        """
        return [*islice(self._between(after_ms, until_ms), most)]

    def latest_ticks(self, after_ms: int, until_ms: int, most: int) -> list[int]:
        """The last ticks after an instant and up to another one, in order.

        What it costs grows with `most`, hardly with the time between the two.

        Args:
            after_ms: Unix milliseconds, not included.
            until_ms: Unix milliseconds, included.
            most: no more of them are looked for.
        """
        span = 60_000 * most
        while True:
            start = max(after_ms, until_ms - span)
            found = deque(self._between(start, until_ms), maxlen=most)
            if len(found) == most or start == after_ms:
                return [*found]
            span *= 2

    def _between(self, after_ms: int, until_ms: int) -> Iterator[int]:
        return takewhile(lambda tick: tick <= until_ms, self._ticks(after_ms))

    def _ticks(self, after_ms: int) -> Iterator[int]:
        after = max(after_ms, -1) // 1000
        try:
            zone = _zone(self.zone)
            found = self._fixed(after, zone) if self.fixed else self._intervals(after, zone)
            for tick in found:
                yield tick * 1000
        except (OverflowError, ValueError):  # the year 10,000
            return

    def _fixed(self, after: int, zone: tzinfo) -> Iterator[int]:
        last = after
        for wall in _library()(self.expression, _wall(after, zone)):
            tick = _instant(wall, zone)
            # What comes no later is the second time of a wall, or another time of one gap.
            if tick > last:
                yield tick
                last = tick

    def _intervals(self, after: int, zone: tzinfo) -> Iterator[int]:
        cut: int | None = after + 1
        while cut is not None:
            start, cut = cut, None
            offset = _offset(start, zone)
            for wall in _library()(self.expression, _wall(start, zone) - _SECOND):
                tick = _seconds(wall) - offset
                cut = _first_change(start, tick, zone)
                if cut is not None:
                    break
                yield tick
                start = tick


# Missed ticks.
class MissedTicks(StrEnum):
    """What becomes of the ticks that nobody fired while the engine was down or too busy."""

    SKIP = "skip"
    """They are not made up for."""
    ONCE = "once"
    """All of them together are fired once, as the latest of them."""
    ALL = "all"
    """Each of them is fired, the oldest first; of too many, the latest."""


@dataclass(frozen=True, slots=True)
class DueTicks:
    """What a schedule has to do now. All ticks up to now are then accounted for.

    Attributes:
        fire: the ticks to be fired, in order.
        skipped: the first and the last tick that are not fired, for the log; None: each is.
        next_at: when to look again; None: never.
    """

    fire: list[int]
    skipped: tuple[int, int] | None
    next_at: int | None


def due_ticks(
    cron: Cron, last_ms: int, now_ms: int, policy: MissedTicks, cap: int = 1000
) -> DueTicks:
    """Decide which ticks are fired now.

    No tick is due twice: if the clock has stepped back behind `last_ms`, nothing is due until
    it has caught up with the ticks that were fired.

    Args:
        cron: the schedule.
        last_ms: all ticks up to this instant are accounted for; at first, when it was made.
        now_ms: Unix milliseconds; the `last_ms` of the next time, unless that one is later.
        policy: for the ticks that were missed. One that is on time (`ON_TIME_MS`) is fired
            under each.
        cap: the most that are fired, from 1.
    """
    next_at = cron.next_tick(max(last_ms, now_ms))
    first = cron.next_tick(last_ms)
    if first is None or first > now_ms:
        return DueTicks([], None, next_at)
    match policy:
        case MissedTicks.ALL:
            wanted = max(1, cap)
        case MissedTicks.ONCE | MissedTicks.SKIP:
            wanted = 1
    # One more than are wanted: if there is one, it is the last that is skipped.
    latest = cron.latest_ticks(last_ms, now_ms, wanted + 1)
    fire = latest[-wanted:]
    if policy is MissedTicks.SKIP and now_ms - fire[-1] > ON_TIME_MS:
        return DueTicks([], (first, fire[-1]), next_at)
    skipped = (first, latest[0]) if len(latest) > wanted else None
    return DueTicks(fire, skipped, next_at)


# Between the wall and the time line; instants are seconds here.
def _seconds(wall: datetime) -> int:
    return (wall - _EPOCH) // _SECOND


def _wall(instant: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(instant, zone).replace(tzinfo=None, fold=0)


def _offset(instant: int, zone: tzinfo) -> int:
    return _seconds(_wall(instant, zone)) - instant


def _instant(wall: datetime, zone: tzinfo) -> int:
    """The first instant at which the wall shows this, or the end of the gap that skips it."""
    instant = int(wall.replace(tzinfo=zone).timestamp())
    if _wall(instant, zone) == wall:
        return instant
    # Read with the offset before the gap, it is too late; with the one after it, too early.
    early = int(wall.replace(tzinfo=zone, fold=1).timestamp())
    return _bisected(early, instant, zone)


def _first_change(start: int, end: int, zone: tzinfo) -> int | None:
    """The first instant after `start` and up to `end` that has another offset than `start`."""
    offset = _offset(start, zone)
    while start < end:
        # No zone has changed its mind twice within a day, and changed it back.
        step = min(start + _DAY_S, end)
        if _offset(step, zone) != offset:
            return _bisected(start, step, zone)
        start = step
    return None


def _bisected(before: int, after: int, zone: tzinfo) -> int:
    """Where, between two instants with different offsets, the offset changes."""
    offset = _offset(before, zone)
    while after - before > 1:
        middle = (before + after) // 2
        if _offset(middle, zone) == offset:
            before = middle
        else:
            after = middle
    return after


# Reading.
def _words_of(text: str) -> list[tuple[str, int]]:
    """The words of a schedule, each with its column from 0."""
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
        raise bad_text(f"expected text, found {type(text).__name__}")
    if len(text) > MAX_LENGTH:
        raise bad_text(f"it has {len(text)} characters, and at most {MAX_LENGTH} are read")
    unreadable = _UNREADABLE.search(text)
    if unreadable:
        column = unreadable.start() + 1
        raise bad_text(f"column {column}: {unreadable[0]!a} is not understood")
    return [(found[0], found.start()) for found in _WORD.finditer(text)]


def _expression_of(words: list[tuple[str, int]]) -> str:
    fields = [word.upper() for word, _ in words]
    for days in (2, 4):
        fields[days] = "*" if fields[days] == "?" else fields[days]
    for place, (word, column) in enumerate(words):
        if not _is_readable(place, fields[place]):
            terms = word.split(",")
            wrong = next((t for t in terms if not _is_readable(place, t.upper())), word)
            raise bad_field(place, wrong, column)
    expression = " ".join(fields)
    if not _reads(expression):
        raise never_fires(expression)
    return expression


def _is_readable(place: int, text: str) -> bool:
    return _reads(" ".join(text if i == place else "*" for i in range(len(FIELDS))))


def _reads(expression: str) -> bool:
    from cronsim import CronSimError

    try:
        _library()(expression, _EPOCH)
    except CronSimError:
        return False
    return True


def _library() -> "type[CronSim]":
    try:
        from cronsim import CronSim
    except ImportError as error:
        raise missing_library() from error
    return CronSim


def _zone_of(word: str) -> str:
    name, _, key = word.partition("=")
    if name not in ("CRON_TZ", "TZ"):
        raise bad_text(f"{name[:20]}= is not understood: a zone is set with CRON_TZ= or TZ=")
    is_key = len(key) <= MAX_ZONE_LENGTH and _ZONE_KEY.fullmatch(key)
    if not is_key or key in _NO_ZONES or key.startswith(_NO_ZONE_FOLDERS):
        raise unknown_zone(key)
    try:
        _zone(key)
    except (LookupError, OSError, ValueError) as error:
        raise unknown_zone(key) from error
    return key


@lru_cache(maxsize=1024)
def _zone(name: str) -> tzinfo:
    """A zone of the tz database; it reads a file the first time, and never writes."""
    if name == "UTC":
        from datetime import UTC

        return UTC
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)
