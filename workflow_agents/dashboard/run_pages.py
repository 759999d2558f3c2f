"""What the pages of runs show, as JSON: a list of them, one with its steps, one step in full."""

from typing import TYPE_CHECKING, Any

from workflow_agents.core.lifecycle import Phase, is_ended
from workflow_agents.dashboard.explain import Flow, Standing, explain
from workflow_agents.dashboard.timeline import Bar, bars
from workflow_agents.protocol.history import StepKey
from workflow_agents.store.sqlite_pages import RunLine, RunsWanted, SqlitePages

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine
    from workflow_agents.store.interface import RunRow

PAGE = 50

STATES: dict[str, tuple[Phase, ...]] = {
    "running": (Phase.DUE, Phase.LEASED, Phase.REMOTE),
    "waiting": (Phase.PARKED, Phase.WAITING),
    "success": (Phase.SUCCESS,),
    "failed": (Phase.FAILED,),
    "canceled": (Phase.CANCELED,),
}
"""What the pages call the phases of a run."""

_WORD = {phase: word for word, phases in STATES.items() for phase in phases}


class RunPages:
    """See the module.

    Args:
        engine: is asked.
    """

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine
        self._pages = SqlitePages(engine.store.all)  # type: ignore[attr-defined]

    def page(self, wanted: RunsWanted, limit: int = PAGE) -> dict[str, Any]:
        """A page of runs, the newest first; `before` asks for the next one."""
        found = self._pages.runs(wanted, limit + 1)
        more = found[limit - 1].id if len(found) > limit else None
        return {"runs": [_line(run) for run in found[:limit]], "before": more}

    def counts(self) -> dict[str, int]:
        """How many runs there are of each state."""
        counts = self._pages.counts()
        return {word: sum(counts.get(p, 0) for p in phases) for word, phases in STATES.items()}

    def workflows(self) -> list[str]:
        """Of which there are runs."""
        return self._pages.workflows()

    def run(self, run_id: str) -> dict[str, Any]:
        """One run: what its page shows above its steps, and the steps without their results.

        Raises:
            NotFound: WA606.
        """
        engine = self._engine
        row = engine.admin.find(run_id)
        now = engine.clock.now_ms()
        found = bars(self._pages.steps(row.id), row.created_at, now)
        log = engine.admin.log(row, steps=False)
        parent = None if row.parent is None else engine.store.run(row.parent)
        children = self._pages.children(row.id)
        return {
            "runId": row.run_id,
            "workflow": row.workflow,
            "state": _WORD[row.phase],
            "createdAt": row.created_at,
            "endedAt": row.ended_at,
            "labels": [*log.labels],
            "attempt": row.attempt,
            "explain": explain(self._standing(row, found, now, log.failure)),
            "payload": log.payload,
            "result": log.result,
            "failure": log.failure,
            "parent": None if parent is None else parent.run_id,
            "children": [[step, child, _WORD[phase]] for step, child, phase in children],
            "steps": [_bar(bar) for bar in found],
            "now": now,
        }

    def step(self, run_id: str, key: StepKey) -> dict[str, Any]:
        """One step in full: what it was asked and what came of it.

        Raises:
            NotFound: WA606.
        """
        log = self._engine.admin.log(self._engine.admin.find(run_id))
        step = next((s for s in log.steps if str(s.step) == str(key)), None)
        if step is None:
            from workflow_agents.errors import NotFound

            raise NotFound("WA606", f"run {run_id} has no step {key}", found=f"step {key!r}")
        request = step.request
        return {
            "step": step.step,
            "name": step.name,
            "type": step.type,
            "state": step.state,
            "out": step.out,
            "waitsFor": step.waits_for,
            "retries": step.retries,
            "request": None
            if request is None
            else {
                "method": request.method,
                "url": request.url,
                "headers": dict(request.headers),
                "body": request.body,
                "bytes": request.body_bytes,
            },
        }

    def _standing(
        self, row: "RunRow", found: list[Bar], now: int, failure: dict[str, Any] | None
    ) -> Standing:
        said = None if failure is None else str(failure.get("message") or failure.get("error"))
        flow = None
        options = self._engine.options_of(row)
        if row.phase is Phase.WAITING and options.flow_control is not None:
            use = self._engine.wire.flow_keys.get(options.flow_control.key)
            limits = use.state.limits
            flow = Flow(
                use.key,
                None if limits is None else limits.parallelism,
                None if limits is None else limits.rate,
                use.in_flight,
                use.waiting,
                use.state.paused,
            )
        going = () if is_ended(row.phase) else tuple(bar for bar in found if bar.ended is None)
        return Standing(row.phase, now, row.due_at, row.attempt, said, flow, going)


def _line(run: RunLine) -> list[Any]:
    import json

    labels = json.loads(run.labels)
    return [
        run.id, run.run_id, run.workflow, _WORD[run.phase], run.created_at, run.ended_at, labels,
    ]  # fmt: skip


def _bar(bar: Bar) -> list[Any]:
    segments = [[s.what, s.since, s.until] for s in bar.segments]
    return [
        bar.step, bar.name, bar.kind, bar.state, bar.depth, bar.began, bar.ended, segments,
        [*bar.attempts],
    ]  # fmt: skip
