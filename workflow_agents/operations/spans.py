"""The spans of a run, made of its feed once it has ended. Pure.

A span is nothing that happened in a process: it is a run, or a step of it, from the record. So
its ids follow from the run's id and the step's key, and however often a run was replayed, resumed
after a crash or looked at, its spans are the same, and each is there once.

When a step began is known where it waited. A step whose body ran at once is recorded when it has
ended; it began when that was stored which it came after: the step before it in its branch, or the
one behind which its branch was forked.

Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

from workflow_agents.core.step_logs import FeedEntry
from workflow_agents.protocol.history import StepKey

Attribute = str | int | tuple[str, ...]

_PROVIDERS = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "api.mistral.ai": "mistral_ai",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.x.ai": "x_ai",
    "api.cohere.com": "cohere",
    "api.perplexity.ai": "perplexity",
    "generativelanguage.googleapis.com": "gcp.gemini",
}
_TOOL = "Run tool "
_AGENT = "Call Agent "
_OUTCOMES = {"STEP_SUCCESS": True, "STEP_FAILED": False}
_ENDS = {"RUN_SUCCESS": "", "RUN_FAILED": "failed", "RUN_CANCELED": "canceled"}


class Moment(NamedTuple):
    """Something within a span.

    Attributes:
        name: what.
        at: Unix milliseconds.
        attributes: what is known of it.
    """

    name: str
    at: int
    attributes: Mapping[str, Attribute]


@dataclass(slots=True)
class Span:
    """A run, or a step of one.

    Attributes:
        id: of the span.
        parent: the id of the span that it lies in; 0: in none.
        name: as the conventions want it.
        client: a request to somebody else.
        began_at: Unix milliseconds.
        ended_at: Unix milliseconds.
        error: the type of what failed; "": nothing did.
        message: what is told of it.
        attributes: in the words of the conventions.
        moments: attempts that failed.
    """

    id: int
    parent: int
    name: str
    client: bool
    began_at: int
    ended_at: int
    error: str = ""
    message: str = ""
    attributes: dict[str, Attribute] = field(default_factory=dict[str, Attribute])
    moments: list[Moment] = field(default_factory=list[Moment])


def trace_id_of(run_id: str) -> int:
    """The trace of a run that nobody invoked, and of all runs below it."""
    return _id(16, "trace", run_id)


def span_id_of(run_id: str, step: StepKey | None = None) -> int:
    """The span of a run, or of a step of it."""
    return _id(8, "span", run_id) if step is None else _id(8, "span", run_id, str(step))


def _id(size: int, *parts: str) -> int:
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:size]) or 1


class RunFacts(NamedTuple):
    """What the spans of a run say beside its feed.

    Attributes:
        run_id: its id.
        workflow: its path or address.
        parent: the span of the step that invoked it; 0: nobody did.
        labels: as given.
        models: that requests asked for, by the place of their entry in the feed.
    """

    run_id: str
    workflow: str
    parent: int
    labels: tuple[str, ...]
    models: Mapping[int, str]


@dataclass(slots=True)
class _Step:
    began_at: int | None
    name: str
    type: str
    request: Mapping[str, Any] | None = None
    model: str = ""
    moments: list[Moment] = field(default_factory=list[Moment])


def spans_of(facts: RunFacts, entries: Iterable[FeedEntry]) -> list[Span]:
    """The spans of a run that has ended: its steps in the order of their ends, itself last."""
    steps: dict[StepKey, _Step] = {}
    ends: dict[StepKey, int] = {}
    spans: list[Span] = []
    whole = Span(span_id_of(facts.run_id), facts.parent, f"workflow {facts.workflow}", False, 0, 0)
    for entry in entries:
        whole.began_at = whole.began_at or entry.at
        whole.ended_at = entry.at
        if entry.kind in _ENDS:
            whole.error, whole.message = _failure(entry.data, _ENDS[entry.kind])
            break
        if entry.kind == "RUN_RETRY":
            whole.moments.append(_retry(entry))
        if entry.step is None or entry.step in ends:
            continue
        step = steps.setdefault(
            entry.step, _Step(None, entry.step_name or "", entry.step_type or "")
        )
        step.name = step.name or entry.step_name or ""
        if entry.kind in _OUTCOMES:
            began_at = step.began_at or _behind(entry.step, ends) or whole.began_at
            ends[entry.step] = entry.at
            spans.append(_span(facts, entry, step, min(began_at, entry.at)))
        elif entry.kind in {"STEP_WAITING", "STEP_RETRY"}:
            _waits(facts, entry, step, _behind(entry.step, ends) or whole.began_at)
    whole.attributes = {"workflow.run_id": facts.run_id, "workflow.name": facts.workflow}
    if facts.labels:
        whole.attributes["workflow.labels"] = facts.labels
    return [*spans, whole]


def members(value: object) -> dict[str, Any]:
    """Those of a JSON object; of anything else, none."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _waits(facts: RunFacts, entry: FeedEntry, step: _Step, behind: int) -> None:
    data = members(entry.data)
    if entry.kind == "STEP_RETRY":
        step.moments.append(_retry(entry))
        step.began_at = step.began_at or behind
    elif "method" in data:
        step.request, step.model = data, facts.models.get(entry.seq, "")
    step.began_at = step.began_at or entry.at


