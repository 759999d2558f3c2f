"""A message as it is published: where it goes, how, when, and what follows.

It is read from the headers of a request (or of an item of a batch) and from query parameters
of the same names, and kept as JSON. Nothing is decided here: retry delays, flow control and
cron lines stay text, which the engine checks when it takes the message. Source: protocol 2.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from typing import Any

from workflow_agents.errors import ConfigurationError
from workflow_agents.protocol import message_headers as read
from workflow_agents.protocol.times import shown

JSON_TYPE = "application/json"

TRIGGER_ON_CONFIG = "WF_TriggerOnConfig"
DETECT_TRIGGER = "WF_DetectTrigger"
NO_DELETE = "WF_NoDelete"
INITIAL_BODY = "InitialBody"
LAZY_FETCH = "LazyFetch"


@dataclass(frozen=True, slots=True)
class WorkflowPart:
    """What a message says of a run. Source: protocol 2.3, 2.4.

    Attributes:
        run_id: of the run; None: not given, as in a trigger that leaves it to the server.
        init: it creates the run (True), or belongs to one (False); None: not said.
        url: of the workflow.
        call_type: `step`, `toCallback`, `fromCallback`, `failureCall`; "": not given.
        features: the feature set.
        sdk_version: of the protocol; "": not given.
        invoke: it starts a run whose end is a step of another.
        unknown_sdk: the first visit asks the SDK to publish the trigger again.
        trigger_by_sdk: this is that trigger.
        invoke_count: how many runs above this one invoked each other.
        rest: the run was triggered without an SDK.
    """

    run_id: str | None = None
    init: bool | None = None
    url: str | None = None
    call_type: str = ""
    features: frozenset[str] = frozenset()
    sdk_version: str = ""
    invoke: bool = False
    unknown_sdk: bool = False
    trigger_by_sdk: bool = False
    invoke_count: int = 0
    rest: bool = False


@dataclass(frozen=True, slots=True)
class MessageSpec:
    """A message, but for its body.

    Attributes:
        url: where it goes; "" where it goes to a URL group.
        url_group: the name of the group.
        method: of the delivery.
        headers: what is delivered: forwarded headers without their prefix, and the content
            type; canonical names. What the server sets itself is left out.
        retries: after the first attempt; None: not given.
        retry_delay: an expression in milliseconds, as it was given.
        timeout_ms: of each attempt.
        delay_ms: before the first attempt.
        not_before: Unix milliseconds; counts before `delay_ms`.
        callback: is sent the answer.
        callback_headers: configure the callback's message: `Upstash-Retries`,
            `Upstash-Forward-X`, ...; `parse_message` reads them again.
        failure_callback: is told when all attempts have failed.
        failure_callback_headers: likewise.
        flow_key: the key of flow control.
        flow_value: its limits, as they were given.
        labels: found in lists and logs.
        redact: what logs do not show: {"body": True, "header": True or names}.
        deduplication_id: messages with the same one are accepted once.
        content_based_deduplication: so are messages with the same content.
        queue: in which it waits for its turn.
        cron: of a schedule: when.
        schedule_id: of a schedule: its id.
        workflow: what it says of a run; None: nothing.
    """

    url: str = ""
    url_group: str | None = None
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=dict[str, str])
    retries: int | None = None
    retry_delay: str | None = None
    timeout_ms: int | None = None
    delay_ms: int | None = None
    not_before: int | None = None
    callback: str | None = None
    callback_headers: dict[str, str] = field(default_factory=dict[str, str])
    failure_callback: str | None = None
    failure_callback_headers: dict[str, str] = field(default_factory=dict[str, str])
    flow_key: str | None = None
    flow_value: str | None = None
    labels: tuple[str, ...] = ()
    redact: dict[str, bool | list[str]] | None = None
    deduplication_id: str | None = None
    content_based_deduplication: bool = False
    queue: str | None = None
    cron: str | None = None
    schedule_id: str | None = None
    workflow: WorkflowPart | None = None

    @property
    def run_id(self) -> str | None:
        """The run that it belongs to or creates; None: it is a plain message."""
        return None if self.workflow is None else self.workflow.run_id

    @property
    def content_type(self) -> str:
        """Of the body; "" where none was given."""
        return self.headers.get(read.CONTENT_TYPE, "")

    def to_json(self) -> dict[str, Any]:
        """As JSON data, without what has its default."""
        data = _compact(self)
        if self.labels:
            data["labels"] = list(self.labels)
        if self.workflow is not None:
            part = _compact(self.workflow)
            if "features" in part:
                part["features"] = sorted(self.workflow.features)
            data["workflow"] = part
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "MessageSpec":
        """The reverse of `to_json`."""
        given = dict(data)
        if "labels" in given:
            given["labels"] = tuple(given["labels"])
        if "workflow" in given:
            part = dict(given["workflow"])
            part["features"] = frozenset(part.get("features", ()))
            given["workflow"] = WorkflowPart(**part)
        return cls(**given)


def _compact(value: MessageSpec | WorkflowPart) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for name, default in _defaults(type(value)):
        found: Any = getattr(value, name)
        if found != default:
            data[name] = found
    return data


@cache
def _defaults(kind: type[MessageSpec | WorkflowPart]) -> list[tuple[str, object]]:
    # All that have a factory are dictionaries.
    return [(one.name, {} if one.default is MISSING else one.default) for one in fields(kind)]


def parse_message(
    destination: str,
    headers: Iterable[tuple[str, str]],
    query: Mapping[str, list[str]] | None = None,
    *,
    queue: str | None = None,
) -> MessageSpec:
    """Read a message from the headers of a request, or of an item of a batch.

    Args:
        destination: an http or https address, or the name of a URL group.
        headers: in any case; of one that repeats, the last counts, and forwarded ones are
            joined by commas.
        query: parameters with the names of headers; a header counts before them.
        queue: in which it is to wait, where the request says so elsewhere.

    Raises:
        ConfigurationError: WA121, with the header named.
    """
    families = read.split_headers(headers, query)
    own = families.own
    url, group = _destination(destination)
    if queue is not None and not read.is_name(queue):
        raise read.bad_header("upstash-queue-name", "1 to 256 letters, digits and - _ .", queue)
    sent = families.forwarded
    if families.content_type:
        sent = {read.CONTENT_TYPE: families.content_type, **sent}
    callback, failure = read.url_of(own, "callback"), read.url_of(own, "failure-callback")
    _check_later(callback, families.callback, "Upstash-Callback")
    _check_later(failure, families.failure_callback, "Upstash-Failure-Callback")
    return MessageSpec(
        url=url,
        url_group=group,
        method=read.method_of(own),
        headers=sent,
        retries=read.count_of(own, "retries"),
        retry_delay=read.text_of(own, "retry-delay"),
        timeout_ms=read.duration_of(own, "timeout"),
        delay_ms=read.duration_of(own, "delay"),
        not_before=read.instant_of(own, "not-before"),
        callback=callback,
        callback_headers=families.callback if callback else {},
        failure_callback=failure,
        failure_callback_headers=families.failure_callback if failure else {},
        flow_key=read.name_of(own, "flow-control-key"),
        flow_value=read.text_of(own, "flow-control-value"),
        labels=read.names_of(own, "label"),
        redact=read.redaction_of(own),
        deduplication_id=read.text_of(own, "deduplication-id"),
        content_based_deduplication=read.flag(own, "content-based-deduplication"),
        queue=queue or read.name_of(own, "queue-name"),
        cron=read.text_of(own, "cron"),
        schedule_id=read.name_of(own, "schedule-id"),
        workflow=_workflow_part(own, sent),
    )


def _destination(destination: str) -> tuple[str, str | None]:
    if read.is_url(destination):
        return destination, None
    if read.is_name(destination):
        return "", destination
    raise ConfigurationError(
        "WA121",
        "a message goes to an http or https address, or to a URL group",
        where="the destination",
        found=shown(destination),
        fix=("https://example.com/path", "the name of a URL group: letters, digits and - _ ."),
    )


def _check_later(url: str | None, headers: Mapping[str, str], family: str) -> None:
    """Refuse now what would make the message that comes later unreadable."""
    if url is None or not headers:
        return
    try:
        parse_message(url, headers.items())
    except ConfigurationError as error:
        # Without its prefix, it would be taken for a header of this message.
        what = error.what.replace("header Upstash-", f"header {family}-", 1)
        raise ConfigurationError(
            "WA121", what, where=f"the headers {family}-...", found=error.found
        ) from error


def _workflow_part(own: Mapping[str, str], sent: Mapping[str, str]) -> WorkflowPart | None:
    unknown = "workflow-unknown-sdk"
    # An SDK that triggers for another forwards this mark; the REST trigger carries it itself.
    forwarded_unknown = sent.get(read.canonical_name(f"upstash-{unknown}"), "").lower() == "true"
    if not forwarded_unknown and not any(name.startswith("workflow-") for name in own):
        return None
    depth = "workflow-invoke-count"
    told = {depth: sent.get(read.canonical_name(f"upstash-{depth}"), own.get(depth, ""))}
    features = own.get("feature-set", "").split(",")
    init = read.text_of(own, "workflow-init")
    return WorkflowPart(
        run_id=read.text_of(own, "workflow-runid"),
        init=None if init is None else init.lower() == "true",
        url=read.text_of(own, "workflow-url"),
        call_type=own.get("workflow-calltype", ""),
        features=frozenset(text.strip() for text in features if text.strip()),
        sdk_version=own.get("workflow-sdk-version", ""),
        invoke=read.flag(own, "workflow-invoke"),
        unknown_sdk=forwarded_unknown or read.flag(own, unknown),
        trigger_by_sdk=read.flag(own, "workflow-trigger-by-sdk"),
        invoke_count=read.count_of(told, depth) or 0,
    )


def content_key(spec: MessageSpec, body: bytes) -> str:
    """What messages with the same content have in common, for deduplication by content.

    The content is the destination, the body and all headers that are delivered.
    """
    digest = hashlib.sha256()
    sent = [part for item in sorted(spec.headers.items()) for part in item]
    for part in (spec.url, spec.url_group or "", spec.method, *sent):
        data = part.encode()
        digest.update(b"%d:" % len(data) + data)
    digest.update(b"body:" + body)
    return digest.hexdigest()
