"""Answers of called services, as they are recorded and read again."""

import json

import pytest

from workflow_agents.protocol.codec import MAX_DEPTH, decode, encode
from workflow_agents.protocol.results import CallResponse, stored_answer


def recorded(content: bytes, content_type: str = "application/json") -> dict:
    return decode(stored_answer(200, {"x": ["1", "2"]}, content, content_type))


@pytest.mark.parametrize(
    "content",
    [
        b'{"a": [1, 2.5, null, true], "b": {}}',
        b"[]",
        b'"text"',
        b"7",
        b'{"twice": 1, "twice": 2}',
        b'{"large": 1e999}',
        b'{"none": NaN}',
        b'{"half": "\\ud800"}',
        b"{broken",
        b"plain",
        b"",
        b"[" * MAX_DEPTH + b"]" * MAX_DEPTH,
        b"[" * 9 * MAX_DEPTH,
    ],
)
def test_a_body_is_read_as_json_would_read_it(content: bytes) -> None:
    response = CallResponse.read(recorded(content))

    try:
        expected = json.loads(content)
    except (ValueError, RecursionError):
        expected = content.decode()
    assert repr(response.body) == repr(expected)
    assert (response.status, response.headers) == (200, {"x": ["1", "2"]})


def test_a_text_has_the_bytes_that_it_has_in_every_other_document() -> None:
    """However the service has escaped it."""
    text = 'She said: "é"\n\\'
    escaped = json.dumps({"choices": [{"content": text}]}, indent=1, ensure_ascii=True).encode()

    assert encode(text) in stored_answer(200, {}, escaped, "application/json")


def test_bytes_stay_bytes() -> None:
    assert CallResponse.read(recorded(b"\x89PNG\xff", "image/png")).body == b"\x89PNG\xff"
    assert CallResponse.read(recorded(b"{\xff", "application/json")).body == b"{\xff"


def test_results_that_were_recorded_as_text_are_read_as_before() -> None:
    stored = {"status": 200, "header": {}, "body": '{"a": 1}'}

    assert CallResponse.read(stored).body == {"a": 1}
