"""A workflow endpoint that behaves as the JS SDK does, without HTTP: for tests of remote runs.

It is strict: a visit that breaks the protocol raises. `Endpoint.send` stands in the place of the
engine's outbound HTTP; what the SDK would send to the server goes to the engine's own verbs.
Source: protocol 1.4, 1.5, 3, 4.
"""

import base64
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from workflow_agents.engine.engine import DurableEngine
from workflow_agents.engine.http_out import HttpRequest, HttpResponse
from workflow_agents.engine.messages import Incoming
from workflow_agents.errors import StateError
from workflow_agents.protocol.message import parse_message

FEATURES = "LazyFetch,InitialBody,WF_DetectTrigger,WF_TriggerOnConfig"
ANSWERED = {"upstash-workflow-sdk-version": ["1"], "upstash-workflow-sdk": ["v1.3.2"]}


class Stop(Exception):
    """The visit has come to something."""


class Failing(Exception):
    """Answers with this status."""

    def __init__(self, status: int, message: str = "no", headers: dict[str, str] | None = None):
        super().__init__(message)
        self.status = status
        self.headers = {n: [v] for n, v in (headers or {}).items()}


@dataclass
class Step:
    """A step as the code asks for it."""

    name: str
    type: str
    do: Callable[[], Any] = lambda: None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass
class Visit:
    """What an endpoint was sent."""

    kind: str
    headers: dict[str, str]
    body: Any
    steps: list[dict[str, Any]] = field(default_factory=list)

    @property
    def listed(self) -> list[str]:
        return [f"[{s['stepName']}]" if s.get("targetStep") else s["stepName"] for s in self.steps]


Program = Callable[["Context"], Awaitable[Any]]


