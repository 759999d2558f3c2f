"""Why a run is where it is, in one sentence, from what is stored. Pure."""

from typing import NamedTuple

from workflow_agents.core.lifecycle import Phase
from workflow_agents.dashboard.timeline import Bar, members


class Flow(NamedTuple):
    """A flow control key in use.

    Attributes:
        key: its name.
        parallelism: its limit; None: any number.
        rate: its limit in a period; None: any number.
        in_flight: how many run.
        waiting: how many wait.
        paused: nothing of it starts.
    """

    key: str
    parallelism: int | None
    rate: int | None
    in_flight: int
    waiting: int
    paused: bool


class Standing(NamedTuple):
    """What of a run decides about the sentence.

    Attributes:
        phase: its own.
        now: Unix milliseconds.
        due_at: when it is to be invoked again.
        attempt: failed attempts since its last progress.
        failure: of an ended run, or of its last attempt.
        flow: the key that holds it back.
        bars: its steps that go on.
        served: whether somebody here serves its workflow.
        begun: whether it has come to a step.
    """

    phase: Phase
    now: int
    due_at: int | None = None
    attempt: int = 0
    failure: str | None = None
    flow: Flow | None = None
    bars: tuple[Bar, ...] = ()
    served: bool = True
    begun: bool = False


def explain(run: Standing) -> str:
    """One sentence."""
    match run.phase:
        case Phase.SUCCESS:
            return "It has succeeded."
        case Phase.CANCELED:
            return "It was cancelled."
        case Phase.FAILED:
            return f"It has failed: {run.failure or 'no message was given'}."
        case Phase.WAITING:
            return _held(run.flow)
        case Phase.DUE:
            return _due(run)
        case _:
            return _steps(run)


def _due(run: Standing) -> str:
    if not run.served:
        return "It waits for a process that serves its workflow: none does here."
    if run.due_at is not None and run.due_at > run.now:
        after = span(run.due_at - run.now)
        if run.attempt:
            why = f", because {run.failure}" if run.failure else ""
            return f"Its attempt {run.attempt} has failed{why}; the next one is in {after}."
        return f"It starts in {after}."
    return "It is about to be invoked."


def _held(flow: Flow | None) -> str:
    if flow is None:
        return "It waits for a slot of flow control."
    if flow.paused:
        return f"It is held back: the flow control key {flow.key} is paused."
    if flow.parallelism is not None and flow.in_flight >= flow.parallelism:
        use = f"{flow.in_flight} of {flow.parallelism} in use"
    else:
        use = f"at most {flow.rate} may start in its period"
    return f"It waits for a slot of the flow control key {flow.key}: {use}, {flow.waiting} wait."


def _steps(run: Standing) -> str:
    going = [bar for bar in run.bars if bar.ended is None]
    if not going:
        return "Its code runs." if run.begun else "Its code runs, and has come to no step yet."
    first, more = going[0], len(going) - 1
    beside = f" {more} more {'steps go' if more > 1 else 'step goes'} on beside it." if more else ""
    return f"{_step(first, run.now)}{beside}"


def _step(bar: Bar, now: int) -> str:
    told = members(bar.told)
    until = told.get("until")
    time_left = span(until - now) if isinstance(until, int) and until > now else None
    left = f" for {time_left}" if time_left else ""
    name = f"“{bar.name}”"
    match bar.state, bar.kind:
        case ("backoff", _):
            why = told.get("message") or told.get("error")
            because = f": {why}" if why else ""
            times = "once" if len(bar.attempts) == 1 else f"{len(bar.attempts)} times"
            again = f"; it is tried again in {time_left}" if time_left else ""
            return f"Step {name} has failed {times}{because}{again}."
        case ("held", _):
            key = told.get("flowControl") or told.get("pauseKey")
            return (
                f"Step {name} waits for a slot of {key}." if key else f"Step {name} is held back."
            )
        case (_, "sleep" | "sleep_until"):
            return f"Step {name} sleeps{left}."
        case (_, "wait") if members(told.get("details")).get("tool"):
            asked = members(told["details"])
            agent, tool = asked.get("agent"), asked["tool"]
            return f"It waits{left} for a person: {agent} wants to call {tool}."
        case (_, "wait"):
            return f"Step {name} waits{left} for the event {told.get('eventId')}."
        case (_, "wait_for_webhook"):
            return f"Step {name} waits{left} for its webhook to be called."
        case (_, "invoke"):
            return f"Step {name} waits for the run {told.get('workflowRunId')}."
        case (_, "call"):
            return f"Step {name} waits for the answer of {told.get('method')} {told.get('url')}."
        case _:
            return f"Step {name} runs since {span(now - bar.began)}."


_UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"))


def span(ms: int) -> str:
    """A length of time in its two largest units: "2 d 4 h"."""
    if ms < 1_000:
        return f"{max(0, ms)} ms"
    parts: list[str] = []
    for unit, name in _UNITS:
        if ms >= unit and len(parts) < 2:
            parts.append(f"{ms // unit} {name}")
            ms %= unit
        elif parts:
            break
    return " ".join(parts)
