import pytest

from workflow_agents.core.acceptance import shortcoming


@pytest.mark.parametrize(
    ("status", "body", "expect", "lack"),
    [
        (200, b"", (), None),
        (204, b"<html>", (), None),
        (500, b'{"choices": []}', ("choices",), "answered 500"),
        (302, b"", (), "answered 302"),
        (200, b'{"choices": []}', ("choices",), None),
        (200, b"", ("choices",), "answered 200 without a JSON object"),
        (200, b"<html>", ("choices",), "answered 200 without a JSON object"),
        (200, b'{"choices": [', ("choices",), "answered 200 without a JSON object"),
        (200, b"\xff\xfe", ("choices",), "answered 200 without a JSON object"),
        (200, b'["choices"]', ("choices",), "answered 200 without a JSON object"),
        (200, b'{"id": 1}', ("choices",), "answered 200 without 'choices'"),
        (200, b'{"id": 1}', ("a", "id", "b"), "answered 200 without 'a', 'b'"),
    ],
)
def test_what_an_answer_lacks(status: int, body: bytes, expect: tuple[str, ...], lack: str | None):
    assert shortcoming(status, body, expect) == lack
