"""Results of tasks become JSON data and come back as they were."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from workflow_agents.agents.kept_results import from_data, to_data
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


def test_a_task_result_survives_json() -> None:
    messages = (
        SystemMessage("be brief"),
        UserMessage("go"),
        AssistantMessage("", (ToolCall("c1", "find", "{}"),), "tool_calls"),
        ToolMessage("c1", "find", "no", is_error=True),
        AssistantMessage("done", kept=({"type": "thinking"},)),
    )
    costs = (Decimal("0.00125"), None)
    result = TaskResult(
        output="done",
        text="done",
        agent="a",
        finish_reason="stop",
        messages=messages,
        new_messages=messages[1:],
        calls=tuple(CallRecord("a", "m", Usage(3, 4, 7), lambda c=c: c) for c in costs),
        turns=2,
    )
    data = json.loads(json.dumps(to_data(result)))
    assert data["messages"][1]["content"] == "go"
    read = from_data(TaskResult, data)
    assert read == result
    assert read.usage == Usage(6, 8, 14)
    assert [call.cost_usd for call in read.calls] == [*costs]


@dataclass
class Shapes:
    money: Decimal | None
    names: Sequence[str]
    pairs: Mapping[str, tuple[int, ...]]
    anything: Any
    added_later: int = 3


def test_fields_are_read_as_they_are_declared() -> None:
    data = {
        "type": "Shapes",
        "money": "1.50",
        "names": ["a"],
        "pairs": {"b": [1, 2]},
        "anything": {"type": "UserMessage"},
        "no longer there": 1,
    }
    assert from_data(Shapes, data) == Shapes(
        Decimal("1.50"), ["a"], {"b": (1, 2)}, {"type": "UserMessage"}
    )
    assert from_data(Shapes, {**data, "money": None}).money is None


def test_what_users_return_is_left_to_the_codec() -> None:
    @dataclass
    class Answer:
        number: int

    answer = Answer(3)
    assert to_data((answer, {"a": answer})) == [answer, {"a": answer}]
