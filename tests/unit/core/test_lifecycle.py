"""The table of a run's life is closed, and holds the rules that its docstring gives."""

import itertools

import pytest

from workflow_agents.core.lifecycle import (
    FIRST_PHASE,
    TRANSITIONS,
    Event,
    IllegalTransition,
    Phase,
    is_ended,
    next_phase,
    phases_of,
    wire_state,
)

ENDED = {Phase.SUCCESS, Phase.FAILED, Phase.CANCELED}


def reachable(start: Phase) -> set[Phase]:
    seen, waiting = {start}, [start]
    while waiting:
        for phase in TRANSITIONS[waiting.pop()].values():
            if phase not in seen:
                seen.add(phase)
                waiting.append(phase)
    return seen


def test_the_table_is_closed():
    assert set(TRANSITIONS) == set(Phase)
    assert {event for row in TRANSITIONS.values() for event in row} == set(Event)
    for phase, event in itertools.product(Phase, Event):
        if event in TRANSITIONS[phase]:
            assert next_phase(phase, event) is TRANSITIONS[phase][event]
            continue
        with pytest.raises(IllegalTransition) as refused:
            next_phase(phase, event)
        assert (refused.value.phase, refused.value.event) == (phase, event)


def test_every_phase_is_reached_and_every_run_can_end():
    assert reachable(FIRST_PHASE) | reachable(Phase.REMOTE) == set(Phase)
    for phase in set(Phase) - ENDED:
        assert reachable(phase) >= ENDED


def test_nothing_leads_out_of_an_end():
    for phase in Phase:
        assert is_ended(phase) == (phase in ENDED) == (not TRANSITIONS[phase])
    with pytest.raises(
        IllegalTransition, match="SUCCESS met WAKE; what fits it: none, it has ended"
    ):
        next_phase(Phase.SUCCESS, Event.WAKE)


def test_no_wake_up_parks_or_stops_a_run():
    for phase in set(Phase) - ENDED:
        after = next_phase(phase, Event.WAKE)
        assert after is (Phase.DUE if phase is Phase.PARKED else phase)


def test_whoever_lives_can_be_cancelled():
    for phase in set(Phase) - ENDED:
        assert next_phase(phase, Event.CANCEL) is Phase.CANCELED


def test_only_a_lease_lets_an_invocation_end():
    holder_says = {Event.YIELD, Event.RETRY, Event.SUCCEED, Event.LEASE_EXPIRED}
    # Nobody has a lease of a remote run: its own endpoint says that it has ended.
    for phase in set(Phase) - {Phase.LEASED, Phase.REMOTE}:
        assert not holder_says & set(TRANSITIONS[phase])
    assert [p for p in Phase if Phase.LEASED in TRANSITIONS[p].values()] == [
        Phase.DUE,
        Phase.LEASED,
        Phase.PARKED,
        Phase.REMOTE,
    ]
    assert Phase.LEASED not in {
        after for event, after in TRANSITIONS[Phase.LEASED].items() if event is not Event.WAKE
    }


def test_a_refusal_tells_what_would_fit():
    with pytest.raises(
        IllegalTransition, match="PARKED met LEASE; what fits it: CANCEL, RESUME, WAKE"
    ):
        next_phase(Phase.PARKED, Event.LEASE)


def test_stored_numbers_stay():
    assert {phase.name: int(phase) for phase in Phase} == {
        "DUE": 0, "WAITING": 1, "LEASED": 2, "PARKED": 3, "REMOTE": 4,
        "SUCCESS": 10, "FAILED": 11, "CANCELED": 12,
    }  # fmt: skip


def test_wire_names():
    assert {phase: wire_state(phase) for phase in ENDED} == {
        Phase.SUCCESS: "RUN_SUCCESS",
        Phase.FAILED: "RUN_FAILED",
        Phase.CANCELED: "RUN_CANCELED",
    }
    assert phases_of("RUN_STARTED") == set(Phase) - ENDED
    assert phases_of("RUN_CANCELED") == {Phase.CANCELED}
    assert phases_of("RUN_CANCELLED") == frozenset()
