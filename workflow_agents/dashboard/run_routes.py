"""What the pages of runs ask: lists, a run, a step, and to cancel or fork it."""

from typing import Any

from workflow_agents.core.bad_options import wrong_option
from workflow_agents.core.options import RunOptions
from workflow_agents.dashboard.asking import Ask, Row, text_in
from workflow_agents.dashboard.run_pages import STATES, RunPages
from workflow_agents.protocol.codec import encode
from workflow_agents.store.sqlite_run_lists import RunsWanted


def routes(pages: RunPages) -> tuple[Row, ...]:
    """The table, around what has been read of runs before."""

    async def overview(ask: Ask) -> Any:
        return pages.overview(RunsWanted(workflow=ask.asked("workflow"), label=ask.asked("label")))

    async def health(_ask: Ask) -> Any:
        return {"workflows": pages.health()}

    async def listed(ask: Ask) -> Any:
        return pages.page(_wanted(ask))

    async def run(ask: Ask) -> Any:
        return pages.run(ask.part("run_id"), ask.number("after") or 0)

    async def step(ask: Ask) -> Any:
        return pages.step(ask.part("run_id"), ask.part("step"))

    async def conversation(ask: Ask) -> Any:
        return pages.conversation(ask.part("run_id"))

    async def compare(ask: Ask) -> Any:
        return pages.compare(ask.asked("a") or "", ask.asked("b") or "")

    return (
        Row("GET", "/api/overview", overview),
        Row("GET", "/api/workflows", health),
        Row("GET", "/api/runs", listed),
        Row("POST", "/api/runs", _start),
        Row("GET", "/api/compare", compare),
        Row("GET", "/api/runs/{run_id}", run),
        Row("GET", "/api/runs/{run_id}/conversation", conversation),
        Row("GET", "/api/runs/{run_id}/steps/{step:path}", step),
        Row("POST", "/api/runs/{run_id}/cancel", _cancel),
        Row("POST", "/api/runs/{run_id}/fork", _fork),
    )


def _wanted(ask: Ask) -> RunsWanted:
    states = [state for state in ask.request.query_params.getlist("state") if state]
    if unknown := {*states} - {*STATES}:
        raise wrong_option("state", f"one of {', '.join(STATES)}", min(unknown))
    return RunsWanted(
        tuple(phase for state in states for phase in STATES[state]),
        ask.asked("workflow"),
        ask.asked("label"),
        ask.asked("find"),
        ask.number("before"),
    )


async def _start(ask: Ask) -> Any:
    """Start a run of a workflow that is served here."""
    given = await ask.body()
    path = ask.engine.served(text_in(given, "workflow")).path
    made = await ask.engine.intake.trigger(path, encode(given.get("payload")), RunOptions())
    return {"runId": made.run_id}


async def _cancel(ask: Ask) -> Any:
    return {"done": await ask.engine.admin.cancel(ask.part("run_id"))}


async def _fork(ask: Ask) -> Any:
    """Run it again: from the start, or from a step on; with another input, or as it was."""
    given = await ask.body()
    step = given.get("step")
    if isinstance(step, bool) or not isinstance(step, int | str | None):
        raise wrong_option("step", "the key of a step", step)
    made = await ask.engine.admin.fork(
        ask.part("run_id"),
        RunOptions(),
        step=step,
        body=encode(given["payload"]) if "payload" in given else None,
        result=encode(given["result"]) if "result" in given else None,
    )
    return {"runId": made.run_id}
