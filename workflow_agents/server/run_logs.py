"""Logs of runs: each with its steps, or everything that happened, one after the other.

Two paths and two modes tell the same. Source: protocol 6.4, 7.
"""

from dataclasses import replace
from typing import Any, cast

from starlette.responses import Response

from workflow_agents.core.bad_options import wrong_option
from workflow_agents.core.lifecycle import RUN_STATES, phases_of
from workflow_agents.server.answers import page
from workflow_agents.server.filters import count_of, cursor_of, last_of, run_filter, values_of
from workflow_agents.server.routing import Call, Endpoint
from workflow_agents.server.run_facts import RunFacts, facts_of
from workflow_agents.server.run_json import STATES, event_json, run_json
from workflow_agents.store.remote_rows import RunFilter

_MOST_RUNS = 10
_MOST_EVENTS = 1_000
_KEPT_RUNS = 20
_BODIES = ("out", "callBody", "callResponseBody", "invokedWorkflowRunBody", "responseBody")


async def events(call: Call) -> Response:
    """As the clients ask for it: bodies are shown."""
    return await _logs(call, "events", -1)


async def logs(call: Call) -> Response:
    """As the API has it: bodies are shown up to `trimBody` bytes."""
    return await _logs(call, "runs", 0)


async def _logs(call: Call, name: str, trim: int) -> Response:
    query = call.query
    asked = last_of(query, "trimBody")
    if asked:
        trim = _trim_of(asked)
    which = _which(call)
    match last_of(query, "groupBy"):
        case "":
            return _events(call, which, name, trim)
        case "workflowRunId":
            return _runs(call, which, trim)
        case other:
            raise wrong_option("groupBy", "workflowRunId", other)


def _trim_of(text: str) -> int:
    """How many bytes of a body are shown; 0: none."""
    if text == "-1":
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise wrong_option("trimBody", "a number of bytes, or -1", text)
    return int(text)


def _which(call: Call) -> RunFilter:
    query = call.query
    which = run_filter(query)
    message_ids = values_of(query, "messageId", "messageIds")
    if message_ids:
        rows = map(call.engine.wire.messages.row_of, message_ids)
        which = replace(which, messages=tuple(rows))
    states = values_of(query, "state")
    if unknown := {*states} - {*RUN_STATES, *STATES.values(), "STEP_CANCELED"}:
        raise wrong_option("state", "a state of a run or a step", min(unknown))
    return which


def _runs(call: Call, which: RunFilter, trim: int) -> Response:
    query = call.query
    count = count_of(query, _MOST_RUNS, _MOST_RUNS)
    states = values_of(query, "state")
    phases = {int(p) for s in states if s in RUN_STATES for p in phases_of(s)}
    kinds = {int(kind) for kind, state in STATES.items() if state in states} - _OF_RUNS
    if states:
        which = replace(which, phases=tuple(phases), happened=tuple(kinds))
    pairs = [text.partition("@") for text in values_of(query, "workflowRuns")]
    if pairs:
        which = RunFilter(run_ids=tuple(run_id for run_id, _, _ in pairs))
    reads = call.engine.store.messages.remote
    found = reads.find(which, before=cursor_of(query), limit=count + 1)
    shown = [_trimmed(run_json(facts_of(call.engine, run)), trim) for run in found[:count]]
    cursor = str(found[count - 1].id) if len(found) > count else None
    return page("runs", shown, cursor)


_OF_RUNS = {int(kind) for kind, state in STATES.items() if state in RUN_STATES}


def _events(call: Call, which: RunFilter, name: str, trim: int) -> Response:
    query = call.query
    count = count_of(query, _MOST_EVENTS, _MOST_EVENTS)
    states = values_of(query, "state")
    kinds = [kind for kind, state in STATES.items() if not states or state in states]
    reads = call.engine.store.messages.remote
    found = reads.events(which, kinds, before=cursor_of(query), limit=count + 1)
    facts: dict[int, RunFacts] = {}
    shown: list[Any] = []
    for entry in found[:count]:
        if entry.run not in facts:
            run = reads.run(entry.run)
            if run is None:
                continue
            if len(facts) >= _KEPT_RUNS:
                facts.clear()
            facts[entry.run] = facts_of(call.engine, run)
        shown.append(_trimmed(event_json(facts[entry.run], entry), trim))
    cursor = str(found[count - 1].seq) if len(found) > count else None
    return page(name, shown, cursor)


def _trimmed(data: Any, trim: int) -> Any:
    """With bodies up to so many bytes; -1: whole, 0: none."""
    if trim < 0:
        return data
    if isinstance(data, list):
        return [_trimmed(one, trim) for one in cast("list[Any]", data)]
    if not isinstance(data, dict):
        return data
    shown: dict[str, Any] = {}
    for name, value in cast("dict[str, Any]", data).items():
        if name not in _BODIES:
            shown[name] = _trimmed(value, trim)
        elif trim:
            shown[name] = _cut(value, trim) if isinstance(value, str) else value
    return shown


def _cut(text: str, most: int) -> str:
    return text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")


endpoints = (
    Endpoint("GET", "/v2/workflows/events", events, "Logs of runs"),
    Endpoint("GET", "/v2/workflows/logs", logs, "Logs of runs, bodies cut"),
)
