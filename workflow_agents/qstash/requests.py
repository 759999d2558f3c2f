"""The requests by which a run advances on a QStash server: exactly what the JS SDK 1.x sends.

Values in, requests out; nothing is sent from here. Source: protocol 1.9, 2.8, 3.2 and 4.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from workflow_agents.core.flow_control import FlowControl
from workflow_agents.core.journal import Call
from workflow_agents.core.model_asks import ModelAsk
from workflow_agents.core.options import RunOptions
from workflow_agents.core.redaction import redacted_fields
from workflow_agents.core.retry import DEFAULT_RETRIES
from workflow_agents.protocol.codec import decode
from workflow_agents.protocol.history import StepKey, StepKind
from workflow_agents.protocol.wire_steps import WireStep
from workflow_agents.qstash.connection import ServerRequest

FEATURES = "LazyFetch,InitialBody,WF_DetectTrigger,WF_TriggerOnConfig"
"""What every message of a run carries: its configuration is given once, with the trigger."""

CALL_FEATURES = "WF_NoDelete,InitialBody"
VERSION = "1"
JSON = "application/json"

_BATCH = "/v2/batch"
_ITEMS = 100
"""In one batch: its body stays small enough for any server."""

Headers = dict[str, str]


class RunAddress(NamedTuple):
    """A run, as its messages name it; `depth`: how many runs above it invoked each other."""

    run_id: str
    url: str
    depth: int = 0


def whole_seconds(ms: int) -> int:
    """The wire counts seconds; nothing ends too early."""
    return -(-ms // 1000)


# Runs begin.


def trigger(
    run: RunAddress,
    body: bytes,
    options: RunOptions,
    *,
    failure_url: str | None,
    not_before: int | None = None,
    by_sdk: bool = False,
) -> ServerRequest:
    """Start a run. Source: protocol 1.9.

    Args:
        run: its id and the address of its workflow.
        body: the payload.
        options: all that holds for it.
        failure_url: is told when it has failed; the workflow's own calls its failure function.
        not_before: Unix milliseconds.
        by_sdk: this repeats a trigger that the server had begun without an SDK.
    """
    headers = _run_headers(run, options, failure_url, init=True)
    if not_before is not None:
        headers["upstash-not-before"] = str(whole_seconds(not_before))
    if by_sdk:
        headers["upstash-workflow-trigger-by-sdk"] = "true"
    return _message(run.url, headers, body)


def invoke(
    parent: RunAddress,
    child: RunAddress,
    body: bytes,
    options: RunOptions,
    *,
    created_at: int,
    step: WireStep,
) -> ServerRequest:
    """Start a run whose end is the result of a step of another. Source: protocol 4.6."""
    headers = _run_headers(child, options, child.url, init=True)
    headers["upstash-workflow-invoke"] = "true"
    # `headers` is how the parent is visited when the child has ended.
    envelope = {
        "body": body.decode("utf-8", "replace"),
        "headers": _values({**step_headers(parent), "Upstash-Workflow-RunId": parent.run_id}),
        "workflowRunId": parent.run_id,
        "workflowRunCreatedAt": created_at,
        "workflowUrl": parent.url,
        "step": step.to_json(),
    }
    return ServerRequest("POST", f"/v2/publish/{child.url}", headers, _json(envelope))


def _run_headers(
    run: RunAddress, options: RunOptions, failure_url: str | None, *, init: bool
) -> Headers:
    headers = step_headers(run, init=init)
    given = {name: str(value) for name, value in options.headers.items()}
    headers["content-type"] = given.pop("content-type", JSON)
    headers |= _prefixed("upstash-forward-", given)
    shared = _delivery_options(options)
    headers |= _prefixed("upstash-", shared)
    if options.labels:
        headers["upstash-label"] = headers["upstash-forward-upstash-label"] = ",".join(
            options.labels
        )
    if redact := redacted_fields(options.redact):
        headers["upstash-redact-fields"] = redact
    if failure_url is not None:
        headers |= _failure_headers(run, failure_url, given, shared)
    return headers


def _failure_headers(
    run: RunAddress, failure_url: str, given: Mapping[str, str], shared: Mapping[str, str]
) -> Headers:
    prefix = "upstash-failure-callback"
    headers = {
        prefix: failure_url,
        f"{prefix}-forward-upstash-workflow-is-failure": "true",
        f"{prefix}-forward-upstash-workflow-failure-callback": "true",
        f"{prefix}-workflow-runid": run.run_id,
        f"{prefix}-workflow-init": "false",
        f"{prefix}-workflow-url": run.url,
        f"{prefix}-workflow-calltype": "failureCall",
        f"{prefix}-feature-set": FEATURES,
    }
    if run.depth:
        headers[f"{prefix}-forward-upstash-workflow-invoke-count"] = str(run.depth)
    return headers | _prefixed(f"{prefix}-forward-", given) | _prefixed(f"{prefix}-", shared)


def _delivery_options(options: RunOptions) -> Headers:
    headers: Headers = {}
    if options.retries is not None and options.retries != DEFAULT_RETRIES:
        headers["retries"] = str(options.retries)
    if options.retry_delay is not None:
        headers["retry-delay"] = options.retry_delay
    return headers | _flow_headers(options.flow_control)


def _flow_headers(flow: FlowControl | None) -> Headers:
    if flow is None:
        return {}
    return {"flow-control-key": flow.key, "flow-control-value": flow.to_value()}


def override_headers(options: RunOptions) -> Headers:
    """What a dead letter's new run is given in place of its own. Source: protocol 5.4."""
    headers = _prefixed("upstash-", _delivery_options(options))
    if options.retries == DEFAULT_RETRIES:
        headers["upstash-retries"] = str(DEFAULT_RETRIES)
    if options.labels:
        headers["upstash-label"] = ",".join(options.labels)
    return headers