def _retry(entry: FeedEntry) -> Moment:
    data = members(entry.data)
    known: dict[str, Attribute] = {"workflow.attempt": int(data.get("attempts", 0))}
    if data.get("error"):
        known["error.type"] = str(data["error"])[:200]
    if isinstance(data.get("status"), int):
        known["http.response.status_code"] = data["status"]
    return Moment("retry", entry.at, known)


def _behind(step: StepKey, ends: Mapping[StepKey, int]) -> int | None:
    """When that ended which a step comes after."""
    path, _, number = str(step).rpartition("/")
    if not number.isdigit():
        return None
    if int(number) > 1:
        before = f"{path}/{int(number) - 1}" if path else int(number) - 1
        return ends.get(before)
    if not path:
        return None
    forked = path.rpartition(".")[0]
    key: StepKey = int(forked) if forked.isdigit() else forked
    return ends.get(key) or _behind(key, ends)


def _failure(data: Any, otherwise: str) -> tuple[str, str]:
    told = members(data)
    if not told or not otherwise:
        return otherwise, ""
    return str(told.get("error") or otherwise)[:200], str(told.get("message") or "")[:1_000]


def _span(facts: RunFacts, entry: FeedEntry, step: _Step, began_at: int) -> Span:
    assert entry.step is not None  # noqa: S101  # only steps have outcomes
    ok = _OUTCOMES[entry.kind]
    span = Span(
        span_id_of(facts.run_id, entry.step), span_id_of(facts.run_id), step.name or "step",
        False, began_at, entry.at, moments=step.moments,
    )  # fmt: skip
    kind = entry.step_type or step.type
    span.attributes = {
        "workflow.run_id": facts.run_id,
        "workflow.step.id": str(entry.step),
        "workflow.step.name": step.name,
        "workflow.step.type": kind.lower(),
    }
    if not ok:
        span.error, span.message = _failure(entry.data, "failed")
    if step.request is not None:
        _describe_call(span, step, members(entry.data))
    elif kind == "RUN" and step.name.startswith(_TOOL):
        tool = step.name.removeprefix(_TOOL)
        span.name = f"execute_tool {tool}"
        span.attributes |= {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": tool}
    return span


def _describe_call(span: Span, step: _Step, data: Mapping[str, Any]) -> None:
    assert step.request is not None  # noqa: S101  # asked by whoever calls
    parts = urlsplit(str(step.request.get("url", "")))
    span.client = True
    span.attributes |= {
        "http.request.method": str(step.request.get("method", "")),
        "server.address": parts.hostname or "",
        # What stands behind "?" may be a secret.
        "url.full": f"{parts.scheme}://{parts.hostname or ''}{parts.path}",
    }
    if isinstance(data.get("status"), int):
        span.attributes["http.response.status_code"] = data["status"]
    told = llm_answer(members(data.get("json")))
    if told or step.name.startswith(_AGENT):
        model = step.model or str(told.get("gen_ai.response.model", ""))
        own = "anthropic" if parts.path.endswith("/messages") else "openai"
        span.name = f"chat {model}".rstrip()
        span.attributes |= {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": _PROVIDERS.get(parts.hostname or "", own),
        }
        if model:
            span.attributes["gen_ai.request.model"] = model
        if step.name.startswith(_AGENT):
            span.attributes["gen_ai.agent.name"] = step.name.removeprefix(_AGENT)
        span.attributes |= told


def llm_answer(answer: Mapping[str, Any]) -> dict[str, Attribute]:
    """What an answer says of itself, in any of the formats of providers; nothing: it is none."""
    usage = members(answer.get("usage"))
    if not usage or not isinstance(answer.get("model"), str):
        return {}
    told: dict[str, Attribute] = {"gen_ai.response.model": answer["model"]}
    if isinstance(answer.get("id"), str):
        told["gen_ai.response.id"] = answer["id"]
    tokens = {
        "input": usage.get("input_tokens", usage.get("prompt_tokens")),
        "output": usage.get("output_tokens", usage.get("completion_tokens")),
    }
    for which, count in tokens.items():
        if isinstance(count, int):
            told[f"gen_ai.usage.{which}_tokens"] = count
    reasons = _reasons(answer)
    if reasons:
        told["gen_ai.response.finish_reasons"] = reasons
    return told


def _reasons(answer: Mapping[str, Any]) -> tuple[str, ...]:
    choices = answer.get("choices")
    found: list[Any] = [answer.get("stop_reason") or answer.get("status")]
    if isinstance(choices, list):
        found = [members(choice).get("finish_reason") for choice in cast("list[Any]", choices)]
    return tuple(reason for reason in found if isinstance(reason, str))
