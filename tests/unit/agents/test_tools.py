import asyncio
import json
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal, NotRequired

import pytest
from langchain_core.tools import BaseTool, InjectedToolCallId, StructuredTool, ToolException
from langchain_core.tools import Tool as LangChainTool
from langchain_core.tools import tool as langchain_tool
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from workflow_agents.agents import tool_calls
from workflow_agents.agents.messages import ToolCall, ToolMessage
from workflow_agents.agents.models.openai import OpenAIModel
from workflow_agents.agents.schemas import described, summary
from workflow_agents.agents.tool_context import ToolContext
from workflow_agents.agents.tools import Tool, WorkflowTool, tool, toolset
from workflow_agents.errors import (
    ConfigurationError,
    HistoryMismatch,
    StepUsageError,
    ToolRetry,
    WorkflowAgentsError,
    WorkflowNonRetryableError,
    WorkflowRetryAfterError,
)


class City(BaseModel):
    name: str
    country: str = "NO"


@dataclass
class Weather:
    celsius: float
    on: date


def search(
    query: str,
    limit: int = 10,
    kind: Literal["web", "files"] = "web",
    tags: list[str] | None = None,
    schema: Annotated[str, Field(description="Annotated.", max_length=3)] = "",
) -> list[str]:
    """Search for texts.

    It is quick.

    Args:
        query: what to look for,
            in words.
        limit (int): how many: at most 100.
        schema: documented.

    Returns:
        Texts.
    """
    return [query, str(limit), kind, *(tags or []), schema]


async def forecast(city: City) -> Weather:
    """The weather of tomorrow."""
    return Weather(-3.5, date(2030, 1, 2))


def nothing() -> None:
    """Does nothing."""


def one(source: Any) -> Tool:
    [tool] = toolset([source])
    return tool


async def call(context: Any, source: Any, arguments: Any = None, name: str = "") -> ToolMessage:
    """Have the only tool called as by a model."""
    made = one(source)
    text = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
    return await tool_calls.start(context, ToolCall("c1", name or made.name, text), [made])


def refused(tools: Any) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        toolset(tools)
    assert caught.value.code == "WA701"
    return caught.value


# Schemas


def test_a_schema_is_made_of_the_signature_and_the_docstring():
    tool = one(search)
    assert (tool.name, tool.description) == ("search", "Search for texts.\n\nIt is quick.")
    assert tool.parameters == {
        "type": "object",
        "properties": {
            "query": {"type": "string", "description": "what to look for, in words."},
            "limit": {
                "type": "integer",
                "default": 10,
                "description": "how many: at most 100.",
            },
            "kind": {"type": "string", "enum": ["web", "files"], "default": "web"},
            "tags": {
                "anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}],
                "default": None,
            },
            "schema": {
                "type": "string",
                "default": "",
                "maxLength": 3,
                "description": "Annotated.",
            },
        },
        "required": ["query"],
        "additionalProperties": False,
    }


def test_models_in_a_signature_are_described():
    parameters = one(forecast).parameters
    assert parameters["properties"] == {"city": {"$ref": "#/$defs/City"}}
    assert parameters["$defs"]["City"]["properties"]["name"] == {"type": "string"}


def test_a_tool_without_arguments():
    assert one(nothing).parameters == {
        "type": "object",
        "properties": {},
        "additionalProperties": False,
    }


def test_a_method_is_a_tool():
    class Shop:
        def price(self, item: str) -> int:
            """The price of an item."""
            return 3

    assert list(one(Shop().price).parameters["properties"]) == ["item"]


def test_the_keys_of_a_dict_are_names():
    made = toolset({"find": search, "wait": nothing})
    assert [tool.name for tool in made] == ["find", "wait"]


def test_docstrings_are_read_line_by_line():
    text = (
        "Does it.\n\nArgs:\n    a: one.\n      Note: still a.\n    b: two.\n\nRaises:\n    c: no."
    )
    assert described(text) == {"a": "one. Note: still a.", "b": "two."}
    assert summary(text) == "Does it."
    assert described("") == {}


# What cannot be a tool


def untyped(city):
    """No type."""


def undocumented(city: str) -> None: ...


def starred(*cities: str) -> None:
    """Takes any number."""