# Runs advance.


def step_headers(run: RunAddress, *, init: bool = False) -> Headers:
    """What every message of a run carries. Source: protocol 2.8."""
    headers = {
        "content-type": JSON,
        "upstash-method": "POST",
        "upstash-feature-set": FEATURES,
        "upstash-workflow-init": "true" if init else "false",
        "upstash-workflow-runid": run.run_id,
        "upstash-workflow-url": run.url,
        "upstash-workflow-sdk-version": VERSION,
        "upstash-forward-upstash-workflow-sdk-version": VERSION,
    }
    if run.depth:
        headers["upstash-forward-upstash-workflow-invoke-count"] = str(run.depth)
    return headers


def steps(
    run: RunAddress, submitted: Iterable[tuple[WireStep, Mapping[str, str]]]
) -> ServerRequest:
    """Submit results, or plans: each with the headers that are its own, such as a delay."""
    return _batch(
        [_item(run.url, {**step_headers(run), **own}, _json(s.to_json())) for s, own in submitted]
    )


def call(
    run: RunAddress, step: WireStep, request: Call, headers: Mapping[str, str]
) -> ServerRequest:
    """Have the server make a request, and tell the workflow what was answered.

    Args:
        run: the run.
        step: its number, name and group.
        request: what is to be requested.
        headers: of it, with every secret in plain: the server has no other way to know them.
    """
    sent = dict(headers)
    content_type = sent.pop("content-type", JSON)
    own = {
        **step_headers(run),
        "content-type": content_type,
        "upstash-method": request.method,
        "upstash-retries": str(request.policy.retries),
        "upstash-feature-set": CALL_FEATURES,
        "upstash-workflow-calltype": "toCallback",
    }
    del own["upstash-forward-upstash-workflow-sdk-version"]
    if request.policy.delay is not None:
        own["upstash-retry-delay"] = request.policy.delay.text
    if request.timeout_ms is not None:
        own["upstash-timeout"] = f"{whole_seconds(request.timeout_ms)}s"
    own |= _prefixed("upstash-", _flow_headers(request.flow_control))
    own |= _prefixed("upstash-forward-", sent)
    return _message(request.url, own | _callback_headers(run, step, content_type), request.body)


def _callback_headers(run: RunAddress, step: WireStep, content_type: str) -> Headers:
    forwarded = {
        "callback": "true",
        "stepid": str(step.step_id),
        "stepname": header_text(step.name),
        "steptype": step.type,
        "concurrent": str(step.concurrent),
        "contenttype": content_type,
    }
    if run.depth:
        forwarded["invoke-count"] = str(run.depth)
    return {
        "upstash-callback": run.url,
        "upstash-callback-workflow-runid": run.run_id,
        "upstash-callback-workflow-calltype": "fromCallback",
        "upstash-callback-workflow-init": "false",
        "upstash-callback-workflow-url": run.url,
        "upstash-callback-feature-set": FEATURES,
        **_prefixed("upstash-callback-forward-upstash-workflow-", forwarded),
    }


def call_result(run: RunAddress, step: WireStep) -> ServerRequest:
    """Submit what a third party answered. Source: protocol 4.3 (e)."""
    return ServerRequest("POST", f"/v2/publish/{run.url}", step_headers(run), _json(step.to_json()))


