"""A server of the QStash protocol, for tests: strict about what it is sent, exact in what it sends.

It listens on loopback and visits workflows over HTTP, as the protocol's reference says: the list
of a visit ends with its own message, one visit for each plan and each result, delays, retries,
callbacks, waits, look-back, invokes, webhooks. Time stands still until `pass_time` moves it.
What breaks the protocol is collected in `violations`.
"""

import asyncio
import base64
import hashlib
import heapq
import itertools
import json
import math
import re
import socket
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx2
import jwt
import uvicorn

from tests.wire import strict
from workflow_agents.core.delay_expression import DelayExpression
from workflow_agents.protocol.times import duration_ms

PATIENCE_S = 20
CURRENT_KEY = "sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r"
NEXT_KEY = "sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs"
TOKEN = base64.b64encode(b'{"UserID":"defaultUser","Password":"defaultPassword"}').decode()

_OWN_HEADERS = re.compile(
    r"host|content-length|connection|transfer-encoding|accept-encoding|user-agent|content-type"
    r"|upstash-(?:signature|message-id|retried|region)"
)
_CONFIGURATION = re.compile(
    r"upstash-(?:retries|retry-delay|timeout|flow-control-.*|label|redact-fields"
    r"|failure-callback.*|forward-.*)"
)


class Refused(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass
class Message:
    """Something that is owed to a destination."""

    id: str
    url: str
    headers: dict[str, str]  # as published: configuration and all
    body: bytes
    kind: str  # visit, call, callback, failure
    run: "Run"
    element: int = 0
    attempt: int = 0
    own_body: Callable[[], bytes] | None = None


@dataclass
class Visit:
    """A delivery that was made, and what was answered."""

    kind: str
    run_id: str
    headers: dict[str, str]
    body: bytes
    status: int
    answer: bytes
    answer_headers: dict[str, str]

    def json(self) -> Any:
        return json.loads(self.answer)

    @property
    def listed(self) -> list[str]:
        """The names of the steps that the list brought; plans in brackets."""
        steps = [json.loads(base64.b64decode(e["body"])) for e in json.loads(self.body)[1:]]
        return [f"[{s['stepName']}]" if s.get("targetStep") else s["stepName"] for s in steps]


@dataclass
class Run:
    """One run, as the server keeps it."""

    id: str
    url: str
    created_at: int
    payload: bytes
    configuration: dict[str, str]
    content_type: str
    invoker: dict[str, Any] | None = None
    state: str = "RUN_STARTED"
    elements: list[tuple[str, bytes]] = field(default_factory=list)
    waiters: list[dict[str, Any]] = field(default_factory=list)
    kept: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    result: bytes | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)
    failed_body: bytes = b""
    failed_status: int = 0
    failed_element: int = 0
    dlq_id: str | None = None
    callback_state: str | None = None
    failure_body: bytes = b""
    failure_answer: str = ""
    ended_at: int | None = None

    @property
    def steps(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.elements[1:]]

    @property
    def results(self) -> list[dict[str, Any]]:
        return [s for s in self.steps if not s.get("targetStep")]


