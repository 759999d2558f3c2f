"""Steps of runs at official SDKs, as bars."""

from typing import Any

from workflow_agents.dashboard.remote_steps import remote_bars, remote_step

DONE, GOES_ON = "STEP_SUCCESS", "STEP_PROGRESS"
ERRORS = [{"time": 50, "error": "503"}]


def step(key: int, name: str, kind: str, state: str, at: int, **more: Any) -> dict[str, Any]:
    told = {"stepId": key, "stepName": name, "stepType": kind, "state": state, "createdAt": at}
    return {**told, **more}


NAP = step(2, "nap", "SleepFor", GOES_ON, 40)
ASK = step(3, "ask", "Call", "STEP_RETRY", 40, errors=ERRORS)
GROUPS: list[dict[str, Any]] = [
    {"type": "sequential", "steps": [{"stepType": "Initial", "state": DONE}]},
    {"type": "sequential", "steps": [step(1, "load", "Run", DONE, 30)]},
    {"type": "parallel", "steps": [NAP, ASK]},
    {"type": "next", "steps": [{"messageId": "msg_1", "state": GOES_ON}]},
]


def test_each_step_begins_where_the_one_before_it_was_done() -> None:
    load, nap, asked, following = remote_bars(GROUPS, 10, None, 90)
    assert (load.began, load.ended, load.state) == (10, 30, "success")
    assert (nap.began, nap.state, nap.depth, nap.kind) == (30, "waiting", 1, "sleep")
    assert (asked.state, asked.attempts) == ("backoff", (50,))
    assert (following.step, following.ended) == ("next/msg_1", None)


def test_a_step_is_found_by_its_key() -> None:
    found = remote_step(GROUPS, "3")
    assert found is not None
    assert found["stepName"] == "ask"
    assert remote_step(GROUPS, "next/msg_1") is not None
    assert remote_step(GROUPS, "9") is None
