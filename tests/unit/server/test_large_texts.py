"""No text of 100 kB keeps a parser busy, whatever is in it, and none breaks it."""

import contextlib
import time
from functools import cache

import pytest

from tests.unit.server.parsers import PARSERS, REFUSALS

SIZES = (3_000, 100_000)
"""One after the other: whatever takes much too long is found before it takes for ever."""
ALLOWED_S = 0.25
"""Most take less than 10 ms, and other processes share the machine; the square of 100,000 steps is
more than this on any."""

BEGINNINGS = {
    "cron": "CRON_TZ=",
    "header Redact-Fields": "header[",
    "JSON": '{"a":"',
    "JSON of a client": '{"a":"',
    "step": '{"a":"',
    "URL": "https://",
    "URL to call": "http://[",
    "destination": "https://",
    "destination in a path": "https:",
    "query": "upstash-a=",
    "token": "Bearer ",
    "retry delay": "min(1,",
    "flow control": "rate=1,",
    "HTTP date": "Mon, ",
}
REPEATED = [
    *("a", "1", " ", "\t", ",", "=", "(", ")", "[", "]", "{", '"', "\\", "/", "%", "-", ".", ":"),
    *("a ", "1 ", "a,", "1,", "a=1,", " =", "1s", "1-", "1.", "*/", "* ", "A/", "a.", "a:", "-a"),
    *("[]", "[[", '{"":', '"\\', '\\"', '["",', "%61", "&a=b", "a@", "//", "http://", "é", "٣"),
    *("1e", "0x", "xn--", "body,", "headers[a],", "callback-", "failure-callback-", "gzip,"),
    *("+1", "retried*", "pow(", "max(1,", "\r\n", "\n\n", "\x00", "\u2028", "\U0001f9e8", "=="),
]


@cache
def texts(begin: str, size: int) -> list[str]:
    bodies = [part * (size // len(part)) for part in REPEATED]
    return [*(f"{body}!" for body in bodies), *(begin + body for body in bodies)]


def seconds(name: str, text: str) -> float:
    began = time.perf_counter()
    with contextlib.suppress(*REFUSALS):
        PARSERS[name](text)
    return time.perf_counter() - began


@pytest.mark.parametrize("name", PARSERS)
def test_a_large_text_is_read_or_refused_at_once(name: str) -> None:
    for size in SIZES:
        for text in texts(BEGINNINGS.get(name, ""), size):
            spent = seconds(name, text)
            if spent > ALLOWED_S:
                # Something else may have run meanwhile: what is slow is slow each time.
                spent = min(spent, seconds(name, text), seconds(name, text))
            assert spent <= ALLOWED_S, f"{size} characters, as {text[:20]!r}"