class StandIn:
    """See the module.

    Attributes:
        url: where it listens.
        submitted: what it was sent: (method, path, headers, body).
        visits: what it delivered, in the order in which it was answered.
        violations: what broke the protocol.
        refuse: answers a request before the server does: (method, path) -> (status, text).
    """

    def __init__(self, led: Callable[[str], str] = lambda url: url) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.now_ms = 1_735_689_600_000
        self.runs: dict[str, Run] = {}
        self.submitted: list[tuple[str, str, dict[str, str], bytes]] = []
        self.visits: list[Visit] = []
        self.violations: list[str] = []
        self.refuse: Callable[[str, str], tuple[int, str] | None] = lambda _m, _p: None
        self.in_flight = 0
        self.most_in_flight = 0
        self._led = led
        self._due: list[tuple[int, int, Message]] = []
        self._count = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: uvicorn.Server | None = None

    # Its life.

    async def start(self) -> None:
        self._socket.listen()
        config = uvicorn.Config(
            self._asgi,
            log_config=None,
            access_log=False,
            ws="none",
            lifespan="off",
            interface="asgi3",
        )
        self._server = uvicorn.Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        # All is on loopback: no certificate is looked at, and reading them takes long.
        self._http = httpx2.AsyncClient(trust_env=False, timeout=PATIENCE_S, verify=False)

    async def stop(self) -> None:
        for task in [*self._tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        assert self._server is not None
        self._server.should_exit = True
        await self._serving
        await self._http.aclose()
        self._socket.close()

    async def settle(self) -> None:
        """Until nothing is on its way and nothing is due now."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                self._deliver_due()
                if not self._tasks:
                    return
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)

    async def pass_time(self, duration: Any) -> None:
        """Time passes, and what is due meanwhile is delivered when it is due."""
        end = self.now_ms + duration_ms(duration)
        while True:
            await self.settle()
            nexts = [at for at, _, _ in self._due[:1]] + [
                w["deadline_ms"] for r in self.runs.values() for w in r.waiters
            ]
            at = min(nexts, default=end + 1)
            if at > end:
                break
            self.now_ms = max(self.now_ms, at)
            self._time_out()
        self.now_ms = end
        await self.settle()

    async def ended(self, run_id: str) -> Run:
        """Let a run come to its end, however long it sleeps."""
        run = self.runs[run_id]
        for _ in range(200):
            await self.settle()
            if run.state != "RUN_STARTED":
                await self.settle()
                return run
            if not self._due and not any(r.waiters for r in self.runs.values()):
                raise AssertionError(f"{run_id} waits for nothing; visits: {self.visits[-2:]}")
            nexts = [at for at, _, _ in self._due[:1]]
            nexts += [w["deadline_ms"] for r in self.runs.values() for w in r.waiters]
            self.now_ms = max(self.now_ms, min(nexts))
            self._time_out()
        raise AssertionError(f"{run_id} does not end")

    # What is sent to it.

    async def _asgi(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            part = await receive()
            body += part.get("body", b"")
            if not part.get("more_body"):
                break
        target = scope["raw_path"].decode()
        if scope["query_string"]:
            target += "?" + scope["query_string"].decode()
        headers = {n.decode().lower(): v.decode() for n, v in scope["headers"]}
        method = scope["method"]
        self.submitted.append((method, target, headers, body))
        try:
            refused = self.refuse(method, target)
            if refused is not None:
                raise Refused(*refused)
            hook = target.startswith("/v2/workflows/hooks/")
            if not hook and headers.get("authorization") != f"Bearer {TOKEN}":
                raise Refused(401, "unauthorized")
            status, answer = 200, self._answer(method, target, headers, body)
        except Refused as error:
            status, answer = error.status, {"error": str(error)}
        data = json.dumps(answer).encode()
        head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(data))]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": data})

    def _answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Any:
        path, _, query = target.partition("?")
        parts = [unquote(p) for p in path.split("/")[2:]]
        asked = dict(parse_qs(query))
        match method, parts:
            case "POST", ["publish", *_]:
                destination = target.removeprefix("/v2/publish/")
                return self._accept_all([(destination, headers, body)])[0]
            case "POST", ["batch"]:
                items = json.loads(body)
                return self._accept_all([self._item(item) for item in items])
            case "POST", ["wait", event]:
                return self._wait(event, headers, json.loads(body))
            case "POST", ["notify", event]:
                return self._notify(event, body, None)
            case "POST", ["notify", run_id, event]:
                return self._notify(event, body, self._run(run_id))
            case "GET", ["waiters", event]:
                return [self._waiter(w) for _, w in self._waiting(event)]
            case "GET", ["workflows", "runs", run_id]:
                run = self._run(run_id)
                if run.state != "RUN_STARTED":
                    raise Refused(404, f"workflow run {run_id} not found")
                return self._list(run, len(run.elements) - 1)
            case "DELETE", ["workflows", "runs", run_id]:
                return self._end(self._run(run_id), asked.get("cancel") == ["false"], body)
            case "DELETE", ["workflows", "runs"]:
                return self._cancel_many(asked)
            case "GET", ["workflows", "events"]:
                return self._events(asked)
            case _, ["workflows", "dlq", *rest]:
                return self._dead_letters(method, rest, headers)
            case _, ["workflows", "hooks", "defaultUser", run_id, event]:
                return self._hook(method, target, headers, body, self._run(run_id), event)
        raise Refused(404, f"no route {method} {path}")

    def _item(self, item: dict[str, Any]) -> tuple[str, dict[str, str], bytes]:
        if not set(item) <= {"destination", "headers", "body", "queue", "method"}:
            self.violations.append(f"a batch item has other members: {sorted(item)}")
        body = item.get("body")
        raw = (
            b""
            if body is None
            else body.encode()
            if isinstance(body, str)
            else json.dumps(body).encode()
        )
        return item["destination"], {n.lower(): v for n, v in item["headers"].items()}, raw

    def _accept_all(self, items: list[tuple[str, dict[str, str], bytes]]) -> list[dict[str, Any]]:
        """All of them or none, in this order."""
        for _, headers, _ in items:
            run_id = headers.get("upstash-workflow-runid")
            if run_id and headers.get("upstash-workflow-init") == "false":
                run = self._run(run_id, 400)
                if run.state != "RUN_STARTED":
                    raise Refused(400, f"workflow run {run_id} is not running")
        return [self._accept(*item) for item in items]

    def _accept(self, destination: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
        """Source: protocol 1.8."""
        run_id = headers.get("upstash-workflow-runid")
        if not run_id:
            raise Refused(400, "this server takes messages of workflows only")
        own = {n: v for n, v in headers.items() if n.startswith("upstash-") or n == "content-type"}
        self.violations += strict.headers(own, destination)
        if own.get("upstash-workflow-init") == "true":
            return self._begin(run_id, destination, own, body)
        run = self.runs[run_id]
        if own.get("upstash-workflow-calltype") == "toCallback":
            message = self._message(destination, own, body, "call", run)
        else:
            self.violations += strict.step(body, own, run.steps)
            message = self._append(run, own, body)
        return {"messageId": message.id}

    def _begin(self, run_id: str, url: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
        known = self.runs.get(run_id)
        by_sdk = headers.get("upstash-workflow-trigger-by-sdk") == "true"
        if known is not None and not by_sdk:
            return {"messageId": known.elements[0][0], "deduplicated": True}
        configuration = {n: v for n, v in headers.items() if _CONFIGURATION.fullmatch(n)}
        if known is not None:
            # Source: protocol 3.4.
            kept = {n: v for n, v in known.configuration.items() if "-forward-" not in n}
            known.configuration = kept | configuration
            return {"messageId": self._visit(known, 0).id}
        content_type = headers.get("content-type", "application/json")
        run = Run(run_id, url, self.now_ms, body, configuration, content_type)
        if headers.get("upstash-workflow-invoke") == "true":
            envelope = json.loads(body)
            for name in ("workflowRunId", "workflowUrl", "workflowRunCreatedAt", "step", "headers"):
                if not envelope.get(name):
                    self.violations.append(f"an invoke has no {name}")
            if {n.lower() for n in envelope["headers"]} < {"upstash-workflow-runid"}:
                self.violations.append("an invoke cannot wake its parent")
            run.payload, run.invoker = (envelope.get("body") or "").encode(), envelope
        self.runs[run_id] = run
        delayed = {n: v for n, v in headers.items() if n in {"upstash-delay", "upstash-not-before"}}
        message = self._append(run, {**headers, **delayed}, run.payload)
        return {"messageId": message.id}

    def _append(self, run: Run, headers: dict[str, str], body: bytes) -> Message:
        message = self._message(run.url, headers, body, "visit", run, element=len(run.elements))
        run.elements.append((message.id, body))
        return message

    def _visit(self, run: Run, element: int) -> Message:
        return self._message(run.url, {}, run.elements[element][1], "visit", run, element=element)

    def _message(
        self,
        url: str,
        headers: dict[str, str],
        body: bytes,
        kind: str,
        run: Run,
        *,
        element: int = 0,
    ) -> Message:
        message = Message(f"msg_{next(self._count)}", url, headers, body, kind, run, element)
        if element and kind == "visit" and len(run.elements) > element:
            message.id = run.elements[element][0]
        at = self.now_ms
        if "upstash-delay" in headers:
            at += duration_ms(headers["upstash-delay"])
        if "upstash-not-before" in headers:
            at = int(headers["upstash-not-before"]) * 1000
        self._owe(message, at)
        return message

    def _owe(self, message: Message, at: int) -> None:
        heapq.heappush(self._due, (at, next(self._count), message))

    # Waits, notifications, webhooks.

    def _wait(self, event: str, headers: dict[str, str], told: dict[str, Any]) -> Any:
        run = self._run(headers["upstash-workflow-runid"], 400)
        if run.state != "RUN_STARTED":
            raise Refused(400, "the run has ended")
        own = {n: v for n, v in headers.items() if n.startswith(("upstash-", "content-type"))}
        self.violations += strict.headers(own, run.url)
        if own.get("upstash-workflow-calltype") != "step":
            self.violations.append("a wait is of call type step")
        if set(told) != {"url", "timeout", "timeoutUrl", "timeoutHeaders", "step"}:
            self.violations.append(f"a wait has other members: {sorted(told)}")
        if told["url"] != run.url or not strict.DURATION.fullmatch(told["timeout"]):
            self.violations.append(f"a wait of another url or timeout: {told}")
        waiter = {
            "event": event,
            "step": told["step"],
            "deadline_ms": self.now_ms + duration_ms(told["timeout"]),
            "headers": told["timeoutHeaders"],
            "url": told["url"],
        }
        run.waiters.append(waiter)
        if run.kept[event]:
            self._woken(run, waiter, run.kept[event].pop(0))
        return {}

    def _waiting(self, event: str) -> list[tuple[Run, dict[str, Any]]]:
        return [(r, w) for r in self.runs.values() for w in r.waiters if w["event"] == event]

    def _notify(self, event: str, body: bytes, run: Run | None) -> Any:
        found = [(r, w) for r, w in self._waiting(event) if run is None or r is run]
        if run is not None and not found and run.state == "RUN_STARTED":
            run.kept[event].append(body)
        return [
            {
                "waiter": self._waiter(waiter),
                "messageId": self._woken(waiting, waiter, body).id,
                "workflowRunId": waiting.id,
                "workflowCreatedAt": waiting.created_at,
                "deduplicated": False,
                "error": "",
            }
            for waiting, waiter in found
        ]

    def _waiter(self, waiter: dict[str, Any]) -> dict[str, Any]:
        return {
            "url": waiter["url"],
            "deadline": waiter["deadline_ms"] // 1000,
            "headers": waiter["headers"],
            "timeoutUrl": waiter["url"],
            "timeoutHeaders": {},
            "timeoutBody": "",
        }

    def _woken(self, run: Run, waiter: dict[str, Any], body: bytes | None) -> Message:
        """Source: protocol 4.4, the step that is appended."""
        run.waiters.remove(waiter)
        step = {**waiter["step"], "waitEventId": waiter["event"], "waitTimeout": body is None}
        if body:
            step["out"] = base64.b64encode(body).decode()
        return self._append(run, {}, json.dumps(step).encode())

    def _time_out(self) -> None:
        for run in self.runs.values():
            for waiter in [w for w in run.waiters if w["deadline_ms"] <= self.now_ms]:
                self._woken(run, waiter, None)

    def _hook(
        self, method: str, target: str, headers: dict[str, str], body: bytes, run: Run, event: str
    ) -> Any:
        told: dict[str, Any] = {
            "method": method,
            "header": {n.title(): [v] for n, v in headers.items()},
            "proto": "http",
            "host": headers["host"],
            "url": target,
        }
        if body:
            told["body"] = base64.b64encode(body).decode()
        self._notify(event, json.dumps(told).encode(), run)
        return {}

    # Ends.

    def _end(self, run: Run, finished: bool, body: bytes) -> Any:
        if run.state == "RUN_STARTED":
            run.result = body if finished else None
            self._closed(run, "RUN_SUCCESS" if finished else "RUN_CANCELED")
        elif not finished:
            raise Refused(404, f"workflow run {run.id} not found")
        return {}

    def _closed(self, run: Run, state: str) -> None:
        run.state, run.ended_at = state, self.now_ms
        run.waiters.clear()
        self._due = [d for d in self._due if d[2].run is not run]
        heapq.heapify(self._due)
        if run.invoker is None:
            return
        parent = self.runs[run.invoker["workflowRunId"]]
        out: dict[str, Any] = {
            "isCanceled": state == "RUN_CANCELED",
            "isFailed": state == "RUN_FAILED",
        }
        if run.result:
            out["body"] = run.result.decode()
        if parent.state == "RUN_STARTED":
            step = {**run.invoker["step"], "out": json.dumps(out)}
            self._append(parent, {}, json.dumps(step).encode())

    def _cancel_many(self, asked: dict[str, list[str]]) -> Any:
        chosen = [self.runs[i] for i in asked.get("workflowRunIds", []) if i in self.runs]
        running = [run for run in chosen if run.state == "RUN_STARTED"]
        for run in running:
            self._closed(run, "RUN_CANCELED")
        return {"cancelled": len(running)}

    def _failed(self, message: Message, status: int, headers: Any, body: bytes) -> None:
        """Source: protocol 5.3."""
        run = message.run
        run.failed_status, run.failed_body = status, body
        run.failed_element = message.element
        run.dlq_id = f"{self.now_ms}-{next(self._count)}"
        self._closed(run, "RUN_FAILED")
        url = run.configuration.get("upstash-failure-callback")
        url = url or message.headers.get("upstash-failure-callback")
        if not url:
            return
        run.callback_state = "CALLBACK_INPROGRESS"
        told = {
            **self._callback_of(message, status, headers, body),
            "dlqId": run.dlq_id,
            "sourceBody": base64.b64encode(run.payload).decode(),
            "workflowRunId": run.id,
            "workflowUrl": run.url,
            "workflowCreatedAt": run.created_at,
        }
        run.failure_body = json.dumps(told).encode()
        self._owe_failure(run, message.headers | run.configuration, url)

    def _owe_failure(self, run: Run, headers: dict[str, str], url: str) -> None:
        own = _stripped(headers, "upstash-failure-callback-")
        self._message(url, own, run.failure_body, "failure", run)

    def _callback_of(
        self, message: Message, status: int, headers: Any, body: bytes
    ) -> dict[str, Any]:
        found: dict[str, list[str]] = {}
        for name, value in headers:
            found.setdefault(name.title(), []).append(value)
        return {
            "status": status,
            "header": found,
            "body": base64.b64encode(body).decode(),
            "retried": message.attempt - 1,
            "maxRetries": self._retries(message),
            "sourceMessageId": message.id,
            "url": message.url,
            "method": message.headers.get("upstash-method", "POST"),
            "sourceHeader": {},
            "sourceBody": base64.b64encode(message.body).decode(),
            "notBefore": str(self.now_ms),
            "createdAt": str(self.now_ms),
            "callerIP": "203.0.113.7",
        }

    # What it delivers.

    def _deliver_due(self) -> None:
        while self._due and self._due[0][0] <= self.now_ms:
            _, _, message = heapq.heappop(self._due)
            task = asyncio.create_task(self._deliver(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(self, message: Message) -> None:
        message.attempt += 1
        headers, body = self._delivery(message)
        method = message.headers.get("upstash-method", "POST")
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            answer = await self._http.request(
                method,
                self._led(message.url),
                headers=[(n.encode(), v.encode()) for n, v in headers.items()],
                content=body,
            )
            status, pairs, content = (
                answer.status_code,
                answer.headers.multi_items(),
                answer.content,
            )
        except httpx2.HTTPError as error:
            status, pairs, content = 502, [], str(error).encode()
        finally:
            self.in_flight -= 1
        seen = {n.lower(): v for n, v in pairs}
        self.visits.append(
            Visit(message.kind, message.run.id, headers, body, status, content, seen)
        )
        if message.kind in {"call", "failure"} or message.run.state == "RUN_STARTED":
            self._settled(message, status, pairs, content, seen)

    def _settled(
        self, message: Message, status: int, pairs: Any, body: bytes, seen: dict[str, str]
    ) -> None:
        run, good = message.run, 200 <= status < 300
        is_workflow = message.kind in {"visit", "callback"}
        if is_workflow and status == 489 and seen.get("upstash-nonretryable-error") == "true":
            run.errors.append({"status": status, "body": body.decode("utf-8", "replace")})
            self._failed(message, status, pairs, body)
        elif is_workflow and good and seen.get("upstash-workflow-sdk-version") != "1":
            run.errors.append({"error": "detected a non-workflow destination"})
            self._failed(message, status, pairs, body)
        elif not good and message.attempt <= self._retries(message):
            run.errors.append({"status": status, "body": body.decode("utf-8", "replace")})
            self._owe(message, self.now_ms + self._delay(message, seen))
        elif message.kind == "call":
            self._call_back(message, status, pairs, body)
        elif message.kind == "failure":
            run.callback_state = "CALLBACK_SUCCESS" if good else "CALLBACK_FAIL"
            if seen.get("upstash-workflow-failure-callback-notfound") == "true":
                run.callback_state = None
            run.failure_answer = body.decode()
        elif not good:
            run.errors.append({"status": status, "body": body.decode("utf-8", "replace")})
            self._failed(message, status, pairs, body)

    def _call_back(self, message: Message, status: int, pairs: Any, body: bytes) -> None:
        if message.run.state != "RUN_STARTED":
            return
        told = self._callback_of(message, status, pairs, body)
        headers = _stripped(message.headers, "upstash-callback-")
        self._message(
            message.headers["upstash-callback"], headers, json.dumps(told).encode(), "callback",
            message.run,
        )  # fmt: skip

    def _retries(self, message: Message) -> int:
        given = message.headers.get("upstash-retries")
        if given is None and message.kind in {"visit", "callback"}:
            given = message.run.configuration.get("upstash-retries")
        return 3 if given is None else int(given)

    def _delay(self, message: Message, seen: dict[str, str]) -> int:
        """Source: protocol 5.2."""
        if "retry-after" in seen:
            return duration_ms(seen["retry-after"])
        own = message.headers if message.kind == "call" else message.run.configuration
        expression = own.get("upstash-retry-delay")
        if expression is not None:
            return DelayExpression.parse(expression).delay_ms(message.attempt - 1)
        return round(min(86400, math.exp(2.5 * message.attempt)) * 1000)

    def _delivery(self, message: Message) -> tuple[dict[str, str], bytes]:
        """Headers and body. Source: protocol 2.4 and 2.5."""
        run, headers = message.run, {}
        forwarded = _stripped(message.headers, "upstash-forward-")
        if message.kind in {"visit", "callback"}:
            own = _stripped(run.configuration, "upstash-forward-")
            if message.kind == "callback":
                own.pop("upstash-workflow-sdk-version", None)
            forwarded = own | forwarded
        for name, value in forwarded.items():
            if not _OWN_HEADERS.fullmatch(name):
                headers[name] = value
        body = message.body
        if message.kind == "visit":
            first = message.element == 0
            headers["content-type"] = run.content_type if first else "application/json"
            headers["upstash-workflow-sdk-version"] = "1"
            body = json.dumps(self._list(run, message.element)).encode()
        else:
            headers["content-type"] = message.headers.get("content-type", "application/json")
        if message.kind != "call":
            headers["upstash-workflow-runid"] = run.id
            headers["upstash-workflow-createdat"] = str(run.created_at)
        headers |= {
            "user-agent": "Upstash-QStash",
            "upstash-message-id": message.id,
            "upstash-retried": str(message.attempt - 1),
            "upstash-signature": self.sign(message.url, body),
            "upstash-caller-ip": "203.0.113.7",
        }
        return headers, body

    def _list(self, run: Run, element: int) -> list[dict[str, str]]:
        """Source: protocol 1.2: it ends with the message that is delivered."""
        return [
            {"messageId": id_, "body": base64.b64encode(body).decode(), "callType": "step"}
            for id_, body in run.elements[: element + 1]
        ]

    def sign(self, url: str, body: bytes) -> str:
        """Source: protocol 8.2; by another implementation than the one that verifies."""
        import time

        now = int(time.time())
        digest = base64.urlsafe_b64encode(hashlib.sha256(body).digest()).decode()
        claims = {
            "iss": "Upstash", "sub": url, "exp": now + 300, "nbf": 0, "iat": now - 2,
            "jti": f"jwt_{next(self._count)}", "body": digest,
        }  # fmt: skip
        return jwt.encode(claims, CURRENT_KEY, algorithm="HS256")

    # What is asked of it by clients.

    def _run(self, run_id: str, status: int = 404) -> Run:
        if run_id not in self.runs:
            raise Refused(status, f"workflow run {run_id} not found")
        return self.runs[run_id]

    def _events(self, asked: dict[str, list[str]]) -> Any:
        if asked.get("groupBy") != ["workflowRunId"]:
            raise Refused(400, "this server groups by run")
        found = [*self.runs.values()][::-1]
        for name, attribute in (
            ("workflowRunId", "id"),
            ("workflowUrl", "url"),
            ("state", "state"),
        ):
            if name in asked:
                found = [r for r in found if getattr(r, attribute) in asked[name]]
        if "label" in asked:
            found = [r for r in found if r.configuration.get("upstash-label") in asked["label"]]
        if "toDate" in asked:
            found = [r for r in found if r.created_at <= int(asked["toDate"][0])]
        start = int(asked.get("cursor", ["0"])[0])
        count = min(10, int(asked.get("count", ["10"])[0]))
        page: dict[str, Any] = {"runs": [self._logged(r) for r in found[start : start + count]]}
        if start + count < len(found):
            page["cursor"] = str(start + count)
        return page

    def _logged(self, run: Run) -> dict[str, Any]:
        """Source: protocol 7.1; what has no value is left out."""
        groups: list[dict[str, Any]] = [
            {
                "type": "sequential",
                "steps": [
                    {
                        "stepName": "init", "stepType": "Initial", "callType": "step",
                        "messageId": run.elements[0][0], "state": "STEP_SUCCESS",
                        "out": run.payload.decode("utf-8", "replace"), "concurrent": 1,
                        "createdAt": run.created_at, "headers": {},
                    }
                ],
            }
        ]  # fmt: skip
        groups += [
            {
                "type": "sequential",
                "steps": [
                    {**s, "callType": "step", "state": "STEP_SUCCESS", "createdAt": run.created_at}
                ],
            }
            for s in run.results
        ]
        if run.state != "RUN_SUCCESS":
            state = {"RUN_STARTED": "STEP_PROGRESS", "RUN_FAILED": "STEP_FAILED"}
            waits = {"state": state.get(run.state, "STEP_CANCELED"), "errors": run.errors}
            groups.append({"type": "next", "steps": [waits]})
        told = {
            "workflowRunId": run.id, "workflowUrl": run.url, "workflowState": run.state,
            "workflowRunCreatedAt": run.created_at, "steps": groups,
        }  # fmt: skip
        optional = {
            "workflowRunCompletedAt": run.ended_at,
            "workflowRunResponse": run.result.decode() if run.result else None,
            "dlqId": run.dlq_id,
            "labels": (run.configuration.get("upstash-label") or "").split(",")
            if "upstash-label" in run.configuration
            else None,
        }
        return told | {n: v for n, v in optional.items() if v is not None}

    def _dead_letters(self, method: str, rest: list[str], headers: dict[str, str]) -> Any:
        letters = [r for r in self.runs.values() if r.dlq_id]
        if not rest:
            return {"messages": [self._letter(r) for r in letters[::-1]]}
        found = [r for r in letters if r.dlq_id == rest[-1]]
        if not found:
            raise Refused(404, "no such dead letter")
        [run] = found
        match method, rest[:-1]:
            case "GET", []:
                return self._letter(run)
            case "DELETE", []:
                run.dlq_id = None
                return {}
            case "POST", ["resume" | "restart" as verb]:
                return self._again(run, verb == "resume", headers)
            case "POST", ["callback"]:
                if run.callback_state != "CALLBACK_FAIL":
                    raise Refused(400, "there is no failed callback")
                self._owe_failure(
                    run, run.configuration, run.configuration["upstash-failure-callback"]
                )
                return {"workflowRunId": run.id, "workflowCreatedAt": run.created_at}
        raise Refused(404, "no such verb")

    def _letter(self, run: Run) -> dict[str, Any]:
        told = {
            "dlqId": run.dlq_id, "messageId": run.elements[run.failed_element][0], "url": run.url,
            "workflowRunId": run.id, "workflowUrl": run.url, "workflowCreatedAt": run.created_at,
            "createdAt": run.ended_at, "responseStatus": run.failed_status,
            "responseBody": run.failed_body.decode(), "maxRetries": 3,
        }  # fmt: skip
        if run.callback_state:
            told["failureFunctionState"] = run.callback_state
        return told

    def _again(self, run: Run, resume: bool, headers: dict[str, str]) -> Any:
        override = {n: v for n, v in headers.items() if _CONFIGURATION.fullmatch(n)}
        configuration = run.configuration | override
        new = Run(
            f"wfr_again{next(self._count)}",
            run.url,
            self.now_ms,
            run.payload,
            configuration,
            run.content_type,
        )
        self.runs[new.id] = new
        new.elements = [*run.elements[: run.failed_element + 1]] if resume else [run.elements[0]]
        self._visit(new, len(new.elements) - 1)
        run.dlq_id = None
        return {"workflowRunId": new.id, "workflowCreatedAt": new.created_at}


def _stripped(headers: dict[str, str], prefix: str) -> dict[str, str]:
    """The headers that a prefix selects for another message. Source: protocol 2.1."""
    found: dict[str, str] = {}
    for name, value in headers.items():
        if name.startswith(prefix):
            rest = name.removeprefix(prefix)
            keeps = prefix != "upstash-forward-" and not rest.startswith("upstash-")
            found[f"upstash-{rest}" if keeps else rest] = value
    return found


def url_path(url: str) -> str:
    return urlsplit(url).path
