"""What a step returns: the declared type, or plain data that may be read by attribute."""

import functools
import json
from dataclasses import dataclass

import pytest

from workflow_agents.context.revive import revive


@dataclass
class User:
    name: str


async def declared() -> User: ...


async def declared_in_a_list() -> list[User]: ...


async def declared_plain() -> dict: ...


async def undeclared(): ...


def test_a_declared_dataclass_is_one_again() -> None:
    assert revive(declared, {"name": "Ada"}) == User("Ada")
    assert revive(declared_in_a_list, [{"name": "Ada"}]) == [User("Ada")]


def test_data_that_fits_no_longer_stays_as_it_was_recorded() -> None:
    assert revive(declared, {"nickname": "Ada"}) == {"nickname": "Ada"}


def test_declared_plain_data_stays_plain() -> None:
    assert type(revive(declared_plain, {"name": "Ada"})) is dict


def test_undeclared_data_can_be_read_by_attribute() -> None:
    user = revive(undeclared, {"name": "Ada", "address": {"city": "London"}, "get": 1})

    assert user.name == user["name"] == "Ada"
    assert user.address.city == "London"
    assert user == {"name": "Ada", "address": {"city": "London"}, "get": 1}
    assert json.loads(json.dumps(user)) == user
    assert isinstance(user, dict)
    assert callable(user.get)
    with pytest.raises(AttributeError, match=r"'nickname'.*'name', 'address', 'get'"):
        _ = user.nickname


@pytest.mark.parametrize("value", [None, 1, "text", [1], True])
def test_other_undeclared_data_stays_as_it_is(value: object) -> None:
    assert revive(undeclared, value) is value
    assert revive(lambda: None, value) is value


def test_a_class_that_is_made_anew_by_each_call_is_the_one_of_this_call() -> None:
    def once() -> bool:
        @dataclass
        class Local:
            n: int

        async def body() -> Local: ...

        return isinstance(revive(body, {"n": 1}), Local)

    assert [once(), once(), once()] == [True, True, True]


def test_a_partial_is_undeclared() -> None:
    assert revive(functools.partial(undeclared), {"name": "Ada"}).name == "Ada"
