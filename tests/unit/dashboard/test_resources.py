"""When the clocks change between two ticks of a schedule."""

from datetime import UTC, datetime

from workflow_agents.dashboard.resources import clocks_change


def at(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * 1000  # type: ignore[arg-type]


def test_the_first_tick_behind_the_change_is_named() -> None:
    spring = [at(2027, 3, 26, 2), at(2027, 3, 27, 2), at(2027, 3, 28, 1), at(2027, 3, 29, 1)]
    assert clocks_change("Europe/Berlin", spring) == [spring[2], 60]
    autumn = [at(2026, 10, 24, 1), at(2026, 10, 25, 2)]
    assert clocks_change("Europe/Berlin", autumn) == [autumn[1], -60]
    assert clocks_change("UTC", spring) is None
    assert clocks_change("Europe/Berlin", spring[2:]) is None
    assert clocks_change("Europe/Berlin", spring[:1]) is None
