"""Who answered what a step waited for."""

from workflow_agents.dashboard.decisions import decided, event_of

ADA = {"woken": [1], "kept": False, "by": "ada", "through": "dashboard"}
NOBODY = {"woken": [1], "kept": False}


def test_the_feed_tells_of_plain_events_and_webhooks() -> None:
    out = {"data": {"ok": True}, "timeout": False}
    told = {"by": "ada", "at": 7, "through": "dashboard", "verdict": None}
    assert decided(out, [(5, NOBODY), (7, ADA)]) == told
    unknown = {"by": None, "at": 5, "through": None, "verdict": None}
    assert decided(out, [(5, NOBODY)]) == unknown


def test_a_decision_about_a_tool_says_it_itself() -> None:
    decision = {"verdict": "reject", "argumentsHash": "x", "by": "bob", "at": 9}
    told = {"by": "bob", "at": 9, "through": None, "verdict": "reject"}
    assert decided({"data": decision}, []) == told


def test_nobody_has_where_it_waits_still_or_its_time_has_passed() -> None:
    assert decided(None, [(5, ADA)]) is None
    assert decided({"timeout": True}, [(5, ADA)]) is None
    assert decided({"waitTimeout": True}, []) is None
    assert decided({"data": 1}, []) is None


def test_only_waits_for_events_have_one() -> None:
    assert event_of({"eventId": "e", "until": 1}) == "e"
    assert event_of({"waitEventId": "e"}) == "e"
    assert event_of({"until": 1}) is None
    assert event_of(None) is None