def wait(run: RunAddress, step: WireStep, event_id: str, timeout_ms: int) -> ServerRequest:
    """Wait for an event. Source: protocol 4.4."""
    headers = step_headers(run) | {"upstash-workflow-calltype": "step"}
    told = {
        "url": run.url,
        "timeout": f"{whole_seconds(timeout_ms)}s",
        "timeoutUrl": run.url,
        "timeoutHeaders": _values(headers),
        "step": step.to_json(),
    }
    return ServerRequest("POST", f"/v2/wait/{quote(event_id, safe='')}", headers, _json(told))


def notify(event_id: str, data: bytes, run_id: str | None) -> ServerRequest:
    """Notify an event; with a run, only its waits, or its next one. Source: protocol 4.5."""
    run = "" if run_id is None else f"{quote(run_id, safe='')}/"
    return ServerRequest("POST", f"/v2/notify/{run}{quote(event_id, safe='')}", {}, data)


def finish(run_id: str, result: bytes) -> ServerRequest:
    """The function returned. Source: protocol 4.9."""
    return ServerRequest("DELETE", f"{_run_path(run_id)}?cancel=false", {}, result)


def cancel(run_id: str) -> ServerRequest:
    """End the run as cancelled. Source: protocol 4.8."""
    return ServerRequest("DELETE", f"{_run_path(run_id)}?cancel=true", {})


def fork(
    run_id: str,
    options: RunOptions,
    step: StepKey | None,
    body: bytes | None,
    result: bytes | None,
    ask: ModelAsk | None,
) -> ServerRequest:
    """Begin a run like another one. Ours alone."""
    asked: dict[str, Any] = {
        "step": step,
        "retries": options.retries,
        "retryDelay": options.retry_delay,
        "label": list(options.labels) or None,
        **({} if ask is None else ask._asdict()),
    }
    told = {name: value for name, value in asked.items() if value is not None}
    for name, content in (("payload", body), ("result", result)):
        if content is not None:
            told[name] = decode(content)
    return ServerRequest("POST", f"{_run_path(run_id)}/fork", {}, _json(told))


def fetch(run_id: str) -> ServerRequest:
    """Every raw step of a run. Source: protocol 1.7."""
    return ServerRequest("GET", _run_path(run_id), {})


def sleep_headers(kind: StepKind, ms: int) -> Headers:
    """The delay of a sleep's message; `ms`: its length, or its end. Source: protocol 4.2."""
    if kind is StepKind.SLEEP:
        return {"upstash-delay": f"{whole_seconds(ms)}s"}
    return {"upstash-not-before": str(whole_seconds(ms))}


def header_text(name: str) -> str:
    """A step's name as a header can carry it: percent-encoded, where it must be."""
    plain = name.isascii() and name.isprintable() and name == name.strip()
    if plain and not name.startswith("percent:"):
        return name
    return f"percent:{quote(name, safe='')}"


def from_header_text(text: str) -> str:
    """The reverse of `header_text`."""
    return unquote(text.removeprefix("percent:")) if text.startswith("percent:") else text


# Parts.


def _message(destination: str, headers: Headers, body: bytes) -> ServerRequest:
    """One message: in a batch, as the SDK does; published by itself where it is no text."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return ServerRequest("POST", f"/v2/publish/{destination}", headers, body)
    return _batch([_item(destination, headers, body)])


def _item(destination: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    item: dict[str, Any] = {"destination": destination, "headers": dict(headers)}
    if body:
        item["body"] = body.decode()
    return item


def _batch(items: Sequence[Mapping[str, Any]]) -> ServerRequest:
    return ServerRequest("POST", _BATCH, {"content-type": JSON}, _json(items))


def joined(given: Sequence[ServerRequest]) -> Iterator[tuple[ServerRequest, int]]:
    """The same with fewer requests: batches become one; with each, how many it stands for.

    In order: what is no batch, because its body is no text, stays where it is.
    """
    for is_batch, group in groupby(given, lambda one: one.path == _BATCH):
        together = [*group]
        while is_batch and together:
            part, together = together[:_ITEMS], together[_ITEMS:]
            items = b",".join(one.body[1:-1] for one in part)
            yield part[0]._replace(body=b"[%b]" % items), len(part)
        yield from ((one, 1) for one in together)


def _run_path(run_id: str) -> str:
    return f"/v2/workflows/runs/{quote(run_id, safe='')}"


def _prefixed(prefix: str, headers: Mapping[str, str]) -> Headers:
    return {prefix + name: value for name, value in headers.items()}


def _values(headers: Mapping[str, str]) -> dict[str, list[str]]:
    return {name: [value] for name, value in headers.items()}


def _json(data: object) -> bytes:
    # Surrogates that Python lets pass, and UTF-8 does not, become escapes.
    return json.dumps(data, ensure_ascii=True, separators=(",", ":")).encode()
