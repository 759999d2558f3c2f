"""The client's port to a QStash server: each verb one REST request, its answer as values.

Source: protocol 3.2, 4.5, 5.4, 6.4 and 7.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlencode

from workflow_agents import config
from workflow_agents.clock import Clock
from workflow_agents.core.backend import Trigger
from workflow_agents.core.checks import checked_run_id
from workflow_agents.core.logs import RunLog
from workflow_agents.core.model_asks import ModelAsk
from workflow_agents.core.options import RunOptions
from workflow_agents.core.selection import Selection
from workflow_agents.core.workflow_events import WorkflowEvent
from workflow_agents.errors import ConfigurationError, NotFound, RemoteError, StateError
from workflow_agents.protocol.history import StepKey
from workflow_agents.qstash import requests
from workflow_agents.qstash.connection import Connection, ServerRequest, new_id, plain_headers
from workflow_agents.qstash.not_offered import NotOffered, not_offered
from workflow_agents.qstash.operations import OperationsOverHttp
from workflow_agents.qstash.requests import RunAddress
from workflow_agents.qstash.run_logs import dead_letter_failure, objects, run_log, waiters
from workflow_agents.qstash.selected import selected

if TYPE_CHECKING:
    from workflow_agents.core.searching import SearchResult

_PAGE = 10
"""Source: protocol 6.4: grouped runs come ten at a time."""

_AT_ONCE = 100
"""Of what a bulk verb means. Source: protocol 6.4."""

_FIRST_LOOK_S, _LATER_LOOKS_S = 0.1, 5.0
"""How soon the end of a run is looked for again: at first, and after many looks."""

_UNKNOWN = frozenset({404, 405})
"""What a server answers to a verb that it does not know."""

_NEW_RUN_S = 10
"""How long a run may take to be listed, once it was triggered."""


@dataclass(frozen=True, slots=True)
class Started:
    """See `client.TriggeredRun`."""

    run_id: str
    deduplicated: bool = False


@dataclass(slots=True)
class Letter:
    """See `client.Letter`."""

    id: str
    at: int
    callback: str | None
    caller_ip: str | None = None


class OverHttp(NotOffered):
    """See `client.Backend`.

    Args:
        connection: to the server.
        clock: tells the time.
    """

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock

    def now_ms(self) -> int:
        """Our own time: a server's is not told."""
        return self._clock.now_ms()

    def destination(self, workflow: Any) -> str:
        """The address of a workflow, which the server will visit.

        Raises:
            ConfigurationError: WA107, a path without UPSTASH_WORKFLOW_URL.
        """
        place = getattr(workflow, "path", workflow)
        if not isinstance(place, str) or not place:
            raise ConfigurationError(
                "WA107", found=f"expected a workflow, its path or its URL, found {workflow!r}"[:200]
            )
        if "://" in place:
            return place
        base = config.public_url()
        if base is None:
            raise ConfigurationError(
                "WA107",
                "a QStash server needs the workflow's whole address",
                found=f"expected an address, found the path {place!r}",
                why="it visits the workflow there, and does not know this process",
                fix=("pass url='https://my-app.com/api/workflow'", "set UPSTASH_WORKFLOW_URL"),
            )
        return f"{base.rstrip('/')}/{place.lstrip('/')}"

    @property
    def operations(self) -> OperationsOverHttp:
        """What has nothing to do with runs."""
        return OperationsOverHttp(self._connection)

    async def trigger(self, asked: Trigger) -> Started:
        """Start a run; its failures are told to the workflow itself, if to nobody else."""
        run_id, request = _trigger(asked)
        answer: Any = await self._connection.send(request)
        return _started(run_id, next(iter(objects(answer)), _object(answer)))

    async def trigger_many(self, asked: Sequence[Trigger]) -> list[Started]:
        """Start several, a hundred with one request."""
        made = [_trigger(one) for one in asked]
        told: list[dict[str, Any]] = []
        for request, count in requests.joined([request for _, request in made]):
            answer: Any = await self._connection.send(request)
            entries = objects(answer) or [_object(answer)]
            told += [*entries, *({} for _ in range(count))][:count]
        return [_started(run_id, one) for (run_id, _), one in zip(made, told, strict=True)]

    async def cancel(self, run_id: str) -> bool:
        """End a run."""
        query = urlencode({"workflowRunIds": run_id})
        answer = await self._connection.send(_delete(f"/v2/workflows/runs?{query}"))
        return bool(_object(answer).get("cancelled"))

    async def cancel_many(self, which: Selection) -> int:
        """End all that fit, a hundred at a time."""
        if which.ids:
            return sum([await self._cancel(selected(part)) for part in _parts(which)])
        query = selected(which)
        cancelled = more = await self._cancel(query)
        while more and query:  # without any filter the server does not stop before the end
            more = await self._cancel(query)
            cancelled += more
        return cancelled

    async def _cancel(self, query: list[tuple[str, str]]) -> int:
        asked = urlencode([*query, ("count", str(_AT_ONCE))])
        answer = await self._connection.send(_delete(f"/v2/workflows/runs?{asked}"))
        return int(_object(answer).get("cancelled") or 0)

    async def fork(
        self,
        run_id: str,
        options: RunOptions,
        *,
        step: StepKey | None,
        body: bytes | None,
        result: bytes | None,
        ask: ModelAsk | None,
    ) -> Started:
        """A run that begins like another one: our own server makes it.

        Raises:
            StateError: WA608, the server is QStash, which has no such verb.
        """
        try:
            answer = await self._connection.send(
                requests.fork(run_id, options, step, body, result, ask)
            )
        except RemoteError as error:
            if error.status not in _UNKNOWN or '"code"' in (error.body or ""):
                raise
            fix = "restart it: await client.dlq.restart(dlq_id)"
            raise not_offered("forks", run_id, fix) from error
        return Started(str(_object(answer)["workflowRunId"]))

    async def notify(self, event_id: str, data: bytes, run_id: str | None) -> dict[str, Any]:
        """Notify an event."""
        answer = await self._connection.send(requests.notify(event_id, data, run_id))
        notified = waiters(answer)
        return {"notified": notified, "kept": run_id is not None and not notified}

    async def waiters(self, event_id: str) -> list[dict[str, Any]]:
        """Who waits for it."""
        return waiters(await self._get(f"/v2/waiters/{quote(event_id, safe='')}"))

    async def log(self, run_id: str, *, steps: bool) -> RunLog:
        """One run."""
        found = await self._find(run_id)
        if found is None:
            raise NotFound("WA606", where=f"run {run_id!r}", found="the server lists no such run")
        if not steps:
            found.steps.clear()
        return found

    async def logs(
        self, which: Selection, *, before: str | None, cursor: str | None, limit: int
    ) -> tuple[list[RunLog], str | None]:
        """Many runs, the newest first."""
        query = selected(which)
        last: RunLog | None = None
        if before is not None:
            last = await self.log(before, steps=False)
            query = [pair for pair in query if pair[0] != "toDate"]
            query.append(("toDate", str(last.created_at)))
        found: list[RunLog] = []
        while len(found) < limit:
            page, cursor = await self._page(query, min(_PAGE, limit - len(found)), cursor)
            for log in page:
                if last is None:
                    found.append(log)
                elif log.workflow_run_id == last.workflow_run_id:
                    last = None
                elif log.created_at < last.created_at:
                    last = None
                    found.append(log)
            if not cursor:
                break
        for log in found:
            log.steps.clear()
        return found, cursor

    async def search(
        self, text: str, which: Selection, *, cursor: str | None, limit: int
    ) -> "SearchResult":
        """Runs in which a text stands: of this project's server, no other has it."""
        from workflow_agents.qstash.run_logs import search_result

        query = [*selected(which), ("search", text), ("count", str(limit))]
        if cursor is not None:
            query.append(("cursor", cursor))
        return search_result(_object(await self._get(f"/v2/workflows/search?{urlencode(query)}")))

    async def end_of(self, run_id: str) -> RunLog:
        """A run that has ended: looked for again and again, at growing intervals."""
        began = self._clock.now_ms()
        pause = _FIRST_LOOK_S
        while True:
            log = await self._find(run_id)
            if log is not None and log.state != "RUN_STARTED":
                log.steps.clear()
                return log
            if log is None and self._clock.now_ms() - began > _NEW_RUN_S * 1000:
                return await self.log(run_id, steps=False)
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LATER_LOOKS_S)

    async def letters(
        self, which: Selection, *, before: str | None, cursor: str | None, limit: int
    ) -> tuple[Sequence[tuple[Letter, RunLog]], str | None]:
        """Dead letters."""
        found: list[tuple[Letter, RunLog]] = []
        query = selected(which)
        seen = before is None
        while len(found) < limit:
            asked = [*query, ("count", str(min(_AT_ONCE, limit - len(found))))]
            if cursor:
                asked.append(("cursor", cursor))
            page = _object(await self._get(f"/v2/workflows/dlq?{urlencode(asked)}"))
            for message in objects(page.get("messages")):
                letter = _letter(message)
                if seen:
                    found.append(letter)
                seen = seen or letter[0].id == before
            cursor = page.get("cursor") or None
            if cursor is None:
                break
        return found, cursor

    async def letter(self, dlq_id: str) -> tuple[Letter, RunLog]:
        """One of them, with the steps of its run, where the server still has them."""
        message = _object(await self._of_letter("GET", "", dlq_id))
        letter, log = _letter(message)
        found = await self._find(log.workflow_run_id)
        if found is not None:
            log.steps = found.steps
        return letter, log

    async def again(self, dlq_id: str, options: RunOptions, *, resume: bool) -> Started:
        """A new run of it."""
        verb = "resume/" if resume else "restart/"
        headers = requests.override_headers(options)
        answer = _object(await self._of_letter("POST", verb, dlq_id, headers))
        told = next(iter(objects(answer.get("workflowRuns"))), answer)
        return Started(str(told.get("workflowRunId") or ""))

    async def again_many(
        self, which: Selection, options: RunOptions, *, resume: bool
    ) -> list[Started]:
        """A new run of each that fits."""
        headers = requests.override_headers(options)
        path = f"/v2/workflows/dlq/{'resume' if resume else 'restart'}"
        return [
            Started(str(told.get("workflowRunId") or ""))
            async for answer in self._in_parts("POST", path, which, headers)
            for told in objects(answer.get("workflowRuns"))
        ]

    async def events(
        self, run_id: str | None, label: str | None, after: int | None
    ) -> AsyncIterator[WorkflowEvent]:
        """See `qstash.events`; only our own server has a stream."""
        from workflow_agents.qstash.events import follow

        async for event in follow(self._connection, run_id, label, after):
            yield event

    async def _in_parts(
        self, method: str, path: str, which: Selection, headers: Mapping[str, str]
    ) -> AsyncIterator[dict[str, Any]]:
        """Ask about dead letters, a hundred at a time, until there is none left."""
        for part in _parts(which):
            cursor: str | None = None
            while True:
                query = [*selected(part, "dlqIds"), ("count", str(_AT_ONCE))]
                if cursor:
                    query.append(("cursor", cursor))
                request = ServerRequest(method, f"{path}?{urlencode(query)}", dict(headers))
                answer = _object(await self._connection.send(request))
                yield answer
                cursor = answer.get("cursor") or None
                if cursor is None:
                    break

    async def delete_letter(self, dlq_id: str) -> None:
        """Remove it."""
        await self._of_letter("DELETE", "", dlq_id)

    async def delete_letters(self, which: Selection) -> int:
        """Remove all that fit."""
        answers = self._in_parts("DELETE", "/v2/workflows/dlq", which, {})
        return sum([int(answer.get("deleted") or 0) async for answer in answers])

    async def retry_failure_function(self, dlq_id: str) -> None:
        """Call its failure function again."""
        await self._of_letter("POST", "callback/", dlq_id)

    async def close(self) -> None:
        """Close its connections."""
        await self._connection.close()

    async def _of_letter(
        self, method: str, verb: str, dlq_id: str, headers: Mapping[str, str] | None = None
    ) -> Any:
        path = f"/v2/workflows/dlq/{verb}{quote(dlq_id, safe='')}"
        try:
            return await self._connection.send(ServerRequest(method, path, dict(headers or {})))
        except RemoteError as error:
            if error.status == 404:
                raise NotFound("WA607", where=f"dead letter {dlq_id!r}", found=error.body) from None
            if error.status == 400:
                raise StateError(
                    "WA608", where=f"dead letter {dlq_id!r}", found=error.body
                ) from error
            raise

    async def _find(self, run_id: str) -> RunLog | None:
        page, _ = await self._page([("workflowRunId", run_id)])
        return next((log for log in page if log.workflow_run_id == run_id), None)

    async def _page(
        self, query: Sequence[tuple[str, str]], count: int = _PAGE, cursor: str | None = None
    ) -> tuple[list[RunLog], str | None]:
        given = [("groupBy", "workflowRunId"), ("count", str(count)), *query]
        if cursor:
            given.append(("cursor", cursor))
        page = _object(await self._get(f"/v2/workflows/events?{urlencode(given)}"))
        runs = [run_log(run) for run in objects(page.get("runs"))]
        return runs, page.get("cursor") or None

    async def _get(self, path: str) -> Any:
        return await self._connection.send(ServerRequest("GET", path, {}))


