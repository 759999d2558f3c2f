"""Canonical remote runs: each kind of step alone and in groups; each way in which runs end."""

from tests.simulation.programs import Call, Hook, Invoke, Notify, Run, Sleep, Wait, direct, seq
from tests.simulation.scenario import Scenario, Started
from workflow_agents import FlowControl

BIG = 6_000
RUNS = FlowControl("runs", parallelism=1)
FAILING = Run("bad", fails=-1)


def alone(*steps: object, **options: object) -> Scenario:
    return Scenario([Started("r", seq(*steps), **options)])  # type: ignore[arg-type]


CANONICAL: dict[str, Scenario] = {
    "two steps": alone(Run("a"), Run("b")),
    "retried": alone(Run("a", fails=2)),
    "sleep": alone(Sleep("s", 1_000), Run("b")),
    "call": alone(Call("c", ms=5), Run("b")),
    "call, down": alone(Call("c", answer="down", retries=1)),
    "wait, notified": alone(Wait("w", "e", at_ms=30), Run("b")),
    "wait, notified before": alone(Run("a", ms=30), Wait("w", "e", at_ms=5)),
    "wait, timed out": alone(Wait("w", "e", source="nobody", timeout_ms=30)),
    "wait, at the last instant": alone(Wait("w", "e", at_ms=30, timeout_ms=30, contested=True)),
    "notify itself, then wait": alone(Notify("n", "e"), Wait("w", "e", source="inside")),
    "webhook, twice": alone(Hook("h", 2)),
    "invoke": alone(Invoke("i", seq(Run("child"))), Run("b")),
    "invoke, fails": alone(Invoke("i", seq(FAILING))),
    "group of three": alone(direct(Run("a"), Run("b", ms=3), Run("c", ms=5)), Run("z")),
    "group at the same instant": alone(direct(Run("a", ms=5), Run("b", ms=5)), Run("z")),
    "group of waits": alone(
        direct(Sleep("s", 1_000), Wait("w", "e", at_ms=20), Call("c", ms=10)), Run("z")
    ),
    "group of invocations": alone(direct(Invoke("i", seq(Run("x"))), Invoke("j", seq(Run("y"))))),
    "fails": alone(Run("a"), FAILING),
    "fails in a group": alone(direct(FAILING, Run("a", ms=50)), Run("z")),
    "fails, not to be retried": alone(Run("a", fails=-1, how="final")),
    "big": alone(Run("a", size=BIG), Run("b", size=BIG), size=BIG),
    "cancelled at work": alone(Run("a", ms=20), Run("b", ms=20), cancel_at_ms=25),
    "cancelled as it waits": alone(Wait("w", "e", source="nobody"), cancel_at_ms=25),
    "started later": alone(Run("a"), delay_ms=40),
    "started twice": alone(Run("a", ms=5), twice=True),
    "one visit at a time": Scenario(
        [Started(f"r{i}", seq(Run("a", ms=10), Run("b")), flow=RUNS) for i in range(2)]
    ),
}
