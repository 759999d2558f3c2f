"""What the pages of runs ask: lists, a run, a step, and to cancel or fork it."""

from typing import Any

from workflow_agents.core.bad_options import wrong_option
from workflow_agents.core.model_asks import checked_ask
from workflow_agents.core.options import RunOptions
from workflow_agents.dashboard import decisions
from workflow_agents.dashboard.asking import Ask, Row, text_in
from workflow_agents.dashboard.payloads import described, payload_type, wrong_in
from workflow_agents.dashboard.run_pages import STATES, RunPages
from workflow_agents.protocol.codec import encode
from workflow_agents.server.forks import step_in
from workflow_agents.store.sqlite_pages import RunsWanted


def routes(pages: RunPages) -> tuple[Row, ...]:
    """The table, around what has been read of runs before."""

    async def overview(_ask: Ask) -> Any:
        return pages.overview()

    async def health(_ask: Ask) -> Any:
        return {"workflows": pages.health()}

    async def listed(ask: Ask) -> Any:
        return pages.page(_wanted(ask))

    async def run(ask: Ask) -> Any:
        return pages.run(ask.part("run_id"), ask.number("after") or 0)

    async def step(ask: Ask) -> Any:
        found = pages.step(ask.part("run_id"), ask.part("step"))
        return found | {"decided": _decided(ask, found)}

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
        Row("GET", "/api/payload", _schema),
        Row("POST", "/api/payload", _check),
        Row("GET", "/api/runs/{run_id}", run),
        Row("GET", "/api/runs/{run_id}/conversation", conversation),
        Row("GET", "/api/runs/{run_id}/steps/{step:path}", step),
        Row("POST", "/api/runs/{run_id}/cancel", _cancel),
        Row("POST", "/api/runs/{run_id}/fork", _fork),
    )


def _decided(ask: Ask, step: dict[str, Any]) -> dict[str, Any] | None:
    """Who answered what the step waited for."""
    event = decisions.event_of(step["waitsFor"])
    if event is None:
        return None
    row = ask.engine.admin.find(ask.part("run_id"))
    places = ask.pages.places(row.id, step["step"])
    notified = ask.pages.notified(row.id, event, places[-1]) if places else []
    return decisions.decided(step["out"], notified)


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


async def _schema(ask: Ask) -> Any:
    """What the payload of a workflow is to be."""
    return described(payload_type(ask.engine, ask.asked("workflow") or ""))


async def _check(ask: Ask) -> Any:
    """What is wrong with a payload, before it is sent."""
    given = await ask.body()
    declared = payload_type(ask.engine, text_in(given, "workflow"))
    return {"wrong": wrong_in(declared, given.get("payload"))}


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
    made = await ask.engine.admin.fork(
        ask.part("run_id"),
        RunOptions(),
        step=step_in(given),
        body=encode(given["payload"]) if "payload" in given else None,
        result=encode(given["result"]) if "result" in given else None,
        ask=checked_ask(*(given.get(name) for name in ("model", "system", "prompt"))),
    )
    return {"runId": made.run_id}
