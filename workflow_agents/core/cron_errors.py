"""What is said of a schedule that cannot be used, in words that name the field and a way out.

Only the words: `core/cron.py` decides what is refused.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from workflow_agents.errors import ConfigurationError
from workflow_agents.protocol.times import shown

FIELDS = ("minute", "hour", "day of the month", "month", "day of the week")

_TAKES = (
    "0 to 59",
    "0 to 23",
    "1 to 31, L for the last day, LW for the last weekday",
    "1 to 12 or JAN to DEC",
    "0 to 7 (both are Sunday) or SUN to SAT, FRI#2 for the second Friday, 5L for the last",
)
_MEANS = (
    "0 */2 * * *: every two hours",
    "0 9-17 * * *: each hour from 9 to 17",
    "0 9 1,15 * *: the 1st and the 15th",
    "0 9 1 JAN,JUL *: the 1st of January and July",
    "0 9 * * MON-FRI: every weekday",
)
_LOWEST = (0, 0, 1, 1, 0)
_HIGHEST = (59, 23, 31, 12, 6)
_NAMES = {
    3: ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    4: ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
}
_RANGE = re.compile(r"([A-Z0-9]{1,3})-([A-Z0-9]{1,3})")


def bad_text(reason: str) -> ConfigurationError:
    """The text as a whole cannot be read."""
    return ConfigurationError("WA115", "not a cron expression: it cannot be read", found=reason)


def bad_field(place: int, term: str, column: int) -> ConfigurationError:
    """A part of one field is not understood.

    Args:
        place: of the field, from 0.
        term: the part, as it was written.
        column: where the field begins, from 0.
    """
    name = FIELDS[place]
    return ConfigurationError(
        "WA115",
        f"not a cron expression: its {name} is not understood",
        where=f"the {name}, column {column + 1}",
        found=f"{name}: {shown(term)}",
        why=_reason(place, term.upper()),
        fix=(f"write for example {_MEANS[place]}",),
    )


def _reason(place: int, term: str) -> str:
    takes = f"the {FIELDS[place]} is {_TAKES[place]}"
    if not term:
        return f"a comma has nothing beside it; {takes}"
    if "?" in term:
        return "`?` stands alone, for a whole field of days; elsewhere `*` is any value"
    if place == 2 and "W" in term:
        return "of weekdays near a date only LW is known, the last weekday of the month"
    if term.endswith("/0"):
        return "a step is at least 1"
    ends = _RANGE.fullmatch(term)
    if ends:
        start, end = _number(place, ends[1]), _number(place, ends[2])
        if start is not None and end is not None and end < start:
            high, low = _HIGHEST[place], _LOWEST[place]
            return f"the range runs backwards: write {_range(start, high)},{_range(low, end)}"
    return f"{takes}; or `*`, a range a-b, a list a,b or a step a-b/n"


def _number(place: int, text: str) -> int | None:
    names = _NAMES.get(place, [])
    if text in names:
        return names.index(text) + _LOWEST[place]
    number = int(text) if text.isdigit() else -1
    return number if _LOWEST[place] <= number <= _HIGHEST[place] else None


def _range(start: int, end: int) -> str:
    return f"{start}" if start == end else f"{start}-{end}"


def not_five_fields(words: list[str]) -> ConfigurationError:
    """There are more fields than five, or fewer."""
    count = len(words)
    if count in (6, 7):
        return ConfigurationError(
            "WA115",
            f"not a cron expression: it has {count} fields, and seconds are not known",
            found=f"{count} fields: {shown(' '.join(words))}",
            why="a schedule fires at whole minutes, so there is no field for seconds, nor years",
            fix=(
                f"leave out the seconds: {shown(' '.join(words[1:6]))}",
                "for less than a minute, publish with a delay from within the workflow",
            ),
        )
    told = "it is empty" if not count else f"it has {count} field{'s' * (count != 1)}"
    return ConfigurationError(
        "WA115",
        f"not a cron expression: {told}, and five are needed",
        found=f"{count} fields" + (f": {shown(' '.join(words))}" if words else ""),
    )


def unknown_alias(word: str, known: Iterable[str]) -> ConfigurationError:
    """A word with @ that stands for no schedule."""
    return ConfigurationError(
        "WA115",
        f"not a cron expression: {shown(word)} is not known",
        found=shown(word),
        why=f"known are {' '.join(known)}",
        fix=('for every five minutes write "*/5 * * * *"',),
    )


def never_fires(expression: str) -> ConfigurationError:
    """Everything can be read, and there is no such day."""
    fields = expression.split()
    days = ", ".join(f"{FIELDS[i]} {fields[i]}" for i in (2, 3, 4))
    return ConfigurationError(
        "WA115",
        "not a cron expression: it never fires",
        where="the day of the month, the month and the day of the week",
        found=shown(days),
        why="no year has such a day",
        fix=("for the last day of a month write L: 0 0 L 2 *",),
    )


def unknown_zone(key: str) -> ConfigurationError:
    """The tz database has no such zone."""
    near = _nearest_zone(key) if len(key) <= 64 else ""
    return ConfigurationError(
        "WA116",
        f"unknown time zone: {shown(key)}",
        where="the zone",
        found=shown(key),
        fix=(f"did you mean CRON_TZ={near}?",) if near else (),
    )


def _nearest_zone(key: str) -> str:
    from difflib import get_close_matches

    known = _zones()
    near = get_close_matches(key.lower(), known, 1, 0.8)
    return known[near[0]] if near else ""


@lru_cache(maxsize=1)
def _zones() -> dict[str, str]:
    """The names of all zones, by the same in lower case. It takes long, so it is done once."""
    from zoneinfo import available_timezones

    return {name.lower(): name for name in available_timezones()}


def missing_library() -> ConfigurationError:
    """`cronsim` is not installed."""
    return ConfigurationError(
        "WA108", where="a schedule", fix=("pip install 'workflow-agents[server]'",)
    )
