"""What the pages of runs ask: lists, a run, a step, and to cancel or fork it."""

from dataclasses import asdict
from typing import Any, cast

from workflow_agents.core.bad_options import wrong_option
from workflow_agents.core.lifecycle import wire_state
from workflow_agents.core.model_asks import checked_ask
from workflow_agents.core.options import RunOptions
from workflow_agents.core.searching import SearchMatch
from workflow_agents.dashboard import decisions
from workflow_agents.dashboard.asking import Ask, Refused, Row, text_in
from workflow_agents.dashboard.payloads import described, payload_type, wrong_in
from workflow_agents.dashboard.run_pages import PAGE, STATES, RunPages
from workflow_agents.errors import WorkflowAgentsError
from workflow_agents.protocol.codec import encode
from workflow_agents.server.forks import step_in
from workflow_agents.store.sqlite_run_lists import RunsWanted

MOST_AT_ONCE = 1_000


def routes(pages: RunPages) -> tuple[Row, ...]:
    """The table, around what has been read of runs before."""

    async def overview(ask: Ask) -> Any:
        return pages.overview(RunsWanted(workflow=ask.asked("workflow"), label=ask.asked("label")))

    async def health(_ask: Ask) -> Any:
        return {"workflows": pages.health()}

    async def listed(ask: Ask) -> Any:
        return pages.page(_wanted(ask))

    async def searched(ask: Ask) -> Any:
        text = ask.asked("search") or ""
        found = await ask.engine.admin.searches.search(text, _wanted(ask), PAGE)
        return asdict(found) | {"matches": [_match(match) for match in found.matches]}

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
        Row("POST", "/api/runs-together", _together),
        Row("POST", "/api/sample", _start_sample),
        Row("GET", "/api/search", searched),
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


async def _start_sample(ask: Ask) -> Any:
    """Start a run of the workflow that comes with the server."""
    if ask.sample is None:
        raise Refused(404, "no sample comes with this dashboard")
    body = encode({"name": ask.user or "world"})
    made = await ask.engine.intake.trigger(ask.sample(), body, RunOptions())
    return {"runId": made.run_id}


def _match(match: SearchMatch) -> list[Any]:
    state = next(word for word, phases in STATES.items() if wire_state(phases[0]) == match.state)
    return [
        match.workflow_run_id, match.workflow, state, match.created_at, match.where,
        match.step_name, match.text,
    ]  # fmt: skip


async def _together(ask: Ask) -> Any:
    """Cancel several, or run them again from the start; what was done, and what was not."""
    given = await ask.body()
    action, named = text_in(given, "action"), given.get("ids")
    if action not in {"cancel", "again"}:
        raise wrong_option("action", "cancel or again", action)
    if not isinstance(named, list) or not 0 < len(cast("list[Any]", named)) <= MOST_AT_ONCE:
        raise wrong_option("ids", f"a list of 1 to {MOST_AT_ONCE} ids", "something else")
    done: list[str] = []
    failed: list[list[str]] = []
    for run_id in map(str, cast("list[Any]", named)):
        try:
            if action == "again":
                options = RunOptions()
                made = await ask.engine.admin.fork(
                    run_id, options, step=None, body=None, result=None
                )
                done.append(made.run_id)
            elif await ask.engine.admin.cancel(run_id):
                done.append(run_id)
            else:
                failed.append([run_id, "it has ended"])
        except WorkflowAgentsError as error:
            failed.append([run_id, str(error.what)])
    return {"done": done, "failed": failed}


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