def strange(city: Callable[[], int]) -> None:
    """Takes a function."""


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (untyped, "an argument of the tool has no type"),
        (undocumented, "a tool has no description"),
        (starred, "takes its arguments by name"),
        (strange, "a type without a JSON schema"),
        (lambda city: city, "a lambda cannot be a tool"),
        (3, "expected a function, a WorkflowTool or a LangChain tool, found 3"),
        (City, "expected a function"),
    ],
)
def test_what_cannot_be_a_tool_is_refused(source: Any, says: str):
    assert says in str(refused([source]))


def test_the_place_in_the_users_code_is_told():
    assert "test_tools.py:" in refused([untyped]).where
    assert "untyped" in refused([untyped]).where


@pytest.mark.parametrize("name", ["", "my tool", "n" * 65, "é"])
def test_names_are_those_that_providers_take(name: str):
    tool = WorkflowTool(description="d", schema={"type": "object"}, invoke=nothing, name=name)
    if name:
        assert "cannot be the name of a tool" in str(refused([tool]))
        assert "cannot be the name of a tool" in str(refused({name: nothing}))
    else:
        assert one(tool).name == "nothing"


def test_two_tools_of_one_name_are_refused():
    assert "two tools are named 'search'" in str(refused([search, search]))


# WorkflowTool


def test_a_workflow_tool_with_a_json_schema():
    schema = {"type": "object", "properties": {"item": {"type": "string"}}}
    tool = one(WorkflowTool(description="d", schema=schema, invoke=lambda item: item, name="shop"))
    assert (tool.name, tool.parameters, tool.execute_as_step) == ("shop", schema, True)


def test_a_workflow_tool_with_a_model():
    def buy(name: str, country: str) -> str:
        return name + country

    tool = one(WorkflowTool(description="d", schema=City, invoke=buy))
    assert tool.name == "buy"
    assert tool.parameters["required"] == ["name"]
    assert tool.check({"name": "Oslo"}) == {"name": "Oslo", "country": "NO"}


@pytest.mark.parametrize(
    ("schema", "invoke", "says"),
    [
        ({"type": "string"}, nothing, "expected type 'object', found 'string'"),
        (City, nothing, "does not take what its schema describes"),
        ({"type": "object"}, lambda: 1, "a tool has no name"),
    ],
)
def test_a_workflow_tool_that_does_not_fit_is_refused(schema: Any, invoke: Any, says: str):
    assert says in str(refused([WorkflowTool(description="d", schema=schema, invoke=invoke)]))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "n: it is required"),
        ({"n": "x"}, 'n: expected integer, found "x"'),
        ({"n": True}, "n: expected integer, found true"),
        ({"n": 1, "m": 1}, "m: no such argument"),
        ({"n": 1, "kind": "c"}, 'kind: expected one of ["a", "b"], found "c"'),
    ],
)
async def test_a_json_schema_is_checked(context: Any, arguments: Any, says: str):
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "kind": {"enum": ["a", "b"]}},
        "required": ["n"],
    }
    tool = WorkflowTool(
        description="d", schema=schema, invoke=lambda n, kind="a": f"{n}{kind}", name="t"
    )
    assert says in (await call(context, tool, arguments)).content
    assert (await call(context, tool, {"n": 1, "kind": "b"})).content == "1b"


# Calls


async def test_a_call_is_a_step_and_its_result_is_json(context: Any):
    result = await call(context, search, {"query": "ø", "tags": ["a"]})
    assert result == ToolMessage("c1", "search", '["ø", "10", "web", "a", ""]')
    assert context.steps == ["Run tool search"]


async def test_texts_are_told_as_they_are(context: Any):
    def speak(text: str) -> str:
        """Speaks."""
        return text

    assert (await call(context, speak, {"text": '"so"\n'})).content == '"so"\n'


async def test_models_go_in_and_dataclasses_come_out(context: Any):
    result = await call(context, forecast, {"city": {"name": "Oslo"}})
    assert json.loads(result.content) == {"celsius": -3.5, "on": "2030-01-02"}


async def test_no_arguments_may_be_empty_text(context: Any):
    assert await call(context, nothing, "") == ToolMessage("c1", "nothing", "null")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("{not json", "Error: the arguments are not valid JSON"),
        ("[1]", "Error: the arguments must be a JSON object, found: [1]"),
        ({}, "Error: the arguments are not right. query: Field required"),
        ({"query": "q", "limit": "many"}, "limit: Input should be a valid integer"),
        ({"query": "q", "size": 3}, "size: Extra inputs are not permitted"),
    ],
)
async def test_bad_arguments_are_told_to_the_model(context: Any, arguments: Any, says: str):
    result = await call(context, search, arguments)
    assert says in result.content
    assert result.is_error
    assert context.steps == ["Run tool search"]
    assert "error" in json.loads(context.history["Run tool search", 1])


