"""How workflows do: their last state, how often they fail, how long they take. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from workflow_agents.core.lifecycle import Phase

BARS = 24
HOUR_MS = 3_600_000


class Ran(NamedTuple):
    """A run, as far as health is concerned. Unix milliseconds."""

    workflow: str
    phase: Phase
    created_at: int
    ended_at: int | None


def health(runs: Iterable[Ran], now: int) -> list[dict[str, Any]]:
    """Of each workflow, by name.

    Args:
        runs: the newest first.
        now: Unix milliseconds.
    """
    by_name: dict[str, list[Ran]] = {}
    for run in runs:
        by_name.setdefault(run.workflow, []).append(run)
    return [_of(name, found, now) for name, found in sorted(by_name.items())]


def _of(name: str, runs: Sequence[Ran], now: int) -> dict[str, Any]:
    ended = [run for run in runs if run.ended_at is not None]
    failed = sum(run.phase is Phase.FAILED for run in ended)
    took = sorted(
        run.ended_at - run.created_at
        for run in ended
        if run.phase is Phase.SUCCESS and run.ended_at is not None
    )
    hours = [[0, 0] for _ in range(BARS)]
    for run in runs:
        ago = (now - run.created_at) // HOUR_MS
        if 0 <= ago < BARS:
            hours[BARS - 1 - ago][run.phase is Phase.FAILED] += 1
    last = max(ended, key=lambda run: run.ended_at or 0, default=None)
    return {
        "workflow": name,
        "runs": len(runs),
        "going": len(runs) - len(ended),
        "failed": failed,
        "ended": len(ended),
        "lastHour": sum(0 <= now - (run.ended_at or 0) < HOUR_MS for run in ended),
        "last": None if last is None else last.phase.name.lower(),
        "lastAt": None if last is None else last.ended_at,
        "p50": percentile(took, 50),
        "p95": percentile(took, 95),
        "hours": hours,
    }


def percentile(values: Sequence[int], percent: int) -> int | None:
    """The nearest-rank percentile of sorted values; None: there are none."""
    if not values:
        return None
    rank = -(-len(values) * percent // 100)
    return values[max(0, rank - 1)]
