"""The lock-step decision, as the protocol's tables have it."""

from typing import Any

import pytest

from workflow_agents.core.journal import Asked
from workflow_agents.core.lockstep import (
    Discard,
    Execute,
    LockStep,
    PlanAll,
    Results,
    in_order,
)
from workflow_agents.errors import HistoryMismatch
from workflow_agents.protocol.history import StepKind
from workflow_agents.protocol.wire_steps import WireStep


def ask(name: str, kind: StepKind = StepKind.RUN, key: Any = 1) -> Asked:
    return Asked(key, kind, name, None)


def result(number: int, name: str, of: int = 1) -> WireStep:
    return WireStep(number, name, "Run", of, "null")


def plan(number: int, name: str, of: int) -> WireStep:
    return WireStep(0, name, "Run", of, target=number)


ONE, P2, P3 = result(1, "one"), plan(2, "a", 2), plan(3, "b", 2)
R2, R3 = result(2, "a", 2), result(3, "b", 2)


@pytest.mark.parametrize(
    ("listed", "decision"),
    [
        ([ONE], PlanAll(2)),
        ([ONE, P2], Execute(0, 2)),
        ([ONE, P2, P3], Execute(1, 3)),
        ([ONE, P2, P3, R2], Discard()),
        ([ONE, P2, P3, R3], Discard()),
        ([ONE, P2, P3, R2, R3], Results([(0, R2), (1, R3)])),
        ([ONE, P2, P3, R3, R2], Results([(1, R3), (0, R2)])),
        ([ONE, P2, R2, P3], Execute(1, 3)),
    ],
)
def test_the_states_of_a_group(listed: list[WireStep], decision: Any) -> None:
    """Source: protocol 1.5, the example."""
    steps = LockStep(listed)
    assert steps.decide([ask("one")]) == Results([(0, ONE)])

    assert steps.decide([ask("a"), ask("b")]) == decision


def test_a_step_alone_is_executed_at_once() -> None:
    steps = LockStep([ONE, P2, P3, R2, R3])
    steps.decide([ask("one")])
    steps.decide([ask("a"), ask("b")])

    assert steps.decide([ask("next")]) == Execute(0, 4)
    assert steps.left() is None


@pytest.mark.parametrize(
    ("listed", "asked", "expected"),
    [
        ([ONE], [ask("other")], "run 'one'"),
        ([ONE], [ask("one", StepKind.CALL)], "run 'one'"),
        ([ONE], [ask("one"), ask("two")], "in a group of 1"),
        ([plan(1, "a", 2)], [ask("a")], "in a group of 2"),
        ([plan(1, "a", 2), plan(2, "b", 2)], [ask("b"), ask("a")], "run 'a'"),
        ([result(2, "later")], [ask("one")], "nothing"),
        ([WireStep(1, "x", "Unheard", 1, "1")], [ask("x")], "Unheard 'x'"),
    ],
)
def test_another_group_is_a_mismatch(
    listed: list[WireStep], asked: list[Asked], expected: str
) -> None:
    with pytest.raises(HistoryMismatch) as mismatch:
        LockStep(listed).decide(asked)

    assert expected in str(mismatch.value.found)


def test_what_the_function_did_not_ask_for() -> None:
    steps = LockStep([ONE, result(2, "two")])
    steps.decide([ask("one")])

    left = steps.left()
    assert left is not None
    assert "run 'two'" in str(left.found)


def test_members_are_numbered_by_their_place_not_by_their_speed() -> None:
    keys: list[Any] = [3, "2.1/1", "2.0/2", "2.0/1.0/1", "10.0/1", "2.10/1"]

    ordered = sorted((ask("x", key=key) for key in keys), key=in_order)

    assert [asked.key for asked in ordered] == [
        "2.0/1.0/1", "2.0/2", "2.1/1", "2.10/1", 3, "10.0/1",
    ]  # fmt: skip
