"""The client's port to a QStash server: each verb one REST request, its answer as values.

Source: protocol 3.2, 4.5, 5.4, 6.4 and 7.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast
from urllib.parse import quote, urlencode

from workflow_agents import config
from workflow_agents.clock import Clock
from workflow_agents.core.checks import checked_run_id
from workflow_agents.core.logs import RunLog
from workflow_agents.core.options import RunOptions
from workflow_agents.core.step_logs import FeedEntry
from workflow_agents.core.stream_events import StreamEvent
from workflow_agents.core.workflow_events import WorkflowEvent
from workflow_agents.errors import ConfigurationError, NotFound, RemoteError, StateError
from workflow_agents.protocol.approvals import OpenWait
from workflow_agents.protocol.history import StepKey
from workflow_agents.qstash import requests
from workflow_agents.qstash.connection import Connection, ServerRequest, new_id, plain_headers
from workflow_agents.qstash.requests import RunAddress
from workflow_agents.qstash.run_logs import dead_letter_failure, objects, run_log, waiters

_PAGE = 10
"""Source: protocol 6.4: grouped runs come ten at a time."""

_FIRST_LOOK_S, _LATER_LOOKS_S = 0.1, 5.0
"""How soon the end of a run is looked for again: at first, and after many looks."""

_NEW_RUN_S = 10
"""How long a run may take to be listed, once it was triggered."""

_NOT_OFFERED = "a QStash server does not offer this"


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


class OverHttp:
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

    async def trigger(
        self,
        path: str,
        body: bytes,
        options: RunOptions,
        *,
        run_id: str | None,
        not_before: int | None,
    ) -> Started:
        """Start a run; its failures are told to the workflow itself, if to nobody else."""
        chosen = f"wfr_{new_id(21)}" if run_id is None else checked_run_id(run_id)
        answer: Any = await self._connection.send(
            requests.trigger(
                RunAddress(chosen, path),
                body,
                replace(options, headers=plain_headers(options.headers)),
                failure_url=options.failure_url or path,
                not_before=not_before,
            )
        )
        entry = next(iter(objects(answer)), _object(answer))
        return Started(chosen, bool(entry.get("deduplicated")))

    async def cancel(self, run_id: str) -> bool:
        """End a run."""
        query = urlencode({"workflowRunIds": run_id})
        answer = await self._connection.send(_delete(f"/v2/workflows/runs?{query}"))
        return bool(_object(answer).get("cancelled"))

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
        self,
        *,
        workflow: str | None,
        state: str | None,
        label: str | None,
        before: str | None,
        limit: int,
    ) -> list[RunLog]:
        """Many runs, the newest first."""
        query = {"workflowUrl": workflow, "state": state, "label": label}
        last: RunLog | None = None
        if before is not None:
            last = await self.log(before, steps=False)
            query["toDate"] = str(last.created_at)
        found: list[RunLog] = []
        cursor: str | None = None
        while len(found) < limit:
            page, cursor = await self._page({**query, "cursor": cursor})
            found += [log for log in page if last is None or log.workflow_run_id != before]
            if not cursor:
                break
        for log in found:
            log.steps.clear()
        return found[:limit]

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

    async def feed(self, run_id: str, after: int) -> tuple[list[FeedEntry], bool]:
        """A QStash server has no feed.

        Raises:
            StateError: WA608.
        """
        del after
        raise _not_offered("a feed of entries", run_id, "look at its steps: await handle.log()")

    async def letters(self, before: str | None, limit: int) -> Sequence[tuple[Letter, RunLog]]:
        """Dead letters."""
        found: list[tuple[Letter, RunLog]] = []
        cursor: str | None = None
        seen = before is None
        while len(found) < limit:
            query = _query({"cursor": cursor, "count": "100"})
            page = _object(await self._get(f"/v2/workflows/dlq?{query}"))
            for message in objects(page.get("messages")):
                letter = _letter(message)
                if seen:
                    found.append(letter)
                seen = seen or letter[0].id == before
            cursor = page.get("cursor") or None
            if cursor is None:
                break
        return found[:limit]

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

    async def fork(
        self,
        run_id: str,
        options: RunOptions,
        *,
        step: StepKey | None,
        body: bytes | None,
        result: bytes | None,
    ) -> Started:
        """A QStash server cannot fork.

        Raises:
            StateError: WA608.
        """
        del options, step, body, result
        raise _not_offered("forks", run_id, "restart it: await client.dlq.restart(dlq_id)")

    async def waits(self, prefix: str, limit: int) -> Sequence[OpenWait]:
        """A QStash server does not tell what waits.

        Raises:
            StateError: WA608.
        """
        del limit
        raise _not_offered("waits", prefix, "notify the event: await client.notify(event_id, ...)")

    async def events(
        self, run_id: str | None, label: str | None, after: int | None
    ) -> AsyncIterator[WorkflowEvent]:
        """See `qstash.events`; only our own server has a stream."""
        from workflow_agents.qstash.events import follow

        async for event in follow(self._connection, run_id, label, after):
            yield event

    async def stream(self, run_id: str, after: int) -> AsyncIterator[StreamEvent]:
        """A QStash server passes no stream on.

        Raises:
            StateError: WA608.
        """
        del after
        raise _not_offered("streams", run_id, "wait for it: await handle.result()")
        yield

    async def conversation(self, key: str, last: int | None) -> list[Any]:
        """A QStash server keeps no conversations.

        Raises:
            StateError: WA608.
        """
        del last
        raise _not_offered("conversations", key, "pass messages along: agents.task(history=...)")

    async def conversations(self, after: str | None, limit: int) -> list[dict[str, Any]]:
        """See `conversation`."""
        del limit
        raise _not_offered("conversations", after or "", "pass messages along: history=...")

    async def delete_conversation(self, key: str) -> bool:
        """See `conversation`."""
        raise _not_offered("conversations", key, "pass messages along: history=...")

    async def delete_letter(self, dlq_id: str) -> None:
        """Remove it."""
        await self._of_letter("DELETE", "", dlq_id)

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
        page, _ = await self._page({"workflowRunId": run_id})
        return next((log for log in page if log.workflow_run_id == run_id), None)

    async def _page(self, query: Mapping[str, str | None]) -> tuple[list[RunLog], str | None]:
        given = _query({"groupBy": "workflowRunId", "count": str(_PAGE), **query})
        page = _object(await self._get(f"/v2/workflows/events?{given}"))
        runs = [run_log(run) for run in objects(page.get("runs"))]
        return runs, page.get("cursor") or None

    async def _get(self, path: str) -> Any:
        return await self._connection.send(ServerRequest("GET", path, {}))


def _letter(message: dict[str, Any]) -> tuple[Letter, RunLog]:
    info = _object(message.get("failureCallbackInfo"))
    state = message.get("failureFunctionState") or info.get("state")
    created = int(message.get("workflowCreatedAt") or message.get("createdAt") or 0)
    letter = Letter(str(message.get("dlqId") or ""), int(message.get("createdAt") or 0), state)
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


def _not_offered(what: str, run_id: str, fix: str) -> StateError:
    return StateError(
        "WA608",
        _NOT_OFFERED,
        run_id=run_id,
        found=f"{what} of a run that a QStash server keeps",
        why="only the embedded engine keeps them",
        fix=(fix,),
    )


def _delete(path: str) -> ServerRequest:
    return ServerRequest("DELETE", path, {})


def _query(given: Mapping[str, str | None]) -> str:
    return urlencode({name: value for name, value in given.items() if value is not None})


def _object(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
