import json
from typing import Any

import pytest

from workflow_agents.agents.messages import (
    AssistantMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
    Usage,
    UserMessage,
)
from workflow_agents.agents.spending import CallRecord
from workflow_agents.agents.tasks import TaskResult
from workflow_agents.core.logs import RunLog, Steps
from workflow_agents.core.step_logs import StepLog
from workflow_agents.display import html

ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg/onload=alert(1)>',
    "</style><script>alert(1)</script>",
    "</code></td></tr></table><iframe src=//evil.example>",
    "javascript:alert(1)",
    "![x](https://evil.example/steal)",
    "\x1b[31mred\x1b[0m \x9b31m",
    "&lt;b&gt;",
]


def step(**parts: Any) -> StepLog:
    given = {"step": 1, "name": "charge", "type": "Run", "state": "STEP_SUCCESS", "began_at": 1_000}
    return StepLog(**{**given, **parts})


def log(text: str = "charge") -> RunLog:
    return RunLog(
        f"wfr_{text}",
        f"/{text}",
        "RUN_FAILED",
        created_at=0,
        ended_at=93_784_000,
        labels=(text,),
        payload={text: text},
        failure={"error": text, "message": text},
        steps=[
            step(name=text, type=text, out={"x": text}, ended_at=1_041),
            step(
                step="1.0/1", name=text, state="STEP_FAILED", out={"message": text}, ended_at=2_500
            ),
            step(step=2, name=text, state="STEP_PROGRESS", waits_for={"eventId": text}),
            step(step=3, name=text, state=text),
        ],
    )


def result(text: str = "done") -> TaskResult:
    messages = (
        SystemMessage(text),
        UserMessage(text),
        AssistantMessage(text, (ToolCall("c1", text, text),)),
        ToolMessage("c1", text, text, is_error=True),
        AssistantMessage(text),
    )
    call = CallRecord("a", "m", Usage(1_200, 34, 1_234), lambda: None)
    return TaskResult(
        output=text,
        text=text,
        agent=text,
        finish_reason="stop",
        messages=messages,
        new_messages=messages[1:],
        calls=(call,),
        turns=2,
    )


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_comes_from_outside_is_only_text(attack: str) -> None:
    for shown in (log(attack)._repr_html_(), result(attack)._repr_html_()):
        without_our_own = shown.replace(html.STYLE, "")
        for tag in ("<script", "<img", "<svg", "<iframe", "</style", "<a ", "\x1b", "\x9b"):
            assert tag not in without_our_own
        assert "http" not in without_our_own.replace("https://evil.example", "")
        assert "src=" not in without_our_own or "&lt;" in without_our_own


@pytest.mark.parametrize("attack", ATTACKS)
def test_plain_text_stays_on_its_line(attack: str) -> None:
    lines = [repr(log(attack + "\n")), repr(result(attack + "\r\n"))]
    lines += log(f"a | b {attack}\n")._repr_markdown_().splitlines()[2:]
    for line in lines:
        assert line.isprintable()


def test_a_run_shows_its_steps_in_their_branches() -> None:
    shown = log()._repr_html_()
    assert "1 d 2 h" in shown
    assert "41 ms" in shown
    assert "1.5 s" in shown
    assert "padding-left:1.4em" in shown
    assert repr(log()) == "RunLog(wfr_charge /charge 4 steps: failed)"


def test_a_task_shows_what_it_cost() -> None:
    assert "1,200 + 34 tokens" in result()._repr_html_()
    assert repr(result()) == "TaskResult('done', 2 turns, 1234 tokens: stop)"


def test_lists_of_steps_are_tables_too() -> None:
    steps = log().steps
    assert steps._repr_html_().count("<tr>") == 5
    assert repr(steps).splitlines()[1].startswith("  charge  failed")


@pytest.mark.parametrize(
    ("ms", "said"),
    [(None, ""), (7, "7 ms"), (1_234, "1.2 s"), (200_000, "3 min 20 s"), (90_061_000, "1 d 1 h")],
)
def test_lengths_of_time(ms: int | None, said: str) -> None:
    assert html.duration(ms) == said


CHAT = {"choices": [{"message": {"content": "Yes."}}]}
CHAT_CALLS = {
    "choices": [{"message": {"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}}]
}
ANTHROPIC = {
    "type": "message",
    "content": [{"type": "text", "text": "Yes."}, {"type": "tool_use", "name": "f", "input": {}}],
}
RESPONSES = {
    "object": "response",
    "output": [{"content": [{"text": "Yes."}]}, {"name": "f", "arguments": "{}"}],
}


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (CHAT, "Yes."),
        (CHAT_CALLS, "f({})"),
        (ANTHROPIC, "Yes. f({})"),
        (RESPONSES, "Yes. f({})"),
        ({"paid": True}, '200  {"paid": true}'),
        ("plain", "200  plain"),
        ({"choices": []}, '200  {"choices": []}'),
        ({"choices": [{"message": {"content": None}}]}, '200  {"choices": ['),
    ],
)
def test_the_answer_of_a_call_is_what_was_said(body: Any, shown: str) -> None:
    recorded = body if isinstance(body, str) else json.dumps(body)
    call = step(type="Call", out={"status": 200, "header": {}, "body": recorded}, ended_at=2_000)
    assert html.text(shown) in Steps([call])._repr_html_()
