"""One true sentence for each reason that a run is where it is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_agents.core.lifecycle import Phase
from workflow_agents.dashboard.explain import Flow, Standing, explain, span
from workflow_agents.dashboard.timeline import Bar

DAY = 86_400_000


def bar(kind: str, state: str = "waiting", told: Any = None, attempts: tuple[int, ...] = ()) -> Bar:
    return Bar(1, "the step", kind, state, 0, 0, None, (), attempts, told)


def flow(**changes: Any) -> Flow:
    use = {"parallelism": 10, "rate": None, "in_flight": 10, "waiting": 37, "paused": False}
    return Flow("openai", **{**use, **changes})


SENTENCES = [
    (Standing(Phase.SUCCESS, 0), "It has succeeded."),
    (Standing(Phase.CANCELED, 0), "It was cancelled."),
    (Standing(Phase.FAILED, 0, failure="no items"), "It has failed: no items."),
    (Standing(Phase.DUE, 0), "It is about to be invoked."),
    (Standing(Phase.DUE, 0, due_at=90_000), "It starts in 1 m 30 s."),
    (
        Standing(Phase.DUE, 0, due_at=28 * 60_000, attempt=3, failure="status 503"),
        "Its attempt 3 has failed, because status 503; the next one is in 28 m.",
    ),
    (
        Standing(Phase.DUE, 0, served=False),
        "It waits for a process that serves its workflow: none does here.",
    ),
    (Standing(Phase.WAITING, 0), "It waits for a slot of flow control."),
    (
        Standing(Phase.WAITING, 0, flow=flow()),
        "It waits for a slot of the flow control key openai: 10 of 10 in use, 37 wait.",
    ),
    (
        Standing(Phase.WAITING, 0, flow=flow(paused=True)),
        "It is held back: the flow control key openai is paused.",
    ),
    (
        Standing(Phase.WAITING, 0, flow=flow(in_flight=1, rate=5)),
        "It waits for a slot of the flow control key openai:"
        " at most 5 may start in its period, 37 wait.",
    ),
    (Standing(Phase.LEASED, 0), "Its code runs, and has come to no step yet."),
    (
        Standing(Phase.PARKED, 0, bars=(bar("sleep", told={"until": 3 * DAY}),)),
        "Step “the step” sleeps for 3 d.",
    ),
    (
        Standing(Phase.PARKED, 0, bars=(bar("wait", told={"eventId": "e", "until": DAY}),)),
        "Step “the step” waits for 1 d for the event e.",
    ),
    (
        Standing(
            Phase.PARKED,
            0,
            bars=(
                bar("wait", told={"until": DAY, "details": {"agent": "clerk", "tool": "refund"}}),
            ),
        ),
        "It waits for 1 d for a person: clerk wants to call refund.",
    ),
    (
        Standing(Phase.PARKED, 0, bars=(bar("wait_for_webhook", told={"until": DAY}),)),
        "Step “the step” waits for 1 d for its webhook to be called.",
    ),
    (
        Standing(Phase.PARKED, 0, bars=(bar("invoke", "running", {"workflowRunId": "wfr_2"}),)),
        "Step “the step” waits for the run wfr_2.",
    ),
    (
        Standing(Phase.PARKED, 0, bars=(bar("call", "running", {"method": "GET", "url": "u"}),)),
        "Step “the step” waits for the answer of GET u.",
    ),
    (
        Standing(
            Phase.PARKED,
            0,
            bars=(bar("run", "backoff", {"message": "503", "until": 12_000}, (1, 2)),),
        ),
        "Step “the step” has failed 2 times: 503; it is tried again in 12 s.",
    ),
    (
        Standing(Phase.PARKED, 0, bars=(bar("run", "held", {"flowControl": "bank"}),)),
        "Step “the step” waits for a slot of bank.",
    ),
    (
        Standing(Phase.LEASED, 5_000, bars=(bar("run", "running"), bar("run", "running"))),
        "Step “the step” runs since 5 s. 1 more step goes on beside it.",
    ),
]


@pytest.mark.parametrize(("standing", "sentence"), SENTENCES, ids=[s for _, s in SENTENCES])
def test_the_sentence(standing: Standing, sentence: str) -> None:
    assert explain(standing) == sentence


@given(st.integers(0, 10**12))
def test_a_span_has_two_units_at_most_and_never_says_more_than_there_is(ms: int) -> None:
    sizes = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": DAY}
    words = span(ms).split()
    said = sum(int(n) * sizes[unit] for n, unit in zip(words[::2], words[1::2], strict=True))
    assert len(words) <= 4
    assert said <= ms
