"""Schedules around every change of the clocks from 1970 to 2037, in forty zones.

The reference knows no calendar arithmetic: it looks at the wall every minute, and applies the
two rules as they are stated. A case is one change of one zone with one expression.
"""

import random
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest

from workflow_agents.core.cron import Cron

ZONES = [
    "Africa/Cairo",
    "Africa/Casablanca",
    "Africa/Windhoek",
    "Africa/Tripoli",
    "America/Asuncion",
    "America/Caracas",
    "America/Chicago",
    "America/Godthab",
    "America/Havana",
    "America/Los_Angeles",
    "America/New_York",
    "America/Port-au-Prince",
    "America/Santiago",
    "America/Sao_Paulo",
    "America/Scoresbysund",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Amman",
    "Asia/Baghdad",
    "Asia/Beirut",
    "Asia/Damascus",
    "Asia/Gaza",
    "Asia/Jerusalem",
    "Asia/Kathmandu",
    "Asia/Hong_Kong",
    "Asia/Pyongyang",
    "Asia/Tehran",
    "Asia/Tbilisi",
    "Atlantic/Azores",
    "Australia/Adelaide",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Europe/Berlin",
    "Europe/Dublin",
    "Europe/Istanbul",
    "Europe/London",
    "Europe/Moscow",
    "Pacific/Apia",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Pacific/Easter",
    "Pacific/Kwajalein",
]

FIRST = int(datetime(1970, 1, 8, tzinfo=UTC).timestamp())
LAST = int(datetime(2037, 12, 24, tzinfo=UTC).timestamp())
BEFORE, AFTER = 125, 110  # minutes that are looked at, around a change
EDGE = 45  # of them at each end, which are only looked at
LEAST, MOST_OF_ZONE = 2_000, 60


def minutes_of(zone: ZoneInfo, start: int, end: int) -> dict[int, datetime]:
    """What the wall shows at each whole minute, in order."""
    return {
        at: datetime.fromtimestamp(at, zone).replace(tzinfo=None, fold=0)
        for at in range(start - start % 60, end, 60)
    }


@cache
def changes(name: str) -> tuple[int, ...]:
    """When the zone's offset changes, found by looking every five days; of many, some."""
    zone, found = ZoneInfo(name), []

    def offset(at: int) -> timedelta | None:
        return zone.utcoffset(datetime.fromtimestamp(at, zone))

    for start in range(FIRST, LAST, 5 * 86_400):
        low, high = start, start + 5 * 86_400
        if offset(low) == offset(high):
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(middle) == offset(low) else (low, middle)
        found.append(high)
    some = random.Random(name).sample(found, min(len(found), MOST_OF_ZONE))
    return tuple(sorted(some))


def written(draw: random.Random, wall: datetime) -> tuple[str, set[int], set[int], bool]:
    """An expression that names times near this one: its text, minutes, hours, and kind."""
    hours = {wall.hour, (wall.hour + draw.choice([0, 0, 1, 2, 23])) % 24}
    minutes = {draw.randrange(60), draw.choice([0, 15, 30, 59])}
    hour_list, minute_list = ",".join(map(str, hours)), ",".join(map(str, minutes))
    step, hour_step = draw.choice([7, 10, 15, 30]), draw.choice([1, 2, 3])
    return draw.choice(
        [
            (f"{minute_list} {hour_list} * * *", minutes, hours, True),
            (f"{min(minutes)} {wall.hour} * * *", {min(minutes)}, {wall.hour}, True),
            (f"0-10 {hour_list} * * *", set(range(11)), hours, True),
            (f"*/{step} * * * *", set(range(0, 60, step)), set(range(24)), False),
            (f"{minute_list} * * * *", minutes, set(range(24)), False),
            (f"*/{step} {hour_list} * * *", set(range(0, 60, step)), hours, False),
            (f"{minute_list} */{hour_step} * * *", minutes, set(range(0, 24, hour_step)), False),
        ]
    )


def reference(walls: dict[int, datetime], minutes: set[int], hours: set[int], fixed: bool):
    """The ticks by the stated rules: every instant that shows a time; or each time once."""

    def named(wall: datetime) -> bool:
        return wall.minute in minutes and wall.hour in hours

    if not fixed:
        return [at for at, wall in walls.items() if named(wall)]
    first_at: dict[datetime, int] = {}
    for at, wall in walls.items():
        first_at.setdefault(wall, at)
    ticks, wall, end = set(), min(walls.values()), max(walls.values())
    while wall <= end:
        if named(wall):
            # Where nothing shows this time: the first instant that shows a later one.
            ticks.add(
                first_at[wall]
                if wall in first_at
                else min(at for at, shown in walls.items() if shown > wall)
            )
        wall += timedelta(minutes=1)
    return sorted(ticks)


@pytest.mark.parametrize("name", ZONES)
def test_each_change_of_the_clocks(name):
    zone, draw = ZoneInfo(name), random.Random(name)
    assert changes(name)
    for change in changes(name):
        walls = minutes_of(zone, change - 60 * BEFORE, change + 60 * AFTER)
        text, minutes, hours, fixed = written(draw, walls[change - change % 60])
        start, end = change - 60 * (BEFORE - EDGE), change + 60 * (AFTER - EDGE)
        expected = [t for t in reference(walls, minutes, hours, fixed) if start < t <= end]
        cron = Cron.parse(f"CRON_TZ={name} {text}")
        assert cron.fixed is fixed

        found = [tick // 1000 for tick in cron.ticks(start * 1000, end * 1000, 1000)]
        assert found == expected, (name, change, text)

        after = draw.randrange(start, end)
        later = next((tick for tick in expected if tick > after), None)
        if later is not None:
            assert cron.next_tick(after * 1000 + 999) == later * 1000, (name, after, text)


def test_the_changes_are_many():
    assert len(ZONES) >= 40
    assert sum(len(changes(name)) for name in ZONES) >= LEAST
