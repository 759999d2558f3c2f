"""Durations and instants, as people and headers write them, in milliseconds.

Inside, an instant is int Unix milliseconds and a duration int milliseconds. No clock is read
here.
"""

import math
import re
from datetime import UTC, datetime, timedelta

from workflow_agents.errors import ConfigurationError

MAX_DURATION_MS = 100 * 365 * 86_400_000
"""The longest duration: a hundred years."""

MAX_INSTANT_MS = 253_402_300_799_999
"""The last instant: the end of the year 9999."""


_UNIT_MS: dict[str, float] = {
    "ns": 1e-6,
    "us": 1e-3,
    "µs": 1e-3,
    "ms": 1,
    "s": 1000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 7 * 86_400_000,
    "mo": 30 * 86_400_000,
    "y": 365 * 86_400_000,
}
_UNITS_TOLD = "ms s m h d w mo y"
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_UNIT = re.compile(r"[^\W\d_]+")


def duration_ms(value: int | float | str | timedelta) -> int:
    """Read a duration.

    Args:
        value: seconds as a number or as bare digits ("30", "1.5"); a timedelta; or numbers
            with units, as "10s", "1d10h30m", "1.5h", "500ms". The units are ms s m h d, and
            w = 7 d, mo = 30 d, y = 365 d; "us" and "ns" are read, as servers send them.

    Returns:
        Whole milliseconds, rounded to the nearest.

    Raises:
        ConfigurationError: WA103, where it is negative, not a duration, or over 100 years.

    Source: durations of QStash ("10s", "1d10h30m") and of `context.sleep` (w, mo, y).
    """
    match value:
        case bool():
            raise _no_duration(value, "True and False are no durations")
        case timedelta():
            ms = value / timedelta(milliseconds=1)
        case int() | float():
            ms = _seconds(value)
        case str():
            ms = _text_duration(value)
        case _:  # pyright: ignore[reportUnnecessaryComparison] -- users need not check types
            raise _no_duration(value, f"found {type(value).__name__}")
    if ms < 0:
        raise _no_duration(value, "a duration is not negative")
    if not ms <= MAX_DURATION_MS:
        raise _no_duration(value, "it is longer than 100 years")
    return round(ms)


def _seconds(value: float) -> float:
    if isinstance(value, int):
        return value * 1000
    if math.isnan(value):
        raise _no_duration(value, "NaN is no number of seconds")
    return value * 1000


def _text_duration(value: str) -> float:
    text = value.strip()
    if not text:
        raise _no_duration(value, "it is empty")
    if len(text) > 64:
        raise _no_duration(value, f"it has {len(text)} characters; 64 are enough for any")
    bare = _NUMBER.fullmatch(text)
    if bare:
        return float(text) * 1000
    total, at = 0.0, 0
    while at < len(text):
        number = _NUMBER.match(text, at)
        if not number:
            raise _no_duration(value, f"column {at + 1}: expected a number, found {text[at]!r}")
        unit = _UNIT.match(text, number.end())
        if not unit:
            raise _no_duration(
                value, f"column {number.end() + 1}: {number[0]} has no unit ({_UNITS_TOLD})"
            )
        if unit[0] not in _UNIT_MS:
            raise _no_duration(
                value, f"column {unit.start() + 1}: {unit[0]!r} is no unit ({_UNITS_TOLD})"
            )
        total += float(number[0]) * _UNIT_MS[unit[0]]
        at = unit.end()
    return total


def _no_duration(value: object, reason: str) -> ConfigurationError:
    return ConfigurationError(
        "WA103", f"not a duration: {shown(value)}", found=(f"{shown(value)}: {reason}",)
    )


def format_duration(ms: int) -> str:
    """Write a duration for people: "3d", "1h30m", "1.5s", "250ms", "0s".

    `duration_ms` reads it back exactly.

    Args:
        ms: milliseconds, not negative.
    """
    if ms < 1000:
        return f"{ms}ms" if ms else "0s"
    text = ""
    for unit in ("d", "h", "m"):
        whole, ms = divmod(ms, int(_UNIT_MS[unit]))
        text += f"{whole}{unit}" if whole else ""
    seconds, rest = divmod(ms, 1000)
    if rest:
        return f"{text}{seconds}.{rest:03}".rstrip("0") + "s"
    return f"{text}{seconds}s" if seconds or not text else text


def instant_ms(value: int | float | datetime | str) -> int:
    """Read an instant.

    Args:
        value: Unix seconds; a datetime, which is local time where it has no time zone, as
            everywhere in Python; or ISO 8601 text, as "2026-05-01T12:00:00Z".

    Returns:
        Unix milliseconds.

    Raises:
        ConfigurationError: WA102, where it is no instant between 1970 and 9999.

    Source: `context.sleep_until` takes Unix seconds, a datetime or ISO 8601 text.
    """
    match value:
        case bool():
            raise _no_instant(value, "True and False are no instants")
        case int() | float():
            ms = _unix_seconds(value)
        case datetime():
            ms = _datetime_ms(value, value)
        case str():
            ms = _iso_ms(value)
        case _:  # pyright: ignore[reportUnnecessaryComparison] -- users need not check types
            raise _no_instant(value, f"found {type(value).__name__}")
    if not 0 <= ms <= MAX_INSTANT_MS:
        raise _no_instant(value, "an instant lies between 1970 and 9999")
    return ms


def _unix_seconds(value: float) -> int:
    if not 0 <= value <= MAX_INSTANT_MS / 1000:  # NaN fails too
        hint = "; is it in milliseconds? divide by 1000" if value > 0 else ""
        raise _no_instant(value, f"no Unix seconds between 1970 and 9999{hint}")
    return round(value * 1000)


def _iso_ms(value: str) -> int:
    try:
        parsed = datetime.fromisoformat(value.strip())
    except ValueError as error:
        raise _no_instant(value, "not ISO 8601, as 2026-05-01T12:00:00Z") from error
    return _datetime_ms(parsed, value)


def _datetime_ms(when: datetime, value: object) -> int:
    try:
        return round(when.timestamp() * 1000)
    except (OverflowError, OSError, ValueError) as error:
        raise _no_instant(value, "an instant lies between 1970 and 9999") from error


_HTTP_DATE = (
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4}) "
    r"([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"
)
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}


def http_date_ms(text: str) -> int | None:
    """Read the date of an HTTP header, "Wed, 21 Oct 2015 07:28:00 GMT".

    Returns:
        Unix milliseconds, or None where it is no such date.
    """
    found = re.fullmatch(_HTTP_DATE, text.strip())
    if not found or found[2] not in _MONTHS:
        return None
    day, year, hour, minute, second = map(int, found.group(1, 3, 4, 5, 6))
    try:
        when = datetime(year, _MONTHS[found[2]], day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return round(when.timestamp() * 1000)


def _no_instant(value: object, reason: str) -> ConfigurationError:
    return ConfigurationError(
        "WA102",
        f"not an instant: {shown(value)}",
        found=(f"{shown(value)}: {reason}",),
        why="an instant is Unix seconds, a datetime, or ISO 8601 text",
        fix=('pass 1767225600, datetime(2026, 1, 1, tzinfo=UTC) or "2026-01-01T00:00:00Z"',),
    )


def shown(value: object) -> str:
    """A value as error messages quote it: its repr, cut to 60 characters."""
    try:
        text = repr(value)
    except ValueError:  # an integer of more than 4300 digits
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 60 else f"{text[:57]}..."