async def test_a_tool_that_does_not_exist_is_told_to_the_model(context: Any):
    result = await call(context, search, name="serch")
    assert result.is_error
    assert result.content == (
        "Error: there is no tool 'serch'; there is: search; did you mean 'search'?"
    )
    assert context.steps == ["Run tool serch"]


def raising(error: BaseException, *, on_the_loop: bool) -> Callable[..., Any]:
    def in_a_thread() -> None:
        """Raises."""
        raise error

    async def on_loop() -> None:
        """Raises."""
        raise error

    return on_loop if on_the_loop else in_a_thread


@pytest.mark.parametrize("on_the_loop", [True, False])
@pytest.mark.parametrize("as_step", [True, False])
async def test_what_a_tool_raises_is_told_to_the_model(
    context: Any, on_the_loop: bool, as_step: bool
):
    body = raising(ValueError("sold out"), on_the_loop=on_the_loop)
    tool = WorkflowTool(
        description="d", schema={"type": "object"}, invoke=body, execute_as_step=as_step
    )
    result = await call(context, tool)
    assert (result.content, result.is_error) == ("Error: ValueError: sold out", True)
    assert len(context.steps) == as_step


@pytest.mark.parametrize("on_the_loop", [True, False])
@pytest.mark.parametrize(
    "error",
    [
        WorkflowNonRetryableError("never"),
        WorkflowRetryAfterError("later", retry_after=3),
        HistoryMismatch("here", "a", "b"),
        StepUsageError("WA203"),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_the_workflow_has_to_know_is_raised(
    context: Any, error: BaseException, on_the_loop: bool
):
    with pytest.raises(type(error)):
        await call(context, raising(error, on_the_loop=on_the_loop))
    assert not context.history


async def test_a_result_that_is_no_data_is_the_users_error(context: Any):
    def broken() -> Any:
        """Returns an object."""
        return object()

    with pytest.raises(StepUsageError, match="what cannot be shown to a model") as caught:
        await call(context, broken)
    assert caught.value.code == "WA204"


async def test_a_tool_that_is_no_step_may_return_a_step(context: Any):
    tool = WorkflowTool(
        description="d",
        schema={"type": "object"},
        invoke=lambda: context.run("inner", lambda: "done"),
        name="outer",
        execute_as_step=False,
    )
    assert (await call(context, tool)).content == "done"
    assert context.steps == ["inner"]


async def test_a_plain_function_that_is_no_step_does_not_block_the_loop(context: Any):
    def where() -> bool:
        return threading.current_thread() is threading.main_thread()

    tool = WorkflowTool(
        description="d", schema={"type": "object"}, invoke=where, execute_as_step=False
    )
    assert (await call(context, tool)).content == "false"


# LangChain


@langchain_tool
def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


class Wiki(BaseTool):
    """As the Wikipedia tool of langchain-community: sync only, one argument."""

    name: str = "wikipedia"
    description: str = "Looks things up."
    lang: str = "en"

    def _run(self, query: str) -> str:
        return f"{self.lang}: {query}"


async def test_a_langchain_tool(context: Any):
    tool = one(multiply)
    assert (tool.name, tool.description) == ("multiply", "Multiply two numbers.")
    assert tool.parameters == {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    }
    assert (await call(context, multiply, {"a": 6, "b": 7})).content == "42"
    assert context.steps == ["Run tool multiply"]


async def test_a_langchain_tool_of_ones_own_class(context: Any):
    assert list(one(Wiki()).parameters["properties"]) == ["query"]
    assert (await call(context, Wiki(), {"query": "Oslo"})).content == "en: Oslo"
    [renamed] = toolset({"wikiTool": Wiki()})
    assert renamed.name == "wikiTool"


async def test_a_langchain_tool_with_a_json_schema(context: Any):
    async def greet(**arguments: Any) -> str:
        return f"Hello {arguments['who']}"

    schema = {
        "title": "Greet",
        "type": "object",
        "properties": {"who": {"type": "string"}},
        "required": ["who"],
    }
    tool = StructuredTool.from_function(
        coroutine=greet, name="greet", description="Greets.", args_schema=schema
    )
    assert one(tool).parameters == {key: schema[key] for key in ("type", "properties", "required")}
    assert (await call(context, tool, {"who": "you"})).content == "Hello you"


async def test_a_langchain_tool_of_one_text(context: Any):
    tool = LangChainTool(name="shout", description="Shouts.", func=str.upper)
    [argument] = one(tool).parameters["properties"]
    assert (await call(context, tool, {argument: "hey"})).content == "HEY"


async def test_errors_of_langchain_tools_are_told(context: Any):
    def fail() -> str:
        """Fails."""
        raise ToolException("no luck")

    tool = StructuredTool.from_function(fail)
    assert (await call(context, tool)).content == "Error: ToolException: no luck"
    bad = await call(context, multiply, {"a": "six"})
    assert bad.is_error
    assert "a: Input should be a valid integer" in bad.content


def test_an_agent_is_a_tool_only_for_a_manager(agents: Any):
    agent = agents.agent(model=OpenAIModel("m"), name="helper")
    error = refused([agent])
    assert "an agent is a tool only for a manager" in error.why


# @tool and its options


@tool
def greet(name: str) -> str:
    """Greet a person."""
    return f"Hello {name}"


@tool(name="add_up", description="Adds.", max_errors=2, timeout="20s")
async def add(a: int, b: int = 1) -> int:
    return a + b


def test_a_decorated_function_is_a_tool_and_still_a_function():
    assert greet("Ada") == "Hello Ada"
    assert (greet.__name__, greet.__doc__) == ("greet", "Greet a person.")
    assert (one(greet).name, one(greet).description) == ("greet", "Greet a person.")
    assert repr(greet) == "<tool 'greet'>"
    [renamed] = toolset({"welcome": greet})
    assert renamed.name == "welcome"


async def test_options_of_the_decorator(context: Any):
    made = one(add)
    assert (made.name, made.description, made.max_errors) == ("add_up", "Adds.", 2)
    assert await add(1) == 2
    assert (await call(context, add, {"a": 2})).content == "3"


async def test_a_tool_of_any_kind_may_be_given_options(context: Any):
    made = tool(multiply, name="times", retries=2, retry_delay="10")
    assert (one(made).name, one(made).retries) == ("times", 2)
    assert (await call(context, made, {"a": 2, "b": 3})).content == "6"
    assert context.options == {"Run tool times": {"retries": 2, "retry_delay": "10"}}


def test_one_decorator_may_serve_several_functions():
    careful = tool(name=None, retries=1)
    assert [careful(nothing).tool.name, careful(forecast).tool.name] == ["nothing", "forecast"]


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ({"retrys": 1}, "WA101", "did you mean 'retries'?"),
        ({"retries": -1}, "WA102", "a whole number from 0"),
        ({"retries": True}, "WA102", "a whole number from 0"),
        ({"max_errors": 0}, "WA102", "a whole number from 1"),
        ({"timeout": 0}, "WA102", "a length of time"),
        ({"timeout": "soon"}, "WA103", "soon"),
        ({"retry_delay": "later()"}, "WA104", "later"),
        ({"flow_control": "key"}, "WA102", "FlowControl"),
        ({"needs_approval": 1}, "WA102", "a plain function"),
        ({"needs_approval": forecast}, "WA102", "a plain function"),
        ({"on_unknown_outcome": "retry"}, "WA102", "'run_again', 'ask' or 'fail'"),
    ],
)
def test_options_that_cannot_be_used_are_refused(options: Any, code: str, says: str):
    with pytest.raises(ConfigurationError) as caught:
        tool(**options)(nothing)
    assert caught.value.code == code
    assert says in str(caught.value)
    if code != "WA101":
        with pytest.raises(ConfigurationError):
            toolset([WorkflowTool(description="d", schema=City, invoke=forecast, **options)])


