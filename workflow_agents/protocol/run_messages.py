"""How the messages of a remote run are delivered: the run's configuration and their own.

Values in, values out. Under `WF_TriggerOnConfig` a run is configured once, by the message that
begins it, and every later one adds to that; without it each message says everything itself.
Source: protocol 2.4, 3.4, 4.3, 5.3.
"""

from collections.abc import Iterable
from dataclasses import replace

from workflow_agents.protocol.message import (
    DETECT_TRIGGER,
    INITIAL_BODY,
    JSON_TYPE,
    LAZY_FETCH,
    TRIGGER_ON_CONFIG,
    MessageSpec,
    WorkflowPart,
    parse_message,
)
from workflow_agents.protocol.message_headers import CONTENT_TYPE, canonical_name

VERSION = "Upstash-Workflow-Sdk-Version"
"""Marks a normal visit. The answer to a call and the notice of a failure must not have it."""

RUN_ID = "Upstash-Workflow-Runid"
UNKNOWN_SDK = "Upstash-Workflow-Unknown-Sdk"

_ALL_FEATURES = frozenset({LAZY_FETCH, INITIAL_BODY, DETECT_TRIGGER, TRIGGER_ON_CONFIG})
_ANSWER_HEADERS = frozenset(
    f"Upstash-Workflow-{name}"
    for name in ("Callback", "Stepid", "Stepname", "Steptype", "Concurrent", "Contenttype")
)
_OF_ONE_VISIT = frozenset({CONTENT_TYPE, UNKNOWN_SDK, *_ANSWER_HEADERS})
_FEATURES = "LazyFetch,InitialBody,WF_DetectTrigger,WF_TriggerOnConfig"


def features_of(spec: MessageSpec) -> frozenset[str]:
    """What its SDK can do, or asks for."""
    return frozenset[str]() if spec.workflow is None else spec.workflow.features


def visit_of(config: MessageSpec, own: MessageSpec) -> MessageSpec:
    """A message of a run as it is delivered, but for what the server adds to every visit.

    Args:
        config: of the run: the message that began it.
        own: of this message; the same one for the first visit.
    """
    merged = own
    if own is not config and TRIGGER_ON_CONFIG in features_of(own):
        kept = {n: v for n, v in config.headers.items() if n not in _OF_ONE_VISIT}
        merged = replace(
            own,
            headers={**kept, **own.headers},
            retries=config.retries if own.retries is None else own.retries,
            retry_delay=own.retry_delay or config.retry_delay,
            timeout_ms=own.timeout_ms or config.timeout_ms,
            flow_key=flow_key_of(config, own),
            flow_value=own.flow_value or config.flow_value,
            labels=own.labels or config.labels,
            redact=own.redact or config.redact,
        )
    if own.failure_callback is None and config.failure_callback is not None:
        merged = replace(
            merged,
            failure_callback=config.failure_callback,
            failure_callback_headers=config.failure_callback_headers,
        )
    # Its body is JSON, whatever the run was started with.
    return replace(merged, headers={**merged.headers, CONTENT_TYPE: JSON_TYPE, VERSION: "1"})


def flow_key_of(config: MessageSpec, own: MessageSpec) -> str | None:
    """The key that holds back a message of a run; see `visit_of`."""
    if own.flow_key or TRIGGER_ON_CONFIG not in features_of(own):
        return own.flow_key
    return config.flow_key


def answer_visit_of(config: MessageSpec, own: MessageSpec) -> MessageSpec:
    """The visit that brings the answer to a call: as any other, and without the mark of one."""
    return _unmarked(visit_of(config, own))


def answer_spec(call: MessageSpec) -> MessageSpec:
    """The message that brings what came of a call step's request."""
    return _json_message(call.callback or "", call.callback_headers.items())


def failure_spec(spec: MessageSpec) -> MessageSpec | None:
    """The message that tells of the end of a run whose visit failed for good; None: nobody.

    Args:
        spec: of the visit, as `visit_of` makes it.
    """
    if spec.failure_callback is None:
        return None
    return _unmarked(_json_message(spec.failure_callback, spec.failure_callback_headers.items()))


def _json_message(url: str, headers: Iterable[tuple[str, str]]) -> MessageSpec:
    given = [(n, v) for n, v in headers if n.lower() != "content-type"]
    return parse_message(url, [(CONTENT_TYPE, JSON_TYPE), *given])


