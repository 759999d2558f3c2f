"""Limits of a flow-control key: how they are written, and what they allow."""

from datetime import timedelta

import pytest

from workflow_agents.core.admission import Admit, WaitForSlot, WaitUntil, admit
from workflow_agents.core.flow_control import FlowControl
from workflow_agents.errors import ConfigurationError


def test_a_period_is_any_duration_and_a_second_by_default():
    assert FlowControl("k", rate=1).period_ms == 1000
    assert FlowControl("k", rate=1, period="1m") == FlowControl("k", rate=1, period=60)
    assert FlowControl("k", rate=1, period=timedelta(days=7)).period_ms == 604_800_000
    assert FlowControl("k", rate=1, period="1m") != FlowControl("k", rate=1, period="2m")


@pytest.mark.parametrize(
    ("limit", "value"),
    [
        (FlowControl("k", parallelism=3), "parallelism=3"),
        (FlowControl("k", rate=10, period="1m"), "rate=10,period=60s"),
        (FlowControl("k", rate=10, parallelism=3), "parallelism=3,rate=10,period=1s"),
    ],
)
def test_the_wire_value_is_read_back(limit, value):
    assert limit.to_value() == value
    assert FlowControl.from_value("k", value) == limit


@pytest.mark.parametrize(
    ("value", "limit"),
    [
        ("parallelism=3, rate=10, period=1m", FlowControl("k", 10, "1m", 3)),
        (" rate = 5 ,period=2", FlowControl("k", 5, 2)),
        ("ratePerSecond=5", FlowControl("k", 5)),
    ],
)
def test_other_spellings_of_the_wire_value(value, limit):
    assert FlowControl.from_value("k", value) == limit


@pytest.mark.parametrize(
    "value",
    ["", "rate", "rate=", "rate=0", "rate=-1", "rate=1.5", "rate=x", "rate=1;parallelism=2",
     "rate=1,rate=2", "rate=1,ratePerSecond=2", "speed=3", "period=1m", "rate=1,period=0",
     "rate=1,period=8d", "rate=1,period=1x", "rate=1,,", "rate=٣", "rate=1\x00",
     pytest.param("rate=" + "9" * 5000, id="digits"),
     pytest.param("rate=1" + " " * 300, id="long")],
)  # fmt: skip
def test_unusable_wire_values_are_refused(value):
    with pytest.raises(ConfigurationError) as refused:
        FlowControl.from_value("k", value)

    assert refused.value.code == "WA105"
    assert max(map(len, str(refused.value).splitlines())) <= 120


@pytest.mark.parametrize(
    "key", ["", "a b", "a/b", "é", "k" * 257, "a\n", None, 7, pytest.param(10**5000, id="digits")]
)
def test_unusable_keys_are_refused(key):
    with pytest.raises(ConfigurationError) as refused:
        FlowControl(key, rate=1)

    assert refused.value.code == "WA504"


@pytest.mark.parametrize(
    "options",
    [{}, {"rate": 0}, {"rate": True}, {"rate": "1"}, {"parallelism": 0}, {"parallelism": 1.0},
     {"parallelism": -(10**5000)}, {"rate": 1, "period": 0}, {"rate": 1, "period": "500ms"},
     {"rate": 1, "period": 1.5},
     {"rate": 1, "period": "8d"}, {"rate": 1, "period": "x"}, {"rate": 1, "period": None}],
)  # fmt: skip
def test_unusable_limits_are_refused(options):
    with pytest.raises(ConfigurationError) as refused:
        FlowControl("k", **options)

    assert refused.value.code == "WA105"


def test_parallelism_counts_what_is_in_flight():
    limit = FlowControl("k", parallelism=2)

    assert admit(limit, in_flight=1, recent_starts=[1, 2, 3], now=3) == Admit()
    assert admit(limit, in_flight=2, recent_starts=[], now=3) == WaitForSlot()
    assert admit(limit, in_flight=9, recent_starts=[], now=3) == WaitForSlot()


def test_the_rate_frees_exactly_a_period_after_the_start_that_used_it():
    limit = FlowControl("k", rate=2, period="10s")
    starts = [1_000, 4_000]

    assert admit(limit, in_flight=0, recent_starts=starts[:1], now=4_000) == Admit()
    assert admit(limit, in_flight=0, recent_starts=starts, now=10_999) == WaitUntil(11_000)
    assert admit(limit, in_flight=0, recent_starts=starts, now=11_000) == Admit()
    assert admit(limit, in_flight=0, recent_starts=[*starts, 11_000], now=11_000) == WaitUntil(
        14_000
    )


def test_the_rate_counts_starts_not_ends():
    limit = FlowControl("k", rate=1, period=1, parallelism=5)

    assert admit(limit, in_flight=0, recent_starts=[100], now=1_099) == WaitUntil(1_100)


def test_a_full_key_waits_for_a_slot_first():
    limit = FlowControl("k", rate=1, period=1, parallelism=1)

    assert admit(limit, in_flight=1, recent_starts=[100], now=100) == WaitForSlot()