@pytest.mark.parametrize(
    "options", [{"retries": 1}, {"timeout": 1}, {"on_unknown_outcome": "ask"}], ids=str
)
def test_a_tool_that_is_no_step_has_no_options_of_steps(options: Any):
    source = WorkflowTool(
        description="d",
        schema={"type": "object"},
        invoke=nothing,
        execute_as_step=False,
        **options,
    )
    with pytest.raises(ConfigurationError, match="no such option"):
        toolset([source])


def test_a_strict_schema_has_no_optional_arguments():
    made = one(tool(search, strict=True))
    assert made.strict
    assert made.parameters["required"] == list(made.parameters["properties"])
    assert "default" not in made.parameters["properties"]["limit"]
    nested = one(tool(forecast, strict=True)).parameters["$defs"]["City"]
    assert (nested["required"], nested["additionalProperties"]) == (["name", "country"], False)


# Types


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Size:
    width: int
    height: int = 1


class Filter(TypedDict):
    field: str
    value: NotRequired[str]


def many(
    cities: list[City],
    colour: Colour,
    size: Size,
    filters: list[Filter],
    near: Annotated[City | None, Field(description="Close to.")] = None,
    at: date | None = None,
    by_name: dict[str, Size] | None = None,
) -> str:
    """Takes many types."""
    return " ".join(
        [
            cities[0].name,
            colour.name,
            str(size.width * size.height),
            filters[0]["field"],
            near.name if near else "-",
            at.isoformat() if at else "-",
            str(by_name["a"].width) if by_name else "-",
        ]
    )


