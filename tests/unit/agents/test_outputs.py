from dataclasses import dataclass
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from workflow_agents.agents.messages import UserMessage
from workflow_agents.agents.outputs import TEXT, BadOutput, of_type
from workflow_agents.agents.workflow import Agents, agent_workflow
from workflow_agents.errors import ConfigurationError, OutputMismatch, WorkflowAgentsError
from workflow_agents.testing.model_server import ScriptedModel


class Weather(BaseModel):
    city: str
    degrees: int = Field(ge=-90, le=60)


@dataclass
class Point:
    x: int
    y: int = 0


class Person(TypedDict):
    name: str
    age: int


@pytest.mark.parametrize(
    ("output_type", "text", "expected"),
    [
        (Weather, '{"city": "Oslo", "degrees": 3}', Weather(city="Oslo", degrees=3)),
        (Point, '{"x": 1}', Point(1, 0)),
        (Person, '{"name": "Ada", "age": 36}', {"name": "Ada", "age": 36}),
        (int, '{"result": 3}', 3),
        (bool, '{"result": true}', True),
        (list[int], '{"result": [1, 2]}', [1, 2]),
        (list[Point], '{"result": [{"x": 1}]}', [Point(1)]),
        (Literal["a", "b"], '{"result": "b"}', "b"),
        (int | None, '{"result": null}', None),
        (Weather | Point, '{"result": {"x": 4, "y": 5}}', Point(4, 5)),
        (dict[str, int], '{"a": 1}', {"a": 1}),
    ],
)
def test_answers_become_values_of_the_type(output_type: Any, text: str, expected: Any):
    output = of_type(output_type, "")
    assert output.schema is not None
    assert output.schema.schema["type"] == "object" or "$ref" in output.schema.schema
    assert output.read(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        '{"x": 1}',
        '  {"x": 1}\n',
        '```json\n{"x": 1}\n```',
        '```\n{"x": 1}```',
        'Here it is:\n```json\n{"x": 1}\n```\nAnything else?',
    ],
)
def test_what_models_put_around_their_json_does_no_harm(text: str):
    assert of_type(Point, "").read(text) == Point(1)


def test_a_value_that_was_not_wrapped_is_understood():
    assert of_type(list[int], "").read("[1, 2]") == [1, 2]


def test_text_is_left_as_it_is():
    assert of_type(str, "") is TEXT
    assert TEXT.schema is None
    assert TEXT.read("```json\n1\n```") == "```json\n1\n```"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "It is empty."),
        ("no JSON", "Invalid JSON"),
        ('{"city": "Oslo"}', "degrees: Field required"),
        ('{"city": "Oslo", "degrees": 99}', "degrees: Input should be less than or equal to 60"),
        ('{"degrees": "x"}', "city: Field required; degrees: Input should be a valid integer"),
    ],
)
def test_what_is_wrong_is_said_exactly(text: str, problem: str):
    with pytest.raises(BadOutput) as caught:
        of_type(Weather, "").read(text)
    assert problem in str(caught.value)


def test_a_type_without_a_schema_is_refused():
    with pytest.raises(ConfigurationError) as caught:
        of_type(object(), "agent 'a'")
    assert (caught.value.code, caught.value.where) == ("WA702", "agent 'a'")


def test_a_type_is_looked_at_once():
    assert of_type(Weather, "one") is of_type(Weather, "two")


# In a task


async def test_an_agent_answers_with_a_value(agents: Agents, llm: Any, model: ScriptedModel):
    model.say('{"city": "Oslo", "degrees": 3}')
    agent = agents.agent(model=llm, name="meteorologist", output_type=Weather)
    result = await agents.task(agent=agent, prompt="Oslo?").run()
    assert result.output == Weather(city="Oslo", degrees=3)
    assert result.text == '{"city": "Oslo", "degrees": 3}'


async def test_a_wrong_answer_is_sent_back_with_what_is_wrong(
    context: Any, agents: Agents, llm: Any, model: ScriptedModel
):
    """Each that is sent back allows one turn more, so that max_steps=1 leaves room for it."""
    model.say("It is cold.").say('{"city": "Oslo"}').say('{"city": "Oslo", "degrees": 3}')
    agent = agents.agent(model=llm, name="m", output_type=Weather, max_steps=1)
    result = await agents.task(agent=agent, prompt="Oslo?").run()

    assert result.output.degrees == 3
    first, second = (r.messages[-1]["content"] for r in model.requests[1:])
    assert "Invalid JSON" in first
    assert "degrees: Field required" in second
    assert '"maximum":60' in second
    assert [m for m in result.messages if isinstance(m, UserMessage) and m.is_feedback]
    assert result.turns == 3
    model.assert_done()

    replayed = agent_workflow(context.replay())
    again = await replayed.task(agent=agent, prompt="Oslo?").run()
    assert again == result


async def test_an_answer_that_is_never_right_fails_the_task(
    agents: Agents, llm: Any, model: ScriptedModel
):
    model.say("one").say("two")
    agent = agents.agent(model=llm, name="m", output_type=int, output_retries=1)
    with pytest.raises(OutputMismatch) as caught:
        await agents.task(agent=agent, prompt="A number?").run()
    assert (caught.value.code, caught.value.text) == ("WA711", "two")
    assert "Invalid JSON" in caught.value.problem
    assert caught.value.found[0].startswith("2 answers")
    model.assert_done()


async def test_turns_that_are_used_up_leave_no_value(
    agents: Agents, llm: Any, model: ScriptedModel
):
    def look() -> str:
        """Look."""
        return "nothing"

    model.call_tools(("look", {}))
    agent = agents.agent(model=llm, name="m", output_type=int, max_steps=1, tools=[look])
    with pytest.raises(WorkflowAgentsError) as caught:
        await agents.task(agent=agent, prompt="A number?").run()
    assert caught.value.code == "WA704"


async def test_a_manager_may_answer_with_a_value_too(
    agents: Agents, llm: Any, model: ScriptedModel
):
    model.call_tools(("counter", {"prompt": "How many?"})).say('{"result": 17}')
    model.say('{"x": 17, "y": 1}')
    counter = agents.agent(model=llm, name="counter", output_type=int)
    task = agents.task(model=llm, agents=[counter], prompt="Go.", output_type=Point)
    assert (await task.run()).output == Point(17, 1)
    told = [m["content"] for m in model.requests[-1].messages if m["role"] == "tool"]
    assert told == ["17"]
