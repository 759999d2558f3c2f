"""The steps of a run as bars on a line of time: when each was queued, ran, waited, was held off.

Pure. The feed tells when a step was planned, tried again, and done. A step that needs no plan is
recorded with its result only; it has run since whatever its branch did last.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple, cast

from workflow_agents.core.step_logs import FeedEntry
from workflow_agents.protocol.history import StepKey, StepKind

RUNNING, WAITING, HELD, BACK_OFF = "running", "waiting", "held", "backoff"

_ENDS = {
    "STEP_SUCCESS": "success",
    "STEP_FAILED": "failed",
    "STEP_WITHDRAWN": "withdrawn",
}
_WAITS = frozenset({StepKind.SLEEP, StepKind.SLEEP_UNTIL, StepKind.WAIT, StepKind.WAIT_FOR_WEBHOOK})


class Segment(NamedTuple):
    """A part of a bar; `until` is None while it goes on. Unix milliseconds."""

    what: str
    since: int
    until: int | None


class Bar(NamedTuple):
    """A step.

    Attributes:
        step: its key.
        name: as the code named it.
        kind: what it does: run, sleep, call, ...
        state: running, waiting, held, backoff, success, failed or withdrawn.
        depth: how many branches deep it is.
        began: Unix milliseconds.
        ended: None while it goes on.
        segments: in order, without gaps.
        attempts: when one failed, Unix milliseconds.
        told: of what is waited for, or what is requested.
    """

    step: StepKey
    name: str
    kind: str
    state: str
    depth: int
    began: int
    ended: int | None
    segments: tuple[Segment, ...]
    attempts: tuple[int, ...]
    told: Any = None


class _Step:
    """A bar while it is drawn."""

    def __init__(self, entry: FeedEntry, began: int) -> None:
        assert entry.step is not None  # noqa: S101  # whoever makes one has looked
        self.step, self.name, self.began = entry.step, entry.step_name or "", began
        self.kind = None if entry.step_type is None else StepKind[entry.step_type]
        self.state = RUNNING
        self.ended: int | None = None
        self.segments: list[Segment] = []
        self.attempts: list[int] = []
        self.told: Any = None
        self.due: int | None = None
        """Of a delay: when it has passed, which no entry tells by itself."""
        self._what, self._since = RUNNING, began

    def turn(self, what: str, at: int) -> None:
        """From then on it is something else."""
        if self.due is not None and self._since <= self.due < at:
            due, self.due = self.due, None
            self.turn(RUNNING, due)
        if at > self._since:
            self.segments.append(Segment(self._what, self._since, at))
        self._what, self._since, self.state, self.due = what, at, what, None

    def end(self, state: str, at: int) -> None:
        """It is over."""
        self.turn(state, at)
        self.ended = at

    def bar(self, now: int) -> Bar:
        """As it is then."""
        if self.ended is None and self.due is not None and self.due < now:
            self.turn(RUNNING, self.due)
        going = () if self.ended is not None else (Segment(self._what, self._since, None),)
        kind = "run" if self.kind is None else self.kind.label
        depth = str(self.step).count("/")
        return Bar(
            self.step, self.name, kind, self.state, depth, self.began, self.ended,
            (*self.segments, *going), tuple(self.attempts), self.told,
        )  # fmt: skip


def bars(entries: Iterable[FeedEntry], created_at: int, now: int) -> list[Bar]:
    """The bars of one run, in the order in which their steps were first heard of.

    Args:
        entries: the feed of the run, in order.
        created_at: when it was started, Unix milliseconds.
        now: Unix milliseconds.
    """
    steps: dict[StepKey, _Step] = {}
    last: dict[str, int] = {}
    for entry in entries:
        if entry.step is None:
            continue
        step = steps.get(entry.step)
        branch = str(entry.step).rpartition("/")[0]
        if step is None:
            began = entry.at if _is_plan(entry) else _since(last, branch, created_at)
            step = steps[entry.step] = _Step(entry, min(began, entry.at))
        if step.ended is not None:
            continue
        _follow(step, entry)
        if step.ended is not None:
            last[branch] = step.ended
    return [step.bar(now) for step in steps.values()]


def _is_plan(entry: FeedEntry) -> bool:
    return entry.kind == "STEP_WAITING"


def _since(last: dict[str, int], branch: str, created_at: int) -> int:
    """When a branch went on: behind its own last step, else behind what it was forked from."""
    while branch:
        if branch in last:
            return last[branch]
        branch = branch.rpartition("/")[0]
    return last.get("", created_at)


def _follow(step: _Step, entry: FeedEntry) -> None:
    data = members(entry.data)
    match entry.kind:
        case "STEP_WAITING":
            step.told = entry.data
            if "flowControl" in data:
                step.turn(HELD, entry.at)
            else:
                step.turn(WAITING if step.kind in _WAITS else RUNNING, entry.at)
        case "STEP_RETRY":
            step.told = entry.data
            if "pauseKey" in data:
                step.turn(HELD, entry.at)
            else:
                step.attempts.append(entry.at)
                step.turn(BACK_OFF, entry.at)
                until = data.get("until")
                step.due = until if isinstance(until, int) else None
        case kind if kind in _ENDS:
            if kind == "STEP_FAILED":
                step.attempts.append(entry.at)
            step.end(_ENDS[kind], entry.at)
        case _:
            pass


def members(data: Any) -> dict[str, Any]:
    """What an entry tells by name; nothing, where it tells something else."""
    return cast("dict[str, Any]", data) if isinstance(data, dict) else {}
