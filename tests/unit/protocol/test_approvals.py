from typing import Any

import pytest

from workflow_agents.protocol.approvals import (
    Decision,
    Request,
    approval_id,
    arguments_hash,
    run_of,
)

REQUEST = Request(
    kind="approval",
    agent="a",
    tool="t",
    tool_call_id="c",
    description="d",
    arguments={"b": 1, "a": [None]},
    schema={"type": "object"},
)


def test_an_id_tells_its_run():
    assert approval_id("wfr_a:b", "2.0/1") == "approval:wfr_a:b:2.0-1"
    assert run_of("approval:wfr_a:b:2.0-1") == "wfr_a:b"
    assert run_of("approval:") is None
    assert run_of("other:wfr_a:1") is None


def test_the_hash_is_that_of_the_json():
    assert arguments_hash({"b": 1, "a": [None]}) == REQUEST.hash
    assert arguments_hash({"a": [None], "b": 1.5}) != REQUEST.hash
    assert len(REQUEST.hash) == 64


def test_both_come_back_as_they_were():
    assert Request.read(REQUEST.to_json()) == REQUEST
    for decision in (
        Decision(verdict="approve", arguments_hash="h", arguments={}, by="ada", at=3),
        Decision(verdict="reject", arguments_hash="h", reason="no"),
        Decision(verdict="resolve", arguments_hash="h", result=None),
    ):
        assert Decision.read(decision.to_json()) == decision


@pytest.mark.parametrize(
    "data",
    [
        None,
        3,
        "approve",
        [],
        {},
        {"verdict": "allow", "argumentsHash": "h"},
        {"verdict": "approve", "argumentsHash": 3},
        {"verdict": "approve", "argumentsHash": "h", "arguments": []},
    ],
)
def test_what_is_neither(data: Any):
    assert Decision.read(data) is None
    assert Request.read(data) is None
    assert Request.read({**REQUEST.to_json(), "kind": "x"}) is None