def _trigger(asked: Trigger) -> tuple[str, ServerRequest]:
    chosen = f"wfr_{new_id(21)}" if asked.run_id is None else checked_run_id(asked.run_id)
    request = requests.trigger(
        RunAddress(chosen, asked.path),
        asked.body,
        replace(asked.options, headers=plain_headers(asked.options.headers)),
        failure_url=asked.options.failure_url or asked.path,
        not_before=asked.not_before,
    )
    return chosen, request


def _started(run_id: str, told: Mapping[str, Any]) -> Started:
    return Started(run_id, bool(told.get("deduplicated")))


def _parts(which: Selection) -> Iterator[Selection]:
    """The same, a hundred ids at a time; without ids, as it is."""
    for at in range(0, max(1, len(which.ids)), _AT_ONCE):
        yield replace(which, ids=which.ids[at : at + _AT_ONCE])


def _letter(message: dict[str, Any]) -> tuple[Letter, RunLog]:
    info = _object(message.get("failureCallbackInfo"))
    state = message.get("failureFunctionState") or info.get("state")
    created = int(message.get("workflowCreatedAt") or message.get("createdAt") or 0)
    letter = Letter(
        str(message.get("dlqId") or ""),
        int(message.get("createdAt") or 0),
        state,
        message.get("callerIP") or message.get("callerIp"),
    )
    log = RunLog(
        str(message.get("workflowRunId") or ""),
        str(message.get("workflowUrl") or message.get("url") or ""),
        "RUN_FAILED",
        created,
        labels=tuple(message.get("labels") or ()),
        failure=dead_letter_failure(message),
        dlq_id=letter.id,
    )
    return letter, log


def _delete(path: str) -> ServerRequest:
    return ServerRequest("DELETE", path, {})


def _object(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
