"""Steps of runs at official SDKs, as bars."""

from workflow_agents.dashboard.remote_steps import remote_bars, remote_step

GROUPS = [
    {"type": "sequential", "steps": [{"stepType": "Initial", "state": "STEP_SUCCESS"}]},
    {"type": "sequential", "steps": [
        {"stepId": 1, "stepName": "load", "stepType": "Run", "state": "STEP_SUCCESS", "createdAt": 30},
    ]},
    {"type": "parallel", "steps": [
        {"stepId": 2, "stepName": "nap", "stepType": "SleepFor", "state": "STEP_PROGRESS", "createdAt": 40},
        {"stepId": 3, "stepName": "ask", "stepType": "Call", "state": "STEP_RETRY", "createdAt": 40,
         "errors": [{"time": 50, "error": "503"}]},
    ]},
    {"type": "next", "steps": [{"messageId": "msg_1", "state": "STEP_PROGRESS"}]},
]  # fmt: skip


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