class Context:
    """One visit's context."""

    def __init__(self, endpoint: "Endpoint", url: str, visit: Visit, payload: str) -> None:
        self.endpoint = endpoint
        self.url = url
        self.visit = visit
        self.payload = json.loads(payload) if payload else None
        self.run_id = visit.headers["Upstash-Workflow-Runid"]
        self.depth = int(visit.headers.get("Upstash-Workflow-Invoke-Count", "0"))
        self._count = 0
        self._plans = 0

    async def run(self, name: str, do: Callable[[], Any]) -> Any:
        return (await self.all(Step(name, "Run", do)))[0]

    async def sleep(self, name: str, seconds: int) -> None:
        await self.all(Step(name, "SleepFor", extra={"sleepFor": seconds}))

    async def call(self, name: str, url: str, body: Any = None, **options: Any) -> Any:
        extra = {"call": {"url": url, "body": body, **options}}
        return (await self.all(Step(name, "Call", extra=extra)))[0]

    async def wait(self, name: str, event: str, timeout: str = "7d") -> Any:
        extra = {"waitEventId": event, "timeout": timeout}
        return (await self.all(Step(name, "Wait", extra=extra)))[0]

    async def wait_for_webhook(self, name: str, event: str, timeout: str = "7d") -> Any:
        extra = {"waitEventId": event, "timeout": timeout}
        return (await self.all(Step(name, "WaitForWebhook", extra=extra)))[0]

    async def invoke(self, name: str, path: str, body: Any = None, **options: Any) -> Any:
        extra = {"invoke": {"path": path, "body": body, **options}}
        return (await self.all(Step(name, "Invoke", extra=extra)))[0]

    async def all(self, *steps: Step) -> list[Any]:
        """One step, or a group of them. Source: protocol 1.5."""
        first = self._count + 1
        self._count += len(steps)
        listed = self.visit.steps
        if len(steps) == 1:
            at = first - 1 + self._plans
            if at < len(listed):
                return [self._result(steps[0], listed[at], 1)]
            await self._do(steps[0], first, 1)
            raise Stop
        rest = [s for s in listed if (s.get("targetStep") or s["stepId"]) >= first]
        self._plans += len(steps)
        if not rest:
            await self._submit([self._plan(s, first + n, len(steps)) for n, s in enumerate(steps)])
        elif len(rest) >= 2 * len(steps):
            results = [s for s in rest if not s.get("targetStep")]
            of = {s["stepId"]: s for s in results}
            return [self._result(s, of[first + n], len(steps)) for n, s in enumerate(steps)]
        elif target := rest[-1].get("targetStep"):
            await self._do(steps[target - first], target, len(steps))
        raise Stop

    def _result(self, asked: Step, found: dict[str, Any], size: int) -> Any:
        assert (found["stepName"], found["stepType"]) == (asked.name, asked.type)
        assert found["concurrent"] == size
        out = found.get("out")
        match asked.type:
            case "Wait":
                data = None if out is None else base64.b64decode(out).decode()
                return {"data": data, "timeout": found.get("waitTimeout") or False}
            case "WaitForWebhook":
                return None if out is None else json.loads(base64.b64decode(out))
            case _:
                return None if out is None else json.loads(out)

    def _plan(self, step: Step, target: int, size: int) -> tuple[dict[str, str], dict[str, Any]]:
        delay = {"upstash-delay": f"{step.extra['sleepFor']}s"} if step.type == "SleepFor" else {}
        extra = {n: v for n, v in step.extra.items() if n not in {"call", "invoke"}}
        return delay, {**_named(step, size), "stepId": 0, **extra, "targetStep": target}

    async def _do(self, step: Step, number: int, size: int) -> None:
        data = {**_named(step, size), "stepId": number}
        match step.type:
            case "Run" | "CreateWebhook":
                self.endpoint.ran.append((self.run_id, step.name))
                out = step.do()
                out = await out if hasattr(out, "__await__") else out
                await self._submit([({}, data if out is None else data | {"out": json.dumps(out)})])
            case "SleepFor":
                delay = {"upstash-delay": f"{step.extra['sleepFor']}s"} if size == 1 else {}
                await self._submit([(delay, data | step.extra)])
            case "Call":
                await self._call(step, data)
            case "Wait" | "WaitForWebhook":
                headers = {**self._headers(), "Upstash-Workflow-CallType": "step"}
                asked = {
                    "url": self.url,
                    "timeout": step.extra["timeout"],
                    "timeoutUrl": self.url,
                    "timeoutHeaders": {n: [v] for n, v in headers.items()},
                    "step": data,
                }
                await self.endpoint.wait(step.extra["waitEventId"], asked)
            case "Invoke":
                await self._invoke(step, data)

    def _headers(self, init: str = "false") -> dict[str, str]:
        headers = {
            "content-type": "application/json",
            "upstash-method": "POST",
            "upstash-feature-set": FEATURES,
            "upstash-workflow-init": init,
            "upstash-workflow-runid": self.run_id,
            "upstash-workflow-url": self.url,
            "upstash-workflow-sdk-version": "1",
            "upstash-forward-upstash-workflow-sdk-version": "1",
            "upstash-telemetry-sdk": "@upstash/workflow@v1.3.2",
        }
        if self.depth:
            headers["upstash-forward-upstash-workflow-invoke-count"] = str(self.depth)
        return headers

    async def _submit(self, items: list[tuple[dict[str, str], dict[str, Any]]]) -> None:
        await self.endpoint.batch(
            [(self.url, {**self._headers(), **more}, json.dumps(data)) for more, data in items]
        )

    async def _call(self, step: Step, data: dict[str, Any]) -> None:
        call = step.extra["call"]
        headers = {
            **self._headers(),
            "upstash-method": call.get("method", "POST"),
            "upstash-retries": str(call.get("retries", 0)),
            "upstash-retry-delay": "1",
            "upstash-feature-set": "WF_NoDelete,InitialBody",
            "upstash-workflow-calltype": "toCallback",
            "upstash-callback": self.url,
            "upstash-callback-workflow-runid": self.run_id,
            "upstash-callback-workflow-calltype": "fromCallback",
            "upstash-callback-workflow-init": "false",
            "upstash-callback-workflow-url": self.url,
            "upstash-callback-feature-set": FEATURES,
            "upstash-callback-forward-upstash-workflow-callback": "true",
            "upstash-callback-forward-upstash-workflow-stepid": str(data["stepId"]),
            "upstash-callback-forward-upstash-workflow-stepname": step.name,
            "upstash-callback-forward-upstash-workflow-steptype": "Call",
            "upstash-callback-forward-upstash-workflow-concurrent": str(data["concurrent"]),
            "upstash-callback-forward-upstash-workflow-contenttype": "application/json",
        }
        del headers["upstash-forward-upstash-workflow-sdk-version"]
        headers |= {f"upstash-forward-{n}": v for n, v in call.get("headers", {}).items()}
        body = "" if call["body"] is None else json.dumps(call["body"])
        await self.endpoint.batch([(call["url"], headers, body)])

    async def _invoke(self, step: Step, data: dict[str, Any]) -> None:
        invoke = step.extra["invoke"]
        child = f"{self.url.rsplit('/', 1)[0]}/{invoke['path']}"
        run_id = self.endpoint.new_id()
        depth = str(self.depth + 1)
        headers = {
            **self._headers("true"),
            "upstash-workflow-runid": run_id,
            "upstash-workflow-url": child,
            "upstash-workflow-invoke": "true",
            "upstash-forward-upstash-workflow-invoke-count": depth,
            **failure_block(child, run_id, {"upstash-workflow-invoke-count": depth}),
        }
        if "retries" in invoke:
            headers["upstash-retries"] = str(invoke["retries"])
        if "retry_delay" in invoke:
            headers["upstash-retry-delay"] = invoke["retry_delay"]
        envelope = {
            "headers": {n: [v] for n, v in self._headers().items()},
            "workflowRunId": self.run_id,
            "workflowRunCreatedAt": 1,
            "workflowUrl": self.url,
            "step": data,
        }
        if invoke.get("body") is not None:
            envelope["body"] = json.dumps(invoke["body"])
        await self.endpoint.batch([(child, headers, json.dumps(envelope))])


