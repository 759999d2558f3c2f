"""From a seed to a scenario and to what goes wrong in it.

Everything random is drawn here, before anything happens, or by `RandomFaults` as it happens;
the same seed does the same again.
"""

import random
from collections import Counter
from typing import Any

from tests.simulation.programs import (
    Beside,
    Call,
    Cancel,
    Hook,
    Invoke,
    Node,
    Notify,
    Par,
    Race,
    Raise,
    Run,
    Seq,
    Sleep,
    Step,
    Try,
    Wait,
)
from tests.simulation.scenario import Scenario, Started
from workflow_agents import FlowControl
from workflow_agents.engine.http_out import HttpRequest
from workflow_agents.testing.faults import AtCommit, AtRequest, AtStatement, Faults

KEYS = (
    FlowControl("one", parallelism=1),
    FlowControl("two", parallelism=2),
    FlowControl("slow", rate=2, period="1s"),
)
RUN_KEY = FlowControl("runs", parallelism=1)
BIG = 5_000


class Generator:
    """Draws programs. Names of steps count up, so that every step has its own.

    Args:
        draw: the source of everything random.
        exact: only programs of which plain asyncio says what happens and in which order: every
            branch begins with a step that takes time, and nobody outside has to be quick.
    """

    def __init__(self, draw: random.Random, *, exact: bool = False) -> None:
        self._draw = draw
        # Drawn apart, so that what else a seed draws stays what it was.
        self._apart = random.Random(f"beside {draw.getstate()[1][:4]}")
        self._exact = exact
        self._names = 0
        self._events = 0
        self._invoked = 0

    def program(self, size: int, *, depth: int = 3, may_fail: bool = True) -> Node:
        """A program of about `size` steps, with branches nested to `depth`."""
        parts: list[Node] = []
        while size > 0:
            used, part = self._part(size, depth, may_fail)
            parts.append(part)
            size -= used
        if may_fail and not self._exact and self._draw.random() < 0.05:
            parts.append(Raise(self._name("x"), self._draw.choice((1, 1, 2, -1))))
            parts.append(self._run(may_fail=False))
        elif may_fail and self._draw.random() < 0.04:
            parts.append(Cancel())
        return Seq(tuple(parts))

    def branches(self, *, large: bool = True) -> Node:
        """A program that begins with branches, nested to depth 3; `large`: with more of them."""
        draw = self._draw
        sizes = [draw.randint(1, 2) for _ in range(draw.choice((2, 2, 3)))] if large else [2, 1]
        parts = tuple(self._branch(size, 2, may_fail=False) for size in sizes)
        begun = self._side_by_side(parts, draw.choice(("gather", "group")))
        return Seq((begun, self.program(draw.randint(0, 2 if large else 1), depth=2)))

    def _part(self, size: int, depth: int, may_fail: bool) -> tuple[int, Node]:
        draw = self._draw
        kind = draw.random()
        if depth and size >= 2 and kind < 0.42:
            count = draw.randint(2, min(4, size))
            if kind < 0.24:
                sizes = [max(1, size // count)] * count
                parts = tuple(self._branch(each, depth - 1, may_fail=False) for each in sizes)
                return sum(sizes), self._side_by_side(parts, draw.choice(("gather", "group")))
            if kind < 0.30:
                return count, Par(tuple(self._direct() for _ in range(count)), "direct")
            if kind < 0.36:
                parts = tuple(self._branch(1, depth - 1, may_fail=True) for _ in range(count))
                return count, Race(tuple(Try(part) for part in parts))
            inner = [self._branch(1, depth - 1, may_fail=True) for _ in range(count)]
            how = draw.choice(("gather", "group"))
            return count, Try(self._side_by_side(tuple(inner), how))
        if may_fail and kind < 0.50:
            return 1, Try(self._failing())
        if may_fail and kind < 0.52:
            return 1, self._failing()
        if kind < 0.58 and depth and size >= 2:
            return 2, self._told_inside()
        return 1, self._step(depth, may_fail)

    def _branch(self, size: int, depth: int, *, may_fail: bool) -> Node:
        parts: list[Node] = [self._run(may_fail=False)] if self._exact else []
        while size > 0:
            used, part = self._part(size, depth, may_fail)
            parts.append(part)
            size -= used
        return parts[0] if len(parts) == 1 else Seq(tuple(parts))

    def _told_inside(self) -> Node:
        """A run that tells itself: before it waits, or one branch another."""
        event = self._event()
        wait = Wait(self._name("w"), event, source="inside")
        notify = Notify(self._name("n"), event)
        if self._draw.random() < 0.4:
            return Seq((notify, wait))
        return self._side_by_side((wait, Seq((self._run(may_fail=False), notify))), "gather")

    def _side_by_side(self, parts: tuple[Node, ...], how: str) -> Node:
        """Branches; or one of them is what the code does itself beside the others."""
        apart = self._apart
        if apart.random() < 0.4:
            own = apart.randrange(len(parts))
            return Beside((*parts[:own], *parts[own + 1 :]), parts[own], how)
        return Par(parts, how)

    def _step(self, depth: int, may_fail: bool) -> Step:
        draw = self._draw
        match draw.choices(
            ("run", "sleep", "call", "wait", "invoke", "hook"), (32, 12, 26, 12, 8, 6)
        )[0]:
            case "run":
                return self._run(may_fail=may_fail)
            case "sleep":
                return Sleep(self._name("s"), self._ms(300), until=draw.random() < 0.3)
            case "call":
                return self._call()
            case "wait":
                return self._wait()
            case "invoke":
                self._invoked += 1
                child = self.program(draw.randint(1, 2), depth=min(depth, 1))
                self._invoked -= 1
                return Invoke(self._name("i"), child)
            case _:
                return Hook(self._name("h"), draw.randint(1, 3), self._ms(40))

    def _direct(self) -> Step:
        if self._draw.random() < 0.3:
            return Sleep(self._name("s"), self._ms(200))
        return self._run(may_fail=False)

    def _run(self, *, may_fail: bool) -> Run:
        draw = self._draw
        fails = draw.choice((0, 0, 0, 1, 2)) if may_fail or draw.random() < 0.3 else 0
        return Run(
            self._name("r"),
            ms=self._ms(60),
            size=BIG if draw.random() < 0.1 else 0,
            sync=draw.random() < 0.2 and not self._exact,
            fails=fails,
            how=draw.choice(("error", "error", "later")),
            flow=self._flow(),
        )

    def _failing(self) -> Step:
        draw = self._draw
        if draw.random() < 0.3:
            return Call(self._name("c"), self._ms(40), answer="refused", retries=1)
        how = draw.choice(("error", "later", "final"))
        return Run(self._name("r"), self._ms(40), fails=-1, how=how, retries=1)

    def _call(self) -> Call:
        draw = self._draw
        down = draw.random() < 0.12
        return Call(
            self._name("c"),
            ms=self._ms(80),
            answer="down" if down else draw.choice(("ok", "ok", "ok", "bytes")),
            retries=draw.randint(0, 2) if down else 30,
            size=BIG if draw.random() < 0.1 else 0,
            flow=self._flow(),
        )

    def _wait(self) -> Wait:
        draw = self._draw
        name, event, at_ms = self._name("w"), self._event(), self._ms(400)
        weights = (40, 25, 20, 15)
        if self._invoked:
            weights = (0, 0, 1, 0)
        elif self._exact:
            weights = (2, 0, 1, 0)
        match draw.choices(("run", "everyone", "nobody", "contested"), weights)[0]:
            case "nobody":
                return Wait(name, event, source="nobody", timeout_ms=self._ms(300))
            case "contested":
                return Wait(name, event, at_ms=at_ms, timeout_ms=at_ms, contested=True)
            case source:
                return Wait(name, event, source=source, at_ms=at_ms)

    def _ms(self, most: int) -> int:
        # What may end at one instant has no order, so these are far apart.
        return self._draw.randint(1, 600 if self._exact else most)

    def _flow(self) -> FlowControl | None:
        if self._exact or self._draw.random() >= 0.12:
            return None
        return self._draw.choice(KEYS)

    def _name(self, kind: str) -> str:
        self._names += 1
        return f"{kind}{self._names}"

    def _event(self) -> str:
        self._events += 1
        return f"e{self._events}"


def scenario_of(seed: int, *, large: bool = True) -> Scenario:
    """What happens under this seed; `large`: with more runs, whose programs are longer."""
    draw = random.Random(seed)
    generator = Generator(draw)
    runs: list[Started] = []
    first, others = (7, 4) if large else (3, 2)
    for i in range(draw.choice((1, 1, 2, 3) if large else (1, 1, 1, 1, 1, 2))):
        program = generator.program(draw.randint(2, first if i == 0 else others))
        run = Started(f"run{i}", program, at_ms=draw.randint(0, 100))
        if draw.random() < 0.1:
            run.delay_ms = draw.randint(1, 200)
        if draw.random() < 0.15:
            run.cancel_at_ms = draw.randint(0, 600)
        if draw.random() < 0.15:
            run.flow = RUN_KEY
        if draw.random() < 0.15:
            run.twice = True
        if draw.random() < 0.1:
            run.size = BIG
        runs.append(run)
    if draw.random() < (0.1 if large else 0.05):
        event = "met"
        runs.append(Started("waits", Wait("w", event, source="inside")))
        told = Seq((Run("r"), Notify("n", event, draw.choice(("waits", "wfr_waits")))))
        runs.append(Started("tells", told, after="waits"))
    if draw.random() < (0.15 if large else 0.09):
        heals = Run("b", retries=0, fails=-1, heals=True)
        program = Seq((generator.program(2, may_fail=False), heals, Run("z")))
        runs.append(Started("heals", program, resume=True))
    # Drawn apart, so that what happens else under a seed stays what it was.
    apart = random.Random(f"pauses of {seed}")
    if apart.random() < (0.12 if large else 0.05):
        runs.append(Started("asks", _asking(apart), at_ms=apart.randint(0, 100)))
    return Scenario(
        runs,
        keep_ms=draw.choice((0, 0, 50, 10_000)),
        # Each process of a small scenario costs as much as all that happens in it.
        stops_ms=[draw.randint(1, 800) for _ in range(draw.choice((0, 0, 1, 2 * large)))],
        crashes_ms=[draw.randint(1, 800) for _ in range(draw.choice((0, 0, 1, 2 * large)))],
        clock=disturbances(draw),
    )


def _asking(draw: random.Random) -> Node:
    """Branches that call one account again and again: a refusal of one holds them all."""
    names = iter(range(1_000, 2_000, 2))
    branches = tuple(
        Seq(tuple(Call(f"c{next(names)}", ms=draw.randint(1, 200)) for _ in range(2)))
        for _ in range(draw.randint(2, 4))
    )
    return Par(branches, "gather")


def disturbances(draw: random.Random) -> list[tuple[int, str, int]]:
    """What happens to the clock."""
    if draw.random() < 0.3:
        return []
    at = draw.randint(1, 200)
    match draw.randrange(5):
        case 0:
            return [(at, "step", 1_000)]
        case 1:
            return [(at, "step", -1_000)]
        case 2:
            return [(at, "step", 3_600_000)]
        case 3:
            # Somebody sets it right again; until then, whatever waits, waits longer.
            return [(at, "step", -3_600_000), (at + 1_500, "step", 3_600_000)]
        case _:
            return [(at, "freeze", 1_500)]


class RandomFaults(Faults):
    """What goes wrong under a seed: a few things, of a few kinds.

    Attributes:
        fired: how often each kind of fault happened.
    """

    def __init__(self, seed: int) -> None:
        self._draw = draw = random.Random(f"faults of {seed}")
        self.fired: Counter[str] = Counter()
        self._budget = draw.choice((0, 1, 2, 4, 8))
        self._requests = draw.choice((1, 4, 8, 12))
        self._commit_rate = draw.choice((0.02, 0.1, 0.2))
        self._statement_rate = draw.choice((0.0, 0.005, 0.02, 0.05))
        self._request_rate = draw.choice((0.3, 0.6, 0.9))
        self._commits = draw.sample([*AtCommit], k=draw.randint(1, len(AtCommit)))

    def at_commit(self) -> AtCommit | None:
        if self._budget <= 0 or self._draw.random() >= self._commit_rate:
            return None
        self._budget -= 1
        return self._fire(self._draw.choice(self._commits))

    def at_statement(self, sql: str) -> AtStatement | None:
        if self._budget <= 0 or self._draw.random() >= self._statement_rate:
            return None
        self._budget -= 1
        return self._fire(self._draw.choice([*AtStatement]))

    def at_request(self, request: HttpRequest) -> AtRequest | None:
        if self._requests <= 0 or self._draw.random() >= self._request_rate:
            return None
        if "/ok/" not in request.url and "/bytes/" not in request.url:
            # A service that fails by itself is what is to be seen there.
            return None
        self._requests -= 1
        return self._fire(self._draw.choice([*AtRequest]))

    def _fire(self, fault: Any) -> Any:
        self.fired[fault.name] += 1
        return fault
