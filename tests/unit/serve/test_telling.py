"""What middlewares may not have been told yet, as it follows from a history."""

import pytest

from workflow_agents.core.journal import History
from workflow_agents.protocol.history import Recorded, StepKey, StepKind, Waiting
from workflow_agents.serve.telling import Memory, known_of

RUN, SLEEP, CALL = StepKind.RUN, StepKind.SLEEP, StepKind.CALL


def history(*recorded: tuple[StepKey, StepKind], waiting: int = 0) -> History:
    return History(
        [Recorded(key, kind, "x", ok=True, data=b"1") for key, kind in recorded],
        [Waiting(100 + n, StepKind.SLEEP, "x", 0, due=False) for n in range(waiting)],
    )


@pytest.mark.parametrize(
    ("kinds", "news"),
    [
        ([], []),
        ([RUN, RUN], [2]),
        ([RUN, SLEEP, CALL], [1, 2, 3]),
        ([SLEEP, CALL, RUN, SLEEP, SLEEP], [3, 4, 5]),
        ([CALL, SLEEP], [1, 2]),
        ([SLEEP, StepKind.NOTIFY], [2]),
    ],
)
def test_what_came_after_the_last_body_may_be_news(kinds, news) -> None:
    known = known_of(history(*enumerate(kinds, 1), waiting=2))
    assert [key for key in range(1, len(kinds) + 1) if known.is_news(key)] == news
    assert known.steps == len(kinds) + 2
    assert known.is_news("1.0/1"), "a step that is not known"


def test_the_memory_keeps_the_last_runs_only(monkeypatch) -> None:
    monkeypatch.setattr("workflow_agents.serve.telling._REMEMBERED_RUNS", 2)
    memory = Memory()
    assert [memory.first_time(run, 1) for run in ("a", "a", "b", "a", "c")] == [
        True, False, True, False, True,
    ]  # fmt: skip
    assert not memory.first_time("a", 1)
    assert memory.first_time("b", 1), "the one that was not heard of for longest is forgotten"


def test_the_memory_of_a_run_holds_the_last_steps_only() -> None:
    memory = Memory()
    for mark in ("started", 1, 2):
        assert memory.first_time("a", mark)
    memory.forget_steps("a")
    assert [memory.first_time("a", mark) for mark in ("started", 1)] == [False, True]
