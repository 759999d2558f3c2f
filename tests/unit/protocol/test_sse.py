"""Server-sent events, cut anywhere."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_agents.protocol.sse import EventParser, EventTooLarge, ServerSentEvent


def read(*pieces: bytes, **options: int) -> list[tuple[str, str]]:
    parser = EventParser(**options)
    return [tuple(event) for piece in pieces for event in parser.feed(piece)]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: one\n\n", [("message", "one")]),
        (b"data:one\n\ndata:  two\n\n", [("message", "one"), ("message", " two")]),
        (b"event: ping\ndata: {}\n\n", [("ping", "{}")]),
        (b"data: a\ndata: b\n\n", [("message", "a\nb")]),
        (b"data: a\r\n\r\ndata: b\r\rdata: c\n\n", [("message", x) for x in "abc"]),
        (b": a comment\n\n:\n\ndata: a\n\n", [("message", "a")]),
        (b"event: nothing\n\ndata: a\n\n", [("message", "a")]),
        (b"id: 7\nretry: 10\nother\ndata\n\n", [("message", "")]),
        ("\ufeffdata: é\n\n".encode(), [("message", "é")]),
        (b"data: \xff\n\n", [("message", "\ufffd")]),
        (b"data: not ended\n", []),
    ],
)
def test_events(stream: bytes, events: list[tuple[str, str]]) -> None:
    assert read(stream) == events


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b"]), st.text(st.characters(exclude_characters="\r\n")))
    ),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.lists(st.integers(0, 200)),
)
def test_it_does_not_matter_where_the_bytes_are_cut(
    events: list[tuple[str, str]], end: str, cuts: list[int]
) -> None:
    lines = [f"event: {kind}{end}data: {data}{end}{end}" for kind, data in events]
    stream = "".join(lines).encode("utf-8", "replace")
    places = sorted({0, len(stream), *(cut for cut in cuts if cut <= len(stream))})
    pieces = [stream[a:b] for a, b in itertools.pairwise(places)]
    assert read(*pieces) == events
    assert read(*(stream[i : i + 1] for i in range(len(stream)))) == events


def test_an_event_over_the_limit_is_refused_before_it_is_whole() -> None:
    assert read(b"data: 1234\n\n" * 50, max_bytes=20) == [("message", "1234")] * 50
    with pytest.raises(EventTooLarge, match="over 20 bytes"):
        read(b"data: 12345678901234567890", max_bytes=20)
    with pytest.raises(EventTooLarge):
        read(b"data: 1234\n" * 3, max_bytes=20)


def test_events_are_values() -> None:
    [event] = EventParser().feed(b"data: a\n\n")
    assert event == ServerSentEvent("message", "a")
