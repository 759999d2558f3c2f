"""A text is found as it stands inside a JSON string, or as a piece of JSON."""

import pytest

from workflow_agents.core.searching import Needle
from workflow_agents.errors import ConfigurationError
from workflow_agents.protocol.codec import encode

VALUE = {"sku": "A-17", "amount": 25, "note": 'she said "no" — 100 %_\\', "of": [1, {"x": None}]}


@pytest.mark.parametrize(
    "text",
    ["a-17", "A-17", '"amount": 25', '"amount":25', 'said "no"', "— 100", "%_\\", '[1, {"x": null}',
     ' "sku": "A-17", "amount": 25 '],
)  # fmt: skip
def test_it_is_found(text: str) -> None:
    assert Needle.of(text).found_in(encode(VALUE)) is not None


@pytest.mark.parametrize("text", ["A-18", '"amount": 26', "100 %x"])
def test_it_is_not_found(text: str) -> None:
    assert Needle.of(text).found_in(encode(VALUE)) is None


def test_what_stands_around_it_is_told() -> None:
    assert Needle.of("b").found_in(b"a" * 100 + b"b" + "ä".encode() * 100) == (
        "…" + "a" * 48 + "b" + "ä" * 24 + "…"
    )


@pytest.mark.parametrize("text", ["", "  ", "x" * 201])
def test_nothing_and_too_much_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="1 to 200 characters"):
        Needle.of(text)
