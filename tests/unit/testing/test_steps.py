"""Assertions on steps, and what they say when they do not hold."""

from typing import Any

import pytest

from workflow_agents import RunLog, StepLog
from workflow_agents.testing import (
    assert_steps,
    expect,
    step,
    step_names,
    step_results,
    steps_named,
)


def made(name: str, type: str = "Run", out: Any = None, **more: Any) -> StepLog:
    return StepLog(1, name, type, more.pop("state", "STEP_SUCCESS"), 0, out=out, **more)


LOG = RunLog(
    "wfr_1",
    "/checkout",
    "RUN_SUCCESS",
    0,
    steps=[
        made("reserve", out=1),
        made("mail", out="sent"),
        made("invoice"),
        made("a month", "SleepFor"),
        made("poll", "Call", {"n": 0}),
        made("poll", "Call", {"n": 1}, retries=2),
        made("charge", state="STEP_FAILED", out={"error": "ValueError"}),
    ],
)


@pytest.mark.parametrize(
    "expected",
    [
        ["reserve", "mail", "invoice", "a month", "poll", "poll", "charge"],
        ["reserve", {"invoice", "mail"}, "a month", ...],
        [...],
        [..., "poll", "charge"],
        ["reserve", ..., "charge", ...],
        [..., expect("a month", type="sleep"), expect("poll", type="Call", retries=0), ...],
        [..., {"poll", expect("poll", retries=2)}, expect("charge", state="STEP_FAILED")],
        [expect("reserve", result=1), expect("mail", result="sent"), ...],
    ],
)
def test_what_fits(expected: list[Any]) -> None:
    assert_steps(LOG, expected)
    assert_steps(LOG.steps, expected)


@pytest.mark.parametrize(
    "expected",
    [
        [],
        ["reserve"],
        ["reserve", ..., "mail"],
        ["reserve", {"mail", "a month"}, ...],
        [expect("reserve", result=2), ...],
        [expect("reserve", type="call"), ...],
        [..., expect("charge", state="STEP_SUCCESS")],
        [..., expect("charge", retries=1)],
    ],
)
def test_what_does_not_fit(expected: list[Any]) -> None:
    with pytest.raises(AssertionError, match="the steps are not as expected"):
        assert_steps(LOG, expected)


def test_the_difference_is_shown_line_by_line() -> None:
    with pytest.raises(AssertionError) as raised:
        assert_steps(LOG, [expect("reserve", result=2), "post", {"invoice"}, ..., "charge"])
    assert str(raised.value).splitlines() == [
        "the steps are not as expected",
        "  of /checkout wfr_1, RUN_SUCCESS",
        "  ! reserve  run: result 1, not 2",
        "  - post",
        "  + mail  run",
        "    invoice  run",
        "    ...",
        "  + a month  sleep",
        "  + poll  call",
        "  + poll  call",
        "    charge  run",
        "  (- expected, + found, ! found otherwise)",
    ]


def test_a_step_by_name() -> None:
    assert step(LOG, "reserve").out == 1
    assert step(LOG, "poll", 1).out == {"n": 1}
    assert step(LOG, "poll", -1).out == {"n": 1}
    with pytest.raises(AssertionError, match="did you mean 'reserve'"):
        step(LOG, "resrve")
    with pytest.raises(AssertionError, match="2 steps are named 'poll'"):
        step(LOG, "poll")
    with pytest.raises(AssertionError, match="only 2 steps"):
        step(LOG, "poll", 2)


def test_names_and_results() -> None:
    assert step_names(LOG)[:2] == ["reserve", "mail"]
    assert [s.retries for s in steps_named(LOG, "poll")] == [0, 2]
    assert step_results(LOG) == {
        "reserve": 1,
        "mail": "sent",
        "invoice": None,
        "a month": None,
        "poll": {"n": 1},
    }


def test_what_was_not_awaited_is_told() -> None:
    wrong: Any = 5
    with pytest.raises(TypeError, match="expected a RunLog"):
        assert_steps(wrong, [])
    with pytest.raises(TypeError, match="expected a step's name"):
        assert_steps(LOG, [wrong])
