"""The life of a run: its phases, and what each event makes of them.

Theory. At every instant a run is in exactly one phase, and only this table changes it:

    DUE      it has to be invoked, at once or at its due time
    WAITING  it has to be invoked, and flow control holds it back
    LEASED   an invocation advances it, until that ends or its lease does
    PARKED   all its branches wait for something elsewhere; it is rows, and nothing else
    REMOTE   its endpoint is visited over HTTP: what is due are messages, never the run itself
    SUCCESS, FAILED, CANCELED    it has ended, for ever

                     LEASE                 PARK
       start ──► DUE ──────► LEASED ──────────────► PARKED
                 ▲ │ ▲          │ YIELD, RETRY,        │
            ADMIT│ │HOLD        │ LEASE_EXPIRED        │ WAKE
                 │ ▼ └──────────┴──────────────────────┘
               WAITING          └► SUCCEED, FAIL          CANCEL: from everywhere

Three rules make the table safe:

- *No wake-up is lost.* WAKE changes a parked run only. One that comes while the run is due
  or leased changes no phase, because its result is a row: the invocation to come reads it,
  and an invocation that wants to park counts the wake-ups in the same transaction. If there
  is one that it has not seen, it may not PARK.
- *One writer.* Only the holder of the lease may say PARK, YIELD, RETRY, SUCCEED and FAIL.
  A holder whose lease has expired finds the run in another phase or under another fencing
  token, and is refused by the store; this table does not know tokens.
- *Finished is finished.* No event leads out of an end. Whoever comes late is refused here
  and says so; a resumed run is a new run.

A parked run's task may be kept for a while. Such a task takes the news of a WAKE itself:
it goes on, which is RESUME, or waits again, which is PARK while the run is due.

A run that cannot be invoked (its process dies again and again, nobody serves its workflow)
may FAIL while it is due or waits; a parked one is woken first.
"""

from enum import IntEnum, StrEnum


class Phase(IntEnum):
    """Where a run is. The numbers are stored: never renumber; the ends are 10 and above."""

    DUE = 0
    WAITING = 1
    LEASED = 2
    PARKED = 3
    REMOTE = 4
    SUCCESS = 10
    FAILED = 11
    CANCELED = 12


class Event(StrEnum):
    """What happens to a run."""

    LEASE = "lease"
    """An invocation begins."""

    HOLD = "hold"
    """Flow control lets no invocation begin now."""

    ADMIT = "admit"
    """Flow control may let it begin: a slot is free, or its time has come."""

    PARK = "park"
    """The invocation ended; every branch waits, and nothing has arrived meanwhile."""

    YIELD = "yield"
    """The invocation gave way, and there is more to do: its process stops."""

    RETRY = "retry"
    """The invocation failed and is to be repeated; the run is due after a delay."""

    LEASE_EXPIRED = "lease expired"
    """The invocation was not heard of for too long, or its process is gone."""

    RESUME = "resume"
    """The task of a parked run was kept, and goes on by itself: it takes the lease again."""

    WAKE = "wake"
    """Something that the run waits for has come: a time, a result, a notification."""

    SUCCEED = "succeed"
    """The workflow function returned."""

    FAIL = "fail"
    """It failed for good."""

    ADOPT = "adopt"
    """Its endpoint answers the first visit with checkpoints: the run is kept like any other."""

    CANCEL = "cancel"
    """Somebody cancelled it."""


class IllegalTransition(RuntimeError):
    """The event does not fit the phase; in an ended run the usual late-comer, else a bug.

    Attributes:
        phase: where the run is.
        event: what was to happen to it.
    """

    def __init__(self, phase: Phase, event: Event) -> None:
        self.phase = phase
        self.event = event
        fits = ", ".join(sorted(e.name for e in TRANSITIONS[phase])) or "none, it has ended"
        super().__init__(f"a run in phase {phase.name} met {event.name}; what fits it: {fits}")


FIRST_PHASE = Phase.DUE
"""The phase of a run that was just stored."""

TRANSITIONS: dict[Phase, dict[Event, Phase]] = {
    Phase.DUE: {
        Event.LEASE: Phase.LEASED,
        Event.RESUME: Phase.LEASED,
        Event.PARK: Phase.PARKED,
        Event.HOLD: Phase.WAITING,
        Event.WAKE: Phase.DUE,
        Event.FAIL: Phase.FAILED,
        Event.CANCEL: Phase.CANCELED,
    },
    Phase.WAITING: {
        Event.ADMIT: Phase.DUE,
        Event.WAKE: Phase.WAITING,
        Event.FAIL: Phase.FAILED,
        Event.CANCEL: Phase.CANCELED,
    },
    Phase.LEASED: {
        Event.PARK: Phase.PARKED,
        Event.YIELD: Phase.DUE,
        Event.RETRY: Phase.DUE,
        Event.LEASE_EXPIRED: Phase.DUE,
        Event.WAKE: Phase.LEASED,
        Event.SUCCEED: Phase.SUCCESS,
        Event.FAIL: Phase.FAILED,
        Event.CANCEL: Phase.CANCELED,
    },
    Phase.PARKED: {
        Event.WAKE: Phase.DUE,
        Event.RESUME: Phase.LEASED,
        Event.CANCEL: Phase.CANCELED,
    },
    Phase.REMOTE: {
        Event.ADOPT: Phase.LEASED,
        Event.WAKE: Phase.REMOTE,
        Event.SUCCEED: Phase.SUCCESS,
        Event.FAIL: Phase.FAILED,
        Event.CANCEL: Phase.CANCELED,
    },
    Phase.SUCCESS: {},
    Phase.FAILED: {},
    Phase.CANCELED: {},
}


def next_phase(phase: Phase, event: Event) -> Phase:
    """The phase after an event.

    Raises:
        IllegalTransition: where the event does not fit the phase; nothing may change then.
    """
    try:
        return TRANSITIONS[phase][event]
    except KeyError:
        raise IllegalTransition(phase, event) from None


def is_ended(phase: Phase) -> bool:
    """Whether a run in this phase has ended; no event leads out."""
    return phase >= Phase.SUCCESS


_WIRE_NAMES = {
    Phase.SUCCESS: "RUN_SUCCESS",
    Phase.FAILED: "RUN_FAILED",
    Phase.CANCELED: "RUN_CANCELED",
}


RUN_STATES = ("RUN_STARTED", *_WIRE_NAMES.values())
"""Every state of a run, as the wire calls it."""


def wire_state(phase: Phase) -> str:
    """What the wire calls the state: RUN_STARTED until the run has ended.

    Source: `workflowState` of run logs.
    """
    return _WIRE_NAMES.get(phase, "RUN_STARTED")


def phases_of(wire_name: str) -> frozenset[Phase]:
    """The phases that the wire calls by this name; empty where it has no such name."""
    return frozenset(phase for phase in Phase if wire_state(phase) == wire_name)
