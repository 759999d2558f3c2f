"""Every schema that is called strict passes OpenAI's rules; the others are told apart."""

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, TypeAdapter

from workflow_agents.agents.models.strict_schema import BOUNDS, strict
from workflow_agents.testing._messages_rules import check as check_messages
from workflow_agents.testing._rules import strict_schema


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = Field(9, ge=0, le=9, description="that are left")


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: set[str] = set()


class Owner(BaseModel):
    """Who owns pets."""

    name: Annotated[str, Field(min_length=1, max_length=20)]
    pets: list[Annotated[Cat | Dog, Field(discriminator="kind")]]
    favourite: Colour = Field(Colour.RED, description="of all colours")
    best: Cat | None = Field(None, description="the best one")
    address: "Address"


class Address(BaseModel):
    street: str | None
    mail: Annotated[str, Field(json_schema_extra={"format": "email"})]


class Tree(BaseModel):
    value: int
    children: list["Tree"] = []


@dataclass
class Point:
    x: float
    y: float = 0.0


@pytest.mark.parametrize("type_", [Cat, Dog, Owner, Tree, Point])
def test_what_pydantic_makes_becomes_strict(type_: Any):
    schema = strict(TypeAdapter(type_).json_schema())
    assert schema is not None
    strict_schema(schema, "response_format 'x'", "response_format", None)
    without = strict(TypeAdapter(type_).json_schema(), without=BOUNDS)
    assert "maximum" not in str(without)
    config = {"format": {"type": "json_schema", "schema": without}}
    said = [{"role": "user", "content": "Hi"}]
    check_messages({"model": "m", "max_tokens": 9, "messages": said, "output_config": config})


def test_members_become_required_and_their_descriptions_stay():
    schema = strict(Owner.model_json_schema())
    assert schema is not None
    assert schema["required"] == ["name", "pets", "favourite", "best", "address"]
    assert schema["properties"]["name"] == {"type": "string"}
    favourite = schema["properties"]["favourite"]
    assert favourite == {
        "enum": ["red", "blue"],
        "type": "string",
        "description": "of all colours",
    }
    assert schema["$defs"]["Cat"]["properties"]["lives"] == {
        "type": "integer",
        "maximum": 9,
        "minimum": 0,
        "description": "that are left",
    }
    assert schema["description"] == "Who owns pets."


def test_the_schema_that_is_given_stays_as_it_is():
    given = Owner.model_json_schema()
    strict(given)
    assert given == Owner.model_json_schema()


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "string"}},
        {"type": "string"},
        {},
        {"type": "object"},
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"type": "object", "properties": {"a": {}}},
        {"type": "object", "properties": {"a": True}},
        {"type": "object", "properties": {"a": {"type": "array"}}},
        {"type": "object", "properties": {"a": {"type": "object"}}},
        {"type": "object", "properties": {"a": {"not": {"type": "string"}}}},
        {"type": "object", "properties": {"a": {"allOf": [{"type": "string"}, {"enum": ["x"]}]}}},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/x", "description": "x"}}},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/x"}}},
        {"type": "object", "properties": {"a": {"$ref": "#"}}},
        {"anyOf": [{"type": "object", "properties": {"a": {"type": "string"}}}]},
        TypeAdapter(dict[str, int]).json_schema(),
        TypeAdapter(tuple[int, str]).json_schema(),
    ],
)
def test_what_cannot_be_strict_is_told(schema: dict[str, Any]):
    assert strict(schema) is None
