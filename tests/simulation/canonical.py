"""Canonical programs: each step kind alone, in pairs, in branches; each way in which runs end."""

from tests.simulation.programs import (
    Call,
    Cancel,
    Hook,
    Invoke,
    Node,
    Notify,
    Raise,
    Run,
    Sleep,
    Try,
    Wait,
    beside,
    direct,
    gather,
    group,
    race,
    seq,
)
from tests.simulation.scenario import Scenario, Started
from workflow_agents import FlowControl

BIG = 6_000
"""Characters that make a result a payload of its own."""

ONE = FlowControl("one", parallelism=1)
SLOW = FlowControl("slow", rate=1, period="1s")
RUNS = FlowControl("runs", parallelism=1)

FAILING = Run("bad", fails=-1, retries=1)


def alone(program: Node, *, keep_ms: int = 0, **options: object) -> Scenario:
    return Scenario([Started("r", program, **options)], keep_ms=keep_ms)  # type: ignore[arg-type]


def branch(i: int) -> Node:
    return seq(Run(f"{i}a", ms=3 * i + 1), Run(f"{i}b", ms=2))


CANONICAL: dict[str, Scenario] = {
    # Each kind alone.
    "run": alone(Run("a")),
    "run, sync": alone(Run("a", sync=True)),
    "run, retried": alone(Run("a", fails=2)),
    "run, retried later": alone(Run("a", fails=1, how="later")),
    "run, big": alone(Run("a", size=BIG)),
    "sleep": alone(Sleep("s", 40)),
    "sleep, kept": alone(Sleep("s", 40), keep_ms=1_000),
    "sleep until": alone(Sleep("s", 40, until=True)),
    "call": alone(Call("c", ms=5)),
    "call, kept": alone(Call("c", ms=5), keep_ms=1_000),
    "call, big": alone(Call("c", size=BIG)),
    "call, bytes": alone(Call("c", answer="bytes")),
    "call, down": alone(Call("c", answer="down", retries=1)),
    "wait, notified": alone(Wait("w", "e", at_ms=30)),
    "wait, notified, kept": alone(Wait("w", "e", at_ms=30), keep_ms=1_000),
    "wait, notified before": alone(seq(Sleep("s", 50), Wait("w", "e", at_ms=5))),
    "wait, timed out": alone(Wait("w", "e", source="nobody", timeout_ms=30)),
    "wait, everyone notified": alone(Wait("w", "e", source="everyone", at_ms=30)),
    "wait, at the last instant": alone(Wait("w", "e", at_ms=30, timeout_ms=30, contested=True)),
    "notify itself, then wait": alone(seq(Notify("n", "e"), Wait("w", "e", source="inside"))),
    "invoke": alone(Invoke("i", Run("child"))),
    "invoke, kept": alone(Invoke("i", Run("child")), keep_ms=1_000),
    "invoke, own id": alone(Invoke("i", Run("child"), own_id=True)),
    "invoke, fails": alone(Invoke("i", FAILING)),
    "invoke, cancelled": alone(Invoke("i", seq(Run("child"), Cancel()))),
    "invoke, in invoke": alone(Invoke("i", seq(Invoke("ii", Run("child")), Run("b")))),
    "webhook": alone(Hook("h", 1)),
    "webhook, twice": alone(Hook("h", 2)),
    "webhook, twice, kept": alone(Hook("h", 2), keep_ms=1_000),
    # In pairs.
    "two runs": alone(seq(Run("a"), Run("b"))),
    "three runs": alone(seq(Run("a"), Run("b"), Run("c"))),
    "run, sleep, run": alone(seq(Run("a"), Sleep("s", 20), Run("b"))),
    "run, sleep, run, kept": alone(seq(Run("a"), Sleep("s", 20), Run("b")), keep_ms=1_000),
    "call and run": alone(seq(Call("c"), Run("a"))),
    "big requests that share a result's text": alone(
        seq(Run("a", size=BIG), Call("b", size=BIG), Call("c", size=BIG, retries=1))
    ),
    "the same big result twice": alone(seq(Run("a", size=BIG), Run("b", size=BIG))),
    # How runs end.
    "fails": alone(seq(Run("a"), FAILING)),
    "fails, not to be retried": alone(Run("a", fails=1, how="final")),
    "fails and is caught": alone(seq(Try(FAILING), Run("b"))),
    "call refused": alone(Call("c", answer="refused", retries=1)),
    "call refused and caught": alone(seq(Try(Call("c", answer="refused", retries=0)), Run("b"))),
    "the function raises twice": alone(seq(Run("a"), Raise("x", 2), Run("b"))),
    "the function raises for good": alone(seq(Run("a"), Raise("x", -1))),
    "resumed": alone(seq(Run("a"), Run("b", retries=0, heals=True), Run("c")), resume=True),
    "cancels itself": alone(seq(Run("a"), Cancel())),
    "cancelled at work": alone(seq(Run("a", ms=20), Run("b", ms=20)), cancel_at_ms=25),
    "cancelled asleep": alone(seq(Run("a"), Sleep("s", 900)), cancel_at_ms=25),
    "cancelled as it calls": alone(Call("c", ms=50), cancel_at_ms=25),
    "started later": alone(Run("a"), delay_ms=40),
    # Branches.
    "join of two": alone(gather(branch(0), branch(1))),
    "join of three": alone(gather(branch(0), branch(1), branch(2))),
    "join of four": alone(gather(*(branch(i) for i in range(4)))),
    "direct join of three": alone(direct(Run("a"), Sleep("s", 20), Run("b", ms=4))),
    "group of three": alone(group(branch(0), branch(1), branch(2))),
    "join at the same instant": alone(gather(Run("a", ms=5), Run("b", ms=5), Run("c", ms=5))),
    "join of waits": alone(
        gather(Sleep("s", 30), Wait("w", "e", at_ms=20), Call("c", ms=10), Invoke("i", Run("x")))
    ),
    "join of waits, kept": alone(
        gather(Sleep("s", 30), Wait("w", "e", at_ms=20), Call("c", ms=10), Invoke("i", Run("x"))),
        keep_ms=1_000,
    ),
    "nested": alone(gather(branch(0), seq(Run("b"), group(branch(1), Sleep("s", 9)), Run("c")))),
    "a step beside a branch": alone(beside(Run("a", ms=9), Sleep("s", 20))),
    "steps beside a branch that waits for them": alone(
        beside(seq(Run("a"), Sleep("s", 20), Notify("n", "e")), Wait("w", "e", source="inside"))
    ),
    "a wait beside a branch that ends it": alone(
        beside(Wait("w", "e", source="inside"), seq(Run("a"), Notify("n", "e")))
    ),
    "steps of each kind beside branches": alone(
        beside(
            seq(Run("a", fails=1), Call("c", ms=5), Invoke("i", Run("x")), Hook("h")),
            seq(Sleep("s", 30), Run("b")),
            Wait("w", "e", at_ms=20),
            how="group",
        )
    ),
    "beside, nested": alone(
        beside(beside(Sleep("s", 9), branch(0)), beside(Run("a", ms=9), Sleep("t", 5)))
    ),
    "what is beside a branch fails": alone(seq(Try(beside(FAILING, Sleep("s", 300))), Run("z"))),
    "a branch is told by another": alone(
        gather(seq(Run("a", ms=9), Notify("n", "e")), Wait("w", "e", source="inside"))
    ),
    "a branch fails": alone(seq(Try(gather(FAILING, branch(1))), Run("z"))),
    "a branch of a group fails": alone(seq(Try(group(FAILING, branch(1))), Run("z"))),
    "two branches fail": alone(gather(FAILING, Run("worse", fails=-1, retries=1))),
    "a branch is retried": alone(gather(Run("a", fails=1), branch(1))),
    "race, a run wins": alone(seq(race(Run("a", ms=2), Sleep("s", 500)), Run("z"))),
    "race, a sleep wins": alone(seq(race(Run("a", ms=200), Sleep("s", 5)), Run("z"))),
    "race, losers wait": alone(
        seq(
            race(
                Run("a", ms=30),
                Wait("w", "e", source="nobody"),
                Call("c", ms=400),
                Invoke("i", Sleep("x", 60)),
                Try(Run("r", fails=-1, retries=9)),
            ),
            Sleep("s", 10),
        )
    ),
    "race for an event, then wait for it": alone(
        seq(
            race(Sleep("s", 5), Wait("v", "e", source="inside", contested=True)),
            Wait("w", "e", source="everyone", at_ms=40),
        )
    ),
    # Flow control.
    "one body at a time": alone(gather(*(Run(f"{i}", ms=10, flow=ONE) for i in range(3)))),
    "one body a second": alone(gather(*(Run(f"{i}", flow=SLOW) for i in range(3)))),
    "one body at a time, retried": alone(
        gather(*(Run(f"{i}", ms=10, fails=1, flow=ONE) for i in range(2)))
    ),
    "one call at a time": alone(gather(*(Call(f"{i}", ms=10, flow=ONE) for i in range(3)))),
    "one run at a time": Scenario(
        [Started(f"r{i}", seq(Run("a", ms=10), Sleep("s", 5)), flow=RUNS) for i in range(2)]
    ),
    # Runs that meet.
    "told by another run": Scenario(
        [
            Started("r", Wait("w", "e", source="inside")),
            Started("s", seq(Run("a", ms=9), Notify("n", "e", "r")), after="r"),
        ]
    ),
    "a big payload": alone(seq(Run("a"), Sleep("s", 20), Run("b")), size=BIG),
    "started twice": alone(Run("a", ms=5), twice=True),
}
