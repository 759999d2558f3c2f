"""What came of each attempt of a step, and how long its parts took."""

from typing import Any

from workflow_agents.core.step_logs import FeedEntry
from workflow_agents.dashboard.attempts import attempts
from workflow_agents.dashboard.timeline import bars

OK = {"status": 200, "header": {"set-cookie": ["id=1"], "date": ["now"]}, "json": {}}


def entry(at: int, kind: str, type_: str = "CALL", **data: Any) -> FeedEntry:
    return FeedEntry(at, at, kind, 1, type_, "charge", data or None)


def told(*entries: FeedEntry, now: int = 9_000) -> list[dict[str, Any]]:
    [bar] = bars(entries, 0, now)
    return attempts(entries, bar)


def test_what_was_not_spent_on_the_network_was_waited_for() -> None:
    timing = {"connect": 3, "first": 20, "body": 2}
    first, second = told(
        entry(100, "STEP_WAITING"),
        entry(140, "STEP_RETRY", status=503, error="busy", until=500, timing=timing),
        entry(540, "STEP_SUCCESS", **OK, timing={"first": 10, "body": 0}),
    )
    assert first["phases"] == [["queued", 15], ["connect", 3], ["first byte", 20], ["body", 2]]
    assert (first["state"], first["status"], first["until"]) == ("failed", 503, 500)
    assert second["phases"] == [["queued", 30], ["first byte", 10], ["body", 0]]
    assert second["kept"]
    assert second["header"] == {"set-cookie": "[hidden]", "date": "now"}


def test_a_body_in_this_process_has_only_run() -> None:
    first, second = told(
        entry(100, "STEP_RETRY", "RUN", error="E", message="no", where="a.py:1", until=200),
        entry(250, "STEP_FAILED", "RUN", error="E", message="no", attempts=2),
    )
    assert (first["phases"], second["phases"]) == ([["run", 100]], [["run", 50]])
    assert first["where"] == "a.py:1"
    assert "status" not in second
    [one] = told(entry(70, "STEP_SUCCESS", "RUN"))
    assert (one["state"], one["phases"]) == ("success", [["run", 70]])


def test_what_is_held_back_is_queued_and_a_refused_account_is_no_attempt() -> None:
    [one] = told(
        entry(10, "STEP_WAITING", "RUN", flowControl="k"),
        entry(60, "STEP_WAITING", "RUN"),
        entry(90, "STEP_SUCCESS", "RUN"),
    )
    assert one["phases"] == [["queued", 50], ["run", 30]]
    paused = entry(50, "STEP_RETRY", status=429, pauseKey="openai", until=900)
    assert told(entry(1, "STEP_WAITING"), paused) == []


def test_the_last_one_may_go_on_and_waits_have_none() -> None:
    [one] = told(entry(5, "STEP_WAITING"))
    assert (one["state"], one["began"]) == ("running", 5)
    assert told(entry(5, "STEP_WAITING", "SLEEP", until=60), entry(60, "STEP_SUCCESS")) == []
