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
_AGENTS = "Call Agent "
_KINDS = {kind.name: kind for kind in StepKind}
_LABELS = {kind: kind.label for kind in StepKind}
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

    __slots__ = (
        "_since", "_what", "attempts", "began", "due", "ended", "kind", "name", "segments",
        "state", "step", "told",
    )  # fmt: skip

    def __init__(self, step: StepKey, kind: StepKind | None, name: str, began: int) -> None:
        self.step, self.kind, self.name, self.began = step, kind, name, began
        self.state = RUNNING
        self.ended: int | None = None
        self.segments: list[Segment] = []
        self.attempts: list[int] = []
        self.told: Any = None
        self.due: int | None = None
        """Of a delay: when it has passed, which no entry tells by itself."""
        self._what, self._since = RUNNING, began

    def turn(self, what: str, at: int) -> None:
        """From then on it is something else; a time that was told too early is none."""
        at = at if at > self._since else self._since
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
        return Bar(
            self.step, self.name, _label(self.kind), self.state, _depth(self.step), self.began,
            self.ended, (*self.segments, *going), tuple(self.attempts), self.told,
        )  # fmt: skip


class Steps:
    """The steps of one run, as its feed is read: part after part, or at once.

    Most steps of a long run are over, and will not change: they are kept as bars, which are made
    once.

    Args:
        created_at: when the run was started, Unix milliseconds.

    Attributes:
        seq: the place of the last entry of a step that was read.
        asks_models: whether agents run in it.
    """

    def __init__(self, created_at: int) -> None:
        self.seq = 0
        self.asks_models = False
        self._created_at = created_at
        self._steps: dict[StepKey, _Step | Bar] = {}
        self._last: dict[str, int] = {}

    def add(self, entries: Iterable[FeedEntry]) -> "set[StepKey]":
        """Read what comes next in the feed; the steps that have changed by it."""
        changed: set[StepKey] = set()
        for entry in entries:
            key = entry.step
            if key is None:
                continue
            self.seq = entry.seq
            step = self._steps.get(key)
            if isinstance(step, Bar):
                continue
            changed.add(key)
            branch = "" if isinstance(key, int) else key.rpartition("/")[0]
            if step is None:
                began = entry.at if entry.kind == "STEP_WAITING" else self._since(branch)
                began = min(began, entry.at)
                kind = _KINDS.get(entry.step_type or "")
                name = entry.step_name or ""
                self.asks_models |= kind is StepKind.CALL and name.startswith(_AGENTS)
                if entry.kind == "STEP_SUCCESS":
                    # As most are: it was not heard of before it was done.
                    self._steps[key] = _done(key, kind, name, began, entry.at)
                    self._last[branch] = entry.at
                    continue
                step = self._steps[key] = _Step(key, kind, name, began)
            _follow(step, entry)
            if step.ended is not None:
                self._last[branch] = step.ended
                self._steps[key] = step.bar(step.ended)
        return changed

    def bars(self, now: int) -> list[Bar]:
        """All of them, in the order in which they were first heard of."""
        return [s if isinstance(s, Bar) else s.bar(now) for s in self._steps.values()]

    def bar(self, key: StepKey, now: int) -> Bar:
        """One of them."""
        step = self._steps[key]
        return step if isinstance(step, Bar) else step.bar(now)

    def going(self, now: int) -> list[Bar]:
        """Those that go on."""
        return [s.bar(now) for s in self._steps.values() if not isinstance(s, Bar)]

    def news(self, changed: "set[StepKey]", now: int) -> list[Bar]:
        """Those that have changed, and those that go on."""
        found: list[Bar] = []
        for key, step in self._steps.items():
            if not isinstance(step, Bar):
                found.append(step.bar(now))
            elif key in changed:
                found.append(step)
        return found

    def __len__(self) -> int:
        """How many there are."""
        return len(self._steps)

    def _since(self, branch: str) -> int:
        """When a branch went on: behind its own last step, else what it was forked from."""
        while branch:
            if branch in self._last:
                return self._last[branch]
            branch = branch.rpartition("/")[0]
        return self._last.get("", self._created_at)


def _done(step: StepKey, kind: StepKind | None, name: str, began: int, ended: int) -> Bar:
    segments = (Segment(RUNNING, began, ended),) if ended > began else ()
    return Bar(
        step, name, _label(kind), "success", _depth(step), began, ended, segments, ()
    )  # fmt: skip


def _depth(step: StepKey) -> int:
    return 0 if isinstance(step, int) else step.count("/")


def _label(kind: StepKind | None) -> str:
    return "run" if kind is None else _LABELS[kind]


def asks_model(bar: Bar) -> bool:
    """Whether a step is a turn of an agent."""
    return bar.kind == "call" and bar.name.startswith(_AGENTS)


def bars(entries: Iterable[FeedEntry], created_at: int, now: int) -> list[Bar]:
    """The bars of one run, in the order in which its steps were first heard of.

    Args:
        entries: the feed of the run, in order.
        created_at: when it was started, Unix milliseconds.
        now: Unix milliseconds.
    """
    steps = Steps(created_at)
    steps.add(entries)
    return steps.bars(now)


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