async def test_arguments_of_every_type_arrive_as_themselves(context: Any):
    parameters = one(many).parameters
    assert set(parameters["$defs"]) == {"City", "Colour", "Size", "Filter"}
    assert parameters["$defs"]["Colour"] == {"enum": ["red", "blue"], "type": "string"}
    assert parameters["properties"]["near"]["description"] == "Close to."
    assert parameters["required"] == ["cities", "colour", "size", "filters"]
    assert "title" not in json.dumps(parameters)
    result = await call(
        context,
        many,
        {
            "cities": [{"name": "Oslo"}],
            "colour": "blue",
            "size": {"width": 3},
            "filters": [{"field": "f"}],
            "near": {"name": "Bergen"},
            "at": "2030-01-02",
            "by_name": {"a": {"width": 7}},
        },
    )
    assert result.content == "Oslo BLUE 3 f Bergen 2030-01-02 7"
    wrong = await call(context, many, {"cities": [{}], "colour": "x", "size": {}, "filters": []})
    assert "cities.0.name: Field required" in wrong.content


# ToolContext


@tool
async def pay(amount: int, call: ToolContext) -> str:
    """Pay.

    Args:
        amount: of euros.
        call: not for the model.
    """
    return f"{amount} {call.agent} {call.tool_name} {call.tool_call_id} {call.idempotency_key}"


async def called(context: Any, *calls: ToolCall, tools: Any, agent: str = "cashier") -> list[str]:
    made = toolset(tools)
    started = [tool_calls.start(context, call, made, agent=agent) for call in calls]
    return [(await one).content for one in started]


async def test_a_tool_may_know_its_call(context: Any):
    assert list(one(pay).parameters["properties"]) == ["amount"]
    same = '{"amount": 3}'
    first, second = await called(
        context, ToolCall("c1", "pay", same), ToolCall("c1", "pay", same), tools=[pay]
    )
    assert first.startswith("3 cashier pay c1 wfr_fake/")
    assert first != second, "calls with equal arguments have keys of their own"


async def test_a_model_cannot_give_the_context(context: Any):
    result = await call(context, pay, {"amount": 1, "call": {"agent": "me"}})
    assert "call: Extra inputs are not permitted" in result.content


async def test_a_workflow_tool_may_know_its_call(context: Any):
    def buy(name: str, country: str, it: ToolContext | None) -> str:
        return f"{name} {it.tool_name if it else ''}"

    source = WorkflowTool(description="d", schema=City, invoke=buy)
    assert (await call(context, source, {"name": "x"})).content == "x buy"


async def test_a_tool_that_is_no_step_has_a_key_all_the_same(context: Any):
    async def own(it: ToolContext) -> str:
        return it.idempotency_key

    source = WorkflowTool(
        description="d", schema={"type": "object"}, invoke=own, execute_as_step=False
    )
    assert (await call(context, source)).content == "wfr_fake/Start tool own/1"
    assert context.steps == ["Start tool own"]


def test_a_tool_takes_one_context():
    def two(a: ToolContext, b: ToolContext) -> None:
        """Takes two."""

    assert "a tool takes one ToolContext" in str(refused([two]))


# Errors and time


async def test_a_tool_may_say_what_to_do_better(context: Any):
    @tool(retries=3)
    def find(name: str) -> str:
        """Find a person."""
        raise ToolRetry("give the full name")

    result = await call(context, find, {"name": "A"})
    assert (result.content, result.is_error) == ("Error: give the full name", True)


