"""What a payload is to be, a draft of one, and what is wrong with one."""

from enum import Enum

import pytest
from pydantic import BaseModel, Field, TypeAdapter

from workflow_agents.dashboard.payloads import described, wrong_in


class Size(Enum):
    SMALL = "s"
    LARGE = "l"


class Item(BaseModel):
    sku: str
    count: int = Field(ge=1)


class Tree(BaseModel):
    name: str
    below: "list[Tree]" = []


class Order(BaseModel):
    customer: str
    item: Item
    size: Size
    gift: bool
    note: str | None = None
    tags: list[str]


def test_a_draft_has_what_is_required() -> None:
    told = described(Order)
    assert told["template"] == {
        "customer": "",
        "item": {"sku": "", "count": 1},
        "size": "s",
        "gift": False,
        "tags": [],
    }
    assert told["schema"]["title"] == "Order"
    assert described(None) == {"schema": None, "template": None}


@pytest.mark.parametrize("declared", [Order, Tree, list[Item], dict[str, int], int | str])
def test_a_draft_is_taken_as_it_is(declared: object) -> None:
    TypeAdapter(declared).validate_python(described(declared)["template"])


def test_what_is_wrong_is_said_by_fields() -> None:
    wrong = wrong_in(Order, {"customer": 3, "item": {"sku": "A", "count": 0}, "size": "x"})
    assert [one["field"] for one in wrong] == ["customer", "item.count", "size", "gift", "tags"]
    assert wrong_in(Item, "text")[0]["field"] == "payload"
    assert wrong_in(Item, {"sku": "A", "count": 1}) == []
    assert wrong_in(None, object()) == []