def _unmarked(spec: MessageSpec) -> MessageSpec:
    return replace(spec, headers={n: v for n, v in spec.headers.items() if n != VERSION})


def step_of_call(spec: MessageSpec) -> tuple[int, str]:
    """The number and the name of the step whose request a message is; 0: it names none.

    Source: protocol 4.3, the headers that the callback brings back.
    """
    told = spec.callback_headers
    number = told.get("Upstash-Forward-Upstash-Workflow-Stepid", "")
    name = told.get("Upstash-Forward-Upstash-Workflow-Stepname", "")
    return int(number) if number.isascii() and number.isdigit() else 0, name


def rest_trigger(spec: MessageSpec, run_id: str) -> MessageSpec:
    """A trigger of somebody who has no SDK, with all that an SDK would have said.

    The failure callback is the workflow itself, unless another one is given; it brings the
    forwarded headers along. Source: protocol 3.4.
    """
    part = spec.workflow or WorkflowPart()
    user = _user_headers(spec)
    headers = {**spec.headers, **user, VERSION: "1"}
    if part.unknown_sdk:
        headers[UNKNOWN_SDK] = "true"
    return replace(
        spec,
        headers=headers,
        failure_callback=spec.failure_callback or spec.url,
        failure_callback_headers={
            **_failure_headers(spec, user, run_id),
            **spec.failure_callback_headers,
        },
        workflow=replace(
            part, run_id=run_id, init=True, url=spec.url, features=_ALL_FEATURES,
            sdk_version="1", rest=True,
        ),
    )  # fmt: skip


def _user_headers(spec: MessageSpec) -> dict[str, str]:
    without = {CONTENT_TYPE, UNKNOWN_SDK, VERSION}
    user = {n: v for n, v in spec.headers.items() if n not in without}
    if spec.labels:
        user.setdefault("Upstash-Label", ",".join(spec.labels))
    return user


def _failure_headers(spec: MessageSpec, user: dict[str, str], run_id: str) -> dict[str, str]:
    said = {
        "workflow-runid": run_id,
        "workflow-init": "false",
        "workflow-url": spec.url,
        "workflow-calltype": "failureCall",
        "feature-set": _FEATURES,
        "forward-upstash-workflow-is-failure": "true",
        "forward-upstash-workflow-failure-callback": "true",
        "retries": None if spec.retries is None else str(spec.retries),
        "retry-delay": spec.retry_delay,
        "flow-control-key": spec.flow_key,
        "flow-control-value": spec.flow_value,
        **{f"forward-{name}": value for name, value in user.items()},
    }
    return {canonical_name(f"upstash-{n}"): v for n, v in said.items() if v is not None}


def triggered_again(original: MessageSpec, again: MessageSpec) -> MessageSpec:
    """The trigger of an SDK that was asked to trigger a run again.

    Its headers count; what it does not mention stays as it was. Source: protocol 3.4.
    """
    merged = replace(
        again,
        retries=original.retries if again.retries is None else again.retries,
        retry_delay=again.retry_delay or original.retry_delay,
        timeout_ms=again.timeout_ms or original.timeout_ms,
        flow_key=again.flow_key or original.flow_key,
        flow_value=again.flow_value or original.flow_value,
        labels=again.labels or original.labels,
        redact=again.redact or original.redact,
    )
    if again.failure_callback is None:
        merged = replace(
            merged,
            failure_callback=original.failure_callback,
            failure_callback_headers=original.failure_callback_headers,
        )
    part = again.workflow or WorkflowPart()
    rest = original.workflow is not None and original.workflow.rest
    return replace(merged, workflow=replace(part, unknown_sdk=False, rest=rest))


def overridden(spec: MessageSpec, over: MessageSpec) -> MessageSpec:
    """A message with what a resume or a restart says of it. Source: protocol 5.4."""
    told = spec.failure_callback_headers
    if over.failure_callback is not None:
        told = _failure_headers(spec, _user_headers(spec), spec.run_id or "") | told
    return replace(
        spec,
        retries=spec.retries if over.retries is None else over.retries,
        retry_delay=over.retry_delay or spec.retry_delay,
        delay_ms=over.delay_ms,
        not_before=over.not_before,
        flow_key=over.flow_key or spec.flow_key,
        flow_value=over.flow_value or spec.flow_value,
        labels=over.labels or spec.labels,
        failure_callback=over.failure_callback or spec.failure_callback,
        failure_callback_headers=told | over.failure_callback_headers,
    )
