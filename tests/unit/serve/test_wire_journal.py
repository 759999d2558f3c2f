"""Addresses and users that the wire journal makes up."""

import base64

import pytest

from workflow_agents.errors import ConfigurationError
from workflow_agents.qstash.requests import from_header_text, header_text
from workflow_agents.serve.wire_journal import child_url, user_of


@pytest.mark.parametrize(
    ("url", "own", "workflow", "expected"),
    [
        ("https://a.test/orders", "/orders", "/ship", "https://a.test/ship"),
        ("https://a.test/app/orders", "/orders", "/api/ship", "https://a.test/app/api/ship"),
        ("https://a.test/orders?x=/1", "/orders", "/ship", "https://a.test/ship"),
        ("https://a.test/elsewhere", "/orders", "/ship", "https://a.test/ship"),
        ("https://a.test/api/orders", "/orders", "ship", "https://a.test/api/ship"),
        ("https://a.test/orders", "/orders", "https://b.test/x", "https://b.test/x"),
    ],
)
def test_where_a_workflow_beside_this_one_is(
    url: str, own: str, workflow: str, expected: str
) -> None:
    assert child_url(url, own, workflow) == expected


def test_the_user_of_a_token() -> None:
    token = base64.b64encode(b'{"UserID":"ada","Password":"p"}').decode()
    assert user_of(token) == user_of(token.rstrip("=")) == "ada"


@pytest.mark.parametrize("token", ["", "?", "eyJ", base64.b64encode(b"[]").decode()])
def test_a_token_that_names_nobody(token: str) -> None:
    with pytest.raises(ConfigurationError, match="WA106"):
        user_of(token)


@pytest.mark.parametrize("name", ["charge", "a b", "100%", "percent:x", "é\n", " x ", "\x7f"])
def test_a_name_comes_through_a_header(name: str) -> None:
    text = header_text(name)

    assert text.isascii()
    assert text.isprintable()
    assert text == text.strip()
    assert from_header_text(text) == name
    assert header_text("plain name") == "plain name"
