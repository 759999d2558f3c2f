"""What the pages of runs show, as JSON: a list of them, one with its steps, two side by side."""

import json
from collections import OrderedDict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from workflow_agents.core.lifecycle import Phase, is_ended
from workflow_agents.dashboard.code_places import place_of
from workflow_agents.dashboard.conversation import Said, conversation, is_model_call, reply_of
from workflow_agents.dashboard.cost_pages import own_prices
from workflow_agents.dashboard.explain import Flow, Standing, explain
from workflow_agents.dashboard.health import Ran, health
from workflow_agents.dashboard.remote_steps import remote_bars, remote_calls, remote_step
from workflow_agents.dashboard.spending import cost_of, plain
from workflow_agents.dashboard.step_pages import remote_step_page, step_page
from workflow_agents.dashboard.timeline import Bar, Steps, asks_model, members
from workflow_agents.errors import NotFound
from workflow_agents.protocol.history import StepKey
from workflow_agents.store.sqlite_pages import SqlitePages
from workflow_agents.store.sqlite_run_lists import LOOKED_AT, RunLine, RunsWanted

if TYPE_CHECKING:
    from workflow_agents.core.step_logs import FeedEntry, StepLog
    from workflow_agents.engine.engine import DurableEngine
    from workflow_agents.store.interface import RunRow

PAGE = 50
HEALTH_OF = 10_000
"""The newest runs, of which the health of workflows is told."""