@pytest.mark.parametrize("on_the_loop", [True, False])
async def test_a_tool_that_takes_too_long_is_given_up(context: Any, on_the_loop: bool):
    never = threading.Event()

    def in_a_thread() -> None:
        """Waits."""
        never.wait(30)

    async def on_loop() -> None:
        """Waits."""
        await asyncio.sleep(30)

    source = tool(on_loop if on_the_loop else in_a_thread, timeout=0.01)
    result = await call(context, source)
    assert result.is_error
    assert result.content == "Error: it took longer than 10ms and was given up"
    never.set()


async def test_a_time_out_of_the_tools_own_is_its_own(context: Any):
    async def slow() -> None:
        """Raises."""
        raise TimeoutError("the database")

    result = await call(context, tool(slow, timeout=20))
    assert result.content == "Error: TimeoutError: the database"


async def test_a_tool_with_a_timeout_works_in_a_thread_of_its_own(context: Any):
    def where() -> str:
        """Where."""
        return threading.current_thread().name

    assert (await call(context, tool(where, timeout=20))).content == "workflow-tool"


def test_errors_of_a_tool_are_counted():
    made = toolset([tool(nothing, max_errors=2), greet])
    errors = [
        ToolMessage("1", "nothing", "Error: a", is_error=True),
        ToolMessage("2", "greet", "Error: b", is_error=True),
        ToolMessage("3", "nothing", "fine"),
    ]
    tool_calls.check_errors(errors, made, "a")
    last = ToolMessage("4", "nothing", "Error: last", is_error=True)
    with pytest.raises(WorkflowAgentsError, match="WA706") as caught:
        tool_calls.check_errors([*errors, last], made, "a")
    assert "Error: last" in caught.value.found


# More of LangChain


async def test_content_and_artifact(context: Any):
    @langchain_tool(response_format="content_and_artifact")
    def look(what: str) -> tuple[str, Any]:
        """Look."""
        return f"saw {what}", {"raw": 1}

    assert (await call(context, look, {"what": "it"})).content == "saw it"


async def test_an_error_that_the_tool_handles_is_an_error(context: Any):
    def fail() -> str:
        """Fails."""
        raise ToolException("no luck")

    source = StructuredTool.from_function(fail, handle_tool_error="try elsewhere")
    result = await call(context, source)
    assert (result.content, result.is_error) == ("Error: try elsewhere", True)


async def test_arguments_that_are_injected_are_not_the_models(context: Any):
    @langchain_tool
    def note(text: str, call_id: Annotated[str, InjectedToolCallId]) -> str:
        """Note."""
        return f"{text} {call_id}"

    assert list(one(note).parameters["properties"]) == ["text"]
    assert (await call(context, note, {"text": "x"})).content == "x c1"


async def test_a_schema_of_pydantic_1(context: Any):
    from pydantic.v1 import BaseModel as OldModel

    class Old(OldModel):
        n: int

    source = StructuredTool.from_function(
        lambda n: n + 1, name="next", description="Next.", args_schema=Old
    )
    assert one(source).parameters["properties"] == {"n": {"type": "integer"}}
    assert (await call(context, source, {"n": 1})).content == "2"
    assert (await call(context, source, {"n": "x"})).is_error


async def test_wikipedia_as_it_is(context: Any):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from langchain_community.tools import WikipediaQueryRun
        from langchain_community.utilities import WikipediaAPIWrapper

    class Page:
        summary = "Oslo is the capital of Norway."

    class Client:
        def search(self, query: str, results: int) -> list[str]:
            return [query]

        def page(self, title: str, auto_suggest: bool) -> Page:
            return Page()

    wrapper = WikipediaAPIWrapper.model_construct(
        wiki_client=Client(),
        top_k_results=1,
        lang="en",
        load_all_available_meta=False,
        doc_content_chars_max=500,
    )
    source = WikipediaQueryRun(api_wrapper=wrapper)
    assert one(source).name == "wikipedia"
    assert list(one(source).parameters["properties"]) == ["query"]
    result = await call(context, source, {"query": "Oslo"})
    assert result.content == "Page: Oslo\nSummary: Oslo is the capital of Norway."


def test_what_returns_directly_is_the_answer():
    direct = StructuredTool.from_function(
        lambda: "x", name="direct", description="d", return_direct=True
    )
    made = toolset([direct, greet])
    said = ToolMessage("1", "direct", "x")
    assert tool_calls.direct_answer([said], made) == "x"
    assert tool_calls.direct_answer([said, ToolMessage("2", "greet", "y")], made) is None
    failed = ToolMessage("1", "direct", "Error", is_error=True)
    assert tool_calls.direct_answer([failed], made) is None