def _named(step: Step, size: int) -> dict[str, Any]:
    return {"stepName": step.name, "stepType": step.type, "concurrent": size}


def failure_block(url: str, run_id: str, user: dict[str, str] | None = None) -> dict[str, str]:
    """What `client.trigger` says of the failure callback. Source: protocol 1.9."""
    prefix = "upstash-failure-callback"
    return {
        prefix: url,
        f"{prefix}-forward-upstash-workflow-is-failure": "true",
        f"{prefix}-forward-upstash-workflow-failure-callback": "true",
        f"{prefix}-workflow-runid": run_id,
        f"{prefix}-workflow-init": "false",
        f"{prefix}-workflow-url": url,
        f"{prefix}-workflow-calltype": "failureCall",
        f"{prefix}-feature-set": FEATURES,
        **{f"{prefix}-forward-{n}": v for n, v in (user or {}).items()},
    }


class Endpoint:
    """All endpoints and third parties of a test, in the place of `HttpOut`.

    Attributes:
        programs: by address.
        others: answer requests of other addresses.
        failed: what failure functions were told; `on_failure` answers them.
        visits: in the order in which they came.
        ran: the bodies, each by its run and the name of its step.
    """

    def __init__(self) -> None:
        self.programs: dict[str, Program] = {}
        self.others: Callable[[HttpRequest], HttpResponse] = lambda _r: HttpResponse(404)
        self.on_failure: Callable[[Visit], Any] | None = None
        self.visits: list[Visit] = []
        self.ran: list[tuple[str, str]] = []
        self.requests: list[HttpRequest] = []
        self.engine: DurableEngine

    def new_id(self) -> str:
        """Random, as an SDK's: the next process makes others."""
        return f"wfr_{secrets.token_hex(10)}"

    async def close(self) -> None: ...

    async def send(self, request: HttpRequest) -> HttpResponse:
        program = self.programs.get(request.url)
        self.requests.append(request)
        if program is None:
            return self.others(request)
        try:
            return await self._visited(request, program)
        except Failing as error:
            told = {"error": "Error", "message": str(error), "stack": "at x"}
            headers = {**ANSWERED, **error.headers}
            return HttpResponse(error.status, headers, json.dumps(told).encode())

    async def _visited(self, request: HttpRequest, program: Program) -> HttpResponse:
        headers = request.headers
        assert headers["User-Agent"] == "Upstash-QStash"
        assert headers["Content-Type"] == "application/json"
        body = json.loads(request.body)
        assert json.dumps(body, ensure_ascii=False, separators=(",", ":")) == request.body.decode()
        if headers.get("Upstash-Workflow-Is-Failure") == "true":
            return self._failed(Visit("failure", headers, body))
        if headers.get("Upstash-Workflow-Callback") == "true":
            return await self._answered(request.url, Visit("answer", headers, body))
        assert headers["Upstash-Workflow-Sdk-Version"] == "1"
        assert body[-1]["messageId"] == headers["Upstash-Message-Id"]
        elements = [base64.b64decode(e["body"], validate=True).decode() for e in body]
        steps = [json.loads(e) for e in elements[1:]]
        visit = Visit("visit", headers, body, steps)
        self.visits.append(visit)
        if headers.get("Upstash-Workflow-Unknown-Sdk") == "true":
            await self._trigger_again(request.url, headers, elements[0])
            return _done(headers)
        assert not _repeated(steps), "a step twice"
        context = Context(self, request.url, visit, elements[0])
        try:
            result = await program(context)
        except Stop:
            return _done(headers)
        except StateError:
            return _done(headers)  # 400: the run is over
        data = b"" if result is None else json.dumps(result).encode()
        await self.engine.wire.remote_ends.finish(context.run_id, data)
        return _done(headers)

    async def _answered(self, url: str, visit: Visit) -> HttpResponse:
        self.visits.append(visit)
        headers, body = visit.headers, visit.body
        assert "Upstash-Workflow-Sdk-Version" not in headers
        context = Context(self, url, visit, "")
        told = [headers[f"Upstash-Workflow-{n}"] for n in ("Stepid", "Stepname", "Concurrent")]
        assert headers["Upstash-Workflow-Steptype"] == "Call"
        assert headers["Upstash-Workflow-Contenttype"]
        out = {
            "status": body["status"],
            "header": body["header"],
            "body": base64.b64decode(body.get("body") or "").decode("latin-1"),
        }
        data = {
            "stepId": int(told[0]),
            "stepName": told[1],
            "stepType": "Call",
            "out": json.dumps(out),
            "concurrent": int(told[2]),
        }
        await context._submit([({}, data)])
        return _done(headers)

    def _failed(self, visit: Visit) -> HttpResponse:
        self.visits.append(visit)
        assert "Upstash-Workflow-Sdk-Version" not in visit.headers
        for name in ("status", "header", "body", "url", "sourceBody", "workflowRunId"):
            assert name in visit.body, name
        if self.on_failure is None:
            headers = {**ANSWERED, "upstash-workflow-failure-callback-notfound": ["true"]}
            return HttpResponse(200, headers, b"{}")
        told = self.on_failure(visit)
        return HttpResponse(200, ANSWERED, json.dumps({"result": told} if told else {}).encode())

    async def _trigger_again(self, url: str, headers: dict[str, str], payload: str) -> None:
        run_id = headers["Upstash-Workflow-Runid"]
        dropped = ("upstash-workflow-", "upstash-message", "upstash-retried", "upstash-signature")
        user = {n: v for n, v in headers.items() if not n.lower().startswith(dropped)}
        again = {
            "upstash-feature-set": FEATURES,
            "upstash-workflow-init": "true",
            "upstash-workflow-runid": run_id,
            "upstash-workflow-url": url,
            "upstash-workflow-sdk-version": "1",
            "upstash-workflow-trigger-by-sdk": "true",
            "upstash-forward-upstash-workflow-sdk-version": "1",
            **{f"upstash-forward-{n}": v for n, v in user.items()},
        }
        await self.batch([(url, again, payload)])

    # What an SDK sends to the server.

    async def batch(self, items: list[tuple[str, dict[str, str], str]]):
        return await self.engine.wire.runs.accept(
            [Incoming(parse_message(u, h.items()), b.encode()) for u, h, b in items]
        )

    async def trigger(
        self,
        url: str,
        run_id: str,
        body: Any = None,
        user: dict[str, str] | None = None,
        **more: str,
    ):
        """`client.trigger` of the JS SDK."""
        headers = {
            "content-type": "application/json",
            "upstash-method": "POST",
            "upstash-feature-set": FEATURES,
            "upstash-workflow-init": "true",
            "upstash-workflow-runid": run_id,
            "upstash-workflow-url": url,
            "upstash-workflow-sdk-version": "1",
            "upstash-forward-upstash-workflow-sdk-version": "1",
            **{f"upstash-forward-{n}": v for n, v in (user or {}).items()},
            **failure_block(url, run_id, user),
            **{f"upstash-{n.replace('_', '-')}": v for n, v in more.items()},
        }
        (done,) = await self.batch([(url, headers, "" if body is None else json.dumps(body))])
        return done

    async def wait(self, event: str, asked: dict[str, Any]) -> None:
        await self.engine.wire.waits.wait(event, json.dumps(asked).encode())


def _done(headers: dict[str, str]) -> HttpResponse:
    told = {"workflowRunId": headers["Upstash-Workflow-Runid"], "finishCondition": "success"}
    return HttpResponse(200, ANSWERED, json.dumps(told).encode())


def _repeated(steps: list[dict[str, Any]]) -> bool:
    keys = [(s["stepId"], s.get("targetStep")) for s in steps]
    return len({*keys}) < len(keys)