_KEPT_RUNS = 16

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
        pages: of its store.
    """

    def __init__(self, engine: "DurableEngine", pages: SqlitePages) -> None:
        self._engine = engine
        self._pages = pages
        self._read: OrderedDict[int, Steps] = OrderedDict()

    def page(self, wanted: RunsWanted, limit: int = PAGE) -> dict[str, Any]:
        """A page of runs, the newest first; `before` asks for the next one."""
        found, stopped_at = self._pages.lists.page(wanted, limit + 1)
        more = found[limit - 1].id if len(found) > limit else stopped_at
        return {
            "runs": [_line(run) for run in found[:limit]],
            "before": more,
            "looked": None if stopped_at is None else LOOKED_AT,
        }

    def overview(self, wanted: RunsWanted) -> dict[str, Any]:
        """How many runs there are of each state, and of which workflows there are any.

        A count is a number and whether there are more: see `SqliteRunLists.counts`.
        """
        counts = self._pages.lists.counts(wanted)
        told: dict[str, tuple[int, bool]] = {}
        for word, phases in STATES.items():
            each = [counts[phase] for phase in phases]
            told[word] = sum(c.runs for c in each), any(c.more for c in each)
        return {"counts": told, "workflows": self._pages.lists.workflows()}

    def health(self) -> list[dict[str, Any]]:
        """How the workflows do, by their newest runs."""
        runs = [Ran._make(row) for row in self._pages.lists.recent(HEALTH_OF)]
        return health(runs, self._engine.clock.now_ms())

    def run(self, run_id: str, after: int = 0) -> dict[str, Any]:
        """One run: what its page shows above its steps, and the steps without their results.

        Args:
            run_id: its id.
            after: the place of the last entry that is known; of the steps only those are told
                that have changed since, or go on.

        Raises:
            NotFound: WA606.
        """
        engine = self._engine
        row = engine.admin.find(run_id)
        now = engine.clock.now_ms()
        log = engine.admin.log(row, steps=False)
        groups = self._remote(row)
        steps = Steps(row.created_at) if groups is not None else self._steps(row)
        remote_shown: list[Bar] = []
        if groups is not None:
            shown = remote_shown = remote_bars(groups, row.created_at, row.ended_at, now)
            going = [bar for bar in shown if bar.ended is None]
        else:
            going = steps.going(now)
            if after:
                changed = {e.step for e in self._pages.steps(row.id, after) if e.step is not None}
                shown = steps.news(changed, now)
            else:
                shown = steps.bars(now)
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
            "explain": explain(self._standing(row, going, now, log.failure, begun=bool(shown))),
            "payload": log.payload,
            "result": log.result,
            "failure": log.failure,
            "parent": None if parent is None else parent.run_id,
            "children": [[step, child, _WORD[phase]] for step, child, phase in children],
            "lineage": self._lineage(row),
            "agent": steps.asks_models or any(asks_model(bar) for bar in remote_shown),
            "remote": groups is not None,
            "steps": [_bar(bar) for bar in shown],
            "partial": bool(after) and groups is None,
            "seq": steps.seq,
            "now": now,
        }

    def step(self, run_id: str, key: StepKey) -> dict[str, Any]:
        """One step in full: what it was asked, what came of it, and of each attempt.

        Raises:
            NotFound: WA606.
        """
        row = self._engine.admin.find(run_id)
        groups = self._remote(row)
        if groups is not None:
            found = remote_step(groups, str(key))
            if found is None:
                raise _no_step(run_id, key)
            call = next((one for one in remote_calls(groups) if str(one.step) == str(key)), None)
            return remote_step_page(found) | {"spent": self._spent(row, call)}
        entries = self._entries_of(row, key)
        if not entries:
            raise _no_step(run_id, key)
        step = self._engine.admin.steps(row, entries)[0]
        bar = self._steps(row).bar(step.step, self._engine.clock.now_ms())
        served: Any = self._engine.workflows.get(row.workflow)
        # What the engine serves need not be one of ours.
        function = getattr(getattr(served, "workflow", None), "function", None)
        place = None if function is None else place_of(function, step.name)
        page = step_page(step, entries, bar, None if place is None else place._asdict())
        return page | {"spent": self._spent(row, step)}

    def _spent(self, row: "RunRow", step: "StepLog | None") -> dict[str, Any] | None:
        """What a model call has used and cost; None: it is none, or tells nothing of that."""
        said = None if step is None or not is_model_call(step) else reply_of(step)
        if said is None or said.tokens is None or not said.tokens.any:
            return None
        cost = cost_of(said, step, row.created_at, own_prices(self._engine))
        told = _said(said, cost)
        return {name: told[name] for name in ("model", "tokens", "cost")}

    def conversation(self, run_id: str) -> dict[str, Any]:
        """What was said in a run of agents, with what it cost.

        Raises:
            NotFound: WA606.
        """
        row = self._engine.admin.find(run_id)
        groups = self._remote(row)
        log = self._engine.admin.log(row, steps=groups is None)
        steps = log.steps if groups is None else remote_calls(groups)
        calls = [step for step in steps if is_model_call(step)]
        items: list[dict[str, Any]] = []
        prompt = completion = 0
        total: Decimal | None = None
        own = own_prices(self._engine)
        for said in conversation(calls):
            cost = None
            if said.tokens is not None:
                prompt += said.tokens.prompt
                completion += said.tokens.completion
                step = next((call for call in calls if call.step == said.step), None)
                cost = cost_of(said, step, log.created_at, own)
                total = total if cost is None else (total or Decimal(0)) + cost
            items.append(_said(said, cost))
        going = [[str(step.step), step.name] for step in calls if step.ended_at is None]
        money = None if total is None else plain(total)
        return {
            "items": items,
            "going": going,
            "prompt": prompt,
            "completion": completion,
            "cost": money,
        }

    def compare(self, a: str, b: str) -> dict[str, Any]:
        """Two runs, step by step.

        Raises:
            NotFound: WA606.
        """
        first, second = self._engine.admin.find(a), self._engine.admin.find(b)
        now = self._engine.clock.now_ms()
        sides = [{str(bar.step): bar for bar in self._steps(r).bars(now)} for r in (first, second)]
        marks = [
            {str(step): mark for step, mark in self._pages.outcomes(row.id).items()}
            for row in (first, second)
        ]
        rows: list[Any] = []
        for key in dict.fromkeys([*sides[0], *sides[1]]):
            left, right = sides[0].get(key), sides[1].get(key)
            mark = [side.get(key) for side in marks]
            rows.append(
                [key, _side(left), _side(right), mark[0] is not None and mark[0] == mark[1]]
            )
        runs = [
            {
                "runId": row.run_id,
                "workflow": row.workflow,
                "state": _WORD[row.phase],
                "createdAt": row.created_at,
                "endedAt": row.ended_at,
                "payload": self._engine.admin.log(row, steps=False).payload,
            }
            for row in (first, second)
        ]
        return {"runs": runs, "rows": rows, "now": now}

    def _steps(self, row: "RunRow") -> Steps:
        """Its steps; what was read of its feed is not read again."""
        known = self._read.pop(row.id, None) or Steps(row.created_at)
        known.add(self._pages.steps(row.id, known.seq))
        self._read[row.id] = known
        while len(self._read) > _KEPT_RUNS:
            self._read.popitem(last=False)
        return known

    def _entries_of(self, row: "RunRow", key: StepKey) -> "list[FeedEntry]":
        step = int(key) if isinstance(key, str) and key.isdecimal() else key
        admin = self._engine.admin
        return [admin.entry(row, seq) for seq in self._pages.places(row.id, step)]

    def _remote(self, row: "RunRow") -> list[dict[str, Any]] | None:
        """The steps of a run that is known by its messages only; None: it is none."""
        if not row.is_remote or self._engine.options_of(row).checkpoints:
            return None
        from workflow_agents.server.run_facts import facts_of
        from workflow_agents.server.run_steps import step_groups

        remote = self._engine.store.messages.remote.run(row.id)
        return None if remote is None else step_groups(facts_of(self._engine, remote))

    def _lineage(self, row: "RunRow") -> dict[str, Any]:
        """Which run it was made of: forked from a step, resumed, or begun again."""
        return members(self._pages.lineage(row.id))

    def _standing(
        self,
        row: "RunRow",
        going: list[Bar],
        now: int,
        failure: dict[str, Any] | None,
        *,
        begun: bool,
    ) -> Standing:
        said = None if failure is None else str(failure.get("message") or failure.get("error"))
        flow = None
        options = self._engine.options_of(row)
        if row.phase is Phase.WAITING and options.flow_control is not None:
            use = self._engine.wire.flow_keys.use(options.flow_control.key)
            limits = use.state.limits
            flow = Flow(
                use.key,
                None if limits is None else limits.parallelism,
                None if limits is None else limits.rate,
                use.in_flight,
                use.waiting,
                use.state.paused,
            )
        if going and going[0].told is None and going[0].kind != "run":
            # What is long is not read with the rest of the feed.
            told = [e.data for e in self._entries_of(row, going[0].step) if e.data]
            going = [going[0]._replace(told=told[-1] if told else None), *going[1:]]
        bars = () if is_ended(row.phase) else tuple(going)
        served = row.is_remote or row.workflow in self._engine.workflows
        return Standing(row.phase, now, row.due_at, row.attempt, said, flow, bars, served, begun)


def _no_step(run_id: str, key: StepKey) -> NotFound:
    return NotFound("WA606", f"run {run_id} has no step {key}", found=f"step {key!r}")


def _line(run: RunLine) -> list[Any]:
    return [
        run.id, run.run_id, run.workflow, _WORD[run.phase], run.created_at, run.ended_at,
        json.loads(run.labels),
    ]  # fmt: skip


def _bar(bar: Bar) -> tuple[Any, ...]:
    """All but what is told of it; tuples are lists of JSON."""
    return bar[:9]


def _side(bar: Bar | None) -> list[Any] | None:
    return None if bar is None else [bar.name, bar.kind, bar.state, bar.began, bar.ended]


def _said(said: Said, cost: Decimal | None) -> dict[str, Any]:
    tokens = said.tokens
    return {
        "role": said.role,
        "agent": said.agent,
        "text": said.text,
        "calls": [[*call] for call in said.calls],
        "answers": said.answers,
        "pictures": said.pictures,
        "step": said.step,
        "model": said.model,
        "tokens": None if tokens is None else [tokens.prompt, tokens.completion, tokens.cached],
        "cost": None if cost is None else plain(cost),
    }
