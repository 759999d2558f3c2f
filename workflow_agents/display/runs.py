"""Runs and their steps, as notebooks show them."""

import contextlib
import json
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, cast

from workflow_agents.display import html

_COLOUR_OF = {
    "RUN_STARTED": "info",
    "RUN_SUCCESS": "ok",
    "RUN_FAILED": "bad",
    "RUN_CANCELED": "quiet",
    "STEP_SUCCESS": "ok",
    "STEP_FAILED": "bad",
    "STEP_RETRY": "wait",
    "STEP_PROGRESS": "wait",
    "STEP_CANCELED": "quiet",
}
_WORD_OF = {
    "RUN_STARTED": "running",
    "RUN_SUCCESS": "success",
    "RUN_FAILED": "failed",
    "RUN_CANCELED": "canceled",
    "STEP_SUCCESS": "ok",
    "STEP_FAILED": "failed",
    "STEP_RETRY": "retry",
    "STEP_PROGRESS": "waits",
    "STEP_WAITING": "waits",
    "STEP_WITHDRAWN": "withdrawn",
    "STEP_CANCELED": "canceled",
}


class Step(Protocol):
    """What is shown of a step; see `StepLog`."""

    step: int | str
    name: str
    type: str
    state: str
    began_at: int
    ended_at: int | None
    retries: int
    out: Any
    waits_for: Any


class Run(Protocol):
    """What is shown of a run; see `RunLog`."""

    workflow_run_id: str
    workflow: str
    state: str
    created_at: int
    ended_at: int | None
    labels: tuple[str, ...]
    payload: Any
    result: Any
    failure: dict[str, Any] | None

    @property
    def steps(self) -> Sequence[Step]:
        """Its steps."""
        ...


def word(state: str) -> str:
    """A state as people say it: "RUN_SUCCESS" is "success"."""
    return _WORD_OF.get(state, state.lower())


def state(name: str) -> str:
    """A state with its colour."""
    return html.chip(word(name), _COLOUR_OF.get(name, "quiet"))


def run(log: Run) -> str:
    """A run: what it is, how it ended, and its steps."""
    took = None if log.ended_at is None else log.ended_at - log.created_at
    labels = " ".join(html.chip(label) for label in log.labels)
    head = (
        f'<div class="head"><b>{html.text(log.workflow)}</b>'
        f"<code>{html.text(log.workflow_run_id)}</code>{state(log.state)}"
        f'<span class="quiet">{html.duration(took)}</span>{labels}</div>'
    )
    parts = [head, _data("input", log.payload)]
    if log.state == "RUN_SUCCESS":
        parts.append(_data("result", log.result))
    if log.failure is not None:
        parts.append(_data("failure", log.failure.get("message", log.failure)))
    if log.steps:
        parts.append(_steps(log.steps))
    return html.page(*parts)


def steps(found: Iterable[Step]) -> str:
    """Steps alone."""
    return html.page(_steps(list(found)))


def runs(found: Iterable[Run]) -> str:
    """Many runs, a line each."""
    rows = [
        (
            f"<code>{html.text(log.workflow_run_id)}</code>",
            html.text(log.workflow),
            state(log.state),
            html.duration(None if log.ended_at is None else log.ended_at - log.created_at),
        )
        for log in found
    ]
    return html.page(html.table(("run", "workflow", "state", "took"), rows, numbers=(3,)))


def line(log: Run) -> str:
    """A run on one line of plain text, its state last."""
    named = f"{html.plain(log.workflow_run_id)} {html.plain(log.workflow)}"
    return f"RunLog({named} {len(log.steps)} steps: {word(log.state)})"


def markdown(log: Run) -> str:
    """A run for where no HTML is shown."""
    named = f"**{_cell(log.workflow)}** `{_cell(log.workflow_run_id)}`"
    lines = [f"{named} {word(log.state)}", ""]
    lines += ["| step | name | type | state | took |", "| --- | --- | --- | --- | ---: |"]
    for step in log.steps:
        kind, how = _cell(step.type), _cell(word(step.state))
        cells = (_place(step), _cell(step.name), kind, how, _took(step))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def plain_steps(found: Iterable[Step]) -> list[str]:
    """Steps as lines of plain text, branches indented."""
    return [
        f"{'  ' * depth(step)}{html.plain(step.name)}  {html.plain(word(step.state))}"
        f"  {_took(step)}".rstrip()
        for step in found
    ]


def depth(step: Step) -> int:
    """How many branches deep the step is."""
    return str(step.step).count("/")


def _steps(found: Sequence[Step]) -> str:
    rows = [
        (
            f'<span style="padding-left:{1.4 * depth(step):g}em">{html.text(step.name)}</span>',
            html.text(step.type),
            state(step.state) + _retries(step),
            _took(step),
            html.code(_shown(step), 300),
        )
        for step in found
    ]
    return html.table(("step", "type", "state", "took", "result"), rows, numbers=(3,))


def _shown(step: Step) -> Any:
    if step.ended_at is None:
        return step.waits_for
    out = step.out
    if not isinstance(out, dict):
        return out
    data = cast("dict[str, Any]", out)
    if step.type == "Call" and "status" in data:
        return answer(data)
    return data.get("message", data) if step.state == "STEP_FAILED" else data


def answer(out: dict[str, Any]) -> str:
    """The recorded answer of a call on one line: what a model has said, or the body."""
    body: Any = out["json"] if "json" in out else out.get("body", "")
    if isinstance(body, str):
        with contextlib.suppress(ValueError):
            body = json.loads(body)
    said = _said(cast("dict[str, Any]", body)) if isinstance(body, dict) else None
    if said is not None:
        return said
    return f"{out['status']}  {body if isinstance(body, str) else json.dumps(body)}"


def _said(body: dict[str, Any]) -> str | None:
    """What a model's reply says or calls, in the shapes of the usual providers; else None."""
    match body:
        case {"choices": [{"message": {"tool_calls": [_, *_] as calls}}, *_]}:
            return ", ".join(
                f"{c['function']['name']}({c['function']['arguments']})" for c in calls
            )
        case {"choices": [{"message": {"content": str(content)}}, *_]}:
            return content
        case {"type": "message", "content": [*blocks]}:
            return " ".join(
                b.get("text") or f"{b.get('name')}({json.dumps(b.get('input'))})" for b in blocks
            )
        case {"object": "response", "output": [*items]}:
            texts = [c.get("text", "") for item in items for c in item.get("content") or ()]
            calls = [f"{i['name']}({i['arguments']})" for i in items if "arguments" in i]
            return " ".join([*texts, *calls])
        case _:
            return None


def _retries(step: Step) -> str:
    return f' <span class="quiet">{step.retries} before</span>' if step.retries else ""


def _took(step: Step) -> str:
    return html.duration(None if step.ended_at is None else step.ended_at - step.began_at)


def _place(step: Step) -> str:
    return f"`{step.step}`"


def _cell(value: str) -> str:
    return html.plain(value).replace("|", "\\|")


def _data(label: str, value: Any) -> str:
    if value is None:
        return ""
    return f'<div><span class="quiet">{label}</span> {html.code(value)}</div>'
