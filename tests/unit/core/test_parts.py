"""Where large data is cut: what is a part of its own, and what growth leaves as it was."""

import json
import time

from hypothesis import example, given, settings
from hypothesis import strategies as st

from workflow_agents.core.parts import (
    COARSE_FROM,
    GLUE_BYTES,
    PIECE_BYTES,
    SHARED_TEXT_BYTES,
    TEXT_BYTES,
    has_long_text,
    split,
)
from workflow_agents.protocol.codec import encode

LONG = "It was a dark and stormy night. " * 20
few = settings(max_examples=200, deadline=None)
texts = st.text('ab"\\\n é{}[]') | st.integers(0, 40).map(lambda n: f'say "{n}"\n' * n * 9)
messages = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "tool"]), "content": texts}),
    max_size=12,
)


def test_a_long_text_is_the_same_part_wherever_it_stands() -> None:
    text = f'She said: "{LONG}"\n\\ Ünï'
    part = encode(text)

    for document in ({"ok": text}, [text], {"a": [{"content": text, "n": 1}], "b": "x"}, text):
        assert part in split(encode(document)), document


def test_short_texts_are_glue() -> None:
    data = encode({"messages": ["short"] * 200})

    assert [len(part) for part in split(data)[:-1]] == [GLUE_BYTES] * (len(data) // GLUE_BYTES)


def test_a_text_of_the_least_length_counts_its_quotes() -> None:
    shorter, long_enough = "x" * (TEXT_BYTES - 3), "x" * (TEXT_BYTES - 2)

    assert len(split(encode([shorter]))) == 1
    assert split(encode([long_enough])) == [b"[", encode(long_enough), b"]"]


def test_a_very_long_text_and_data_that_is_no_json_are_cut_at_fixed_places() -> None:
    data = bytes(range(1, 256)) * 1_000

    assert {len(part) for part in split(data)[:-1]} == {PIECE_BYTES}
    assert split(data + b"more")[:-1] == split(data)[:-1]
    assert split(b'"' + b"x" * 100_000 + b'"')[0] == b'"' + b"x" * (PIECE_BYTES - 1)


def test_far_behind_parts_are_larger_and_texts_are_glue() -> None:
    record = encode([{"text": "x" * TEXT_BYTES, "n": 1}])[1:-1] + b","
    data = b"[" + record * (3 * COARSE_FROM // len(record))

    parts = split(data)

    assert b"".join(parts) == data
    behind = parts[2 * COARSE_FROM // len(record) + 2 :]
    assert {len(part) for part in behind[:-1]} == {16 * GLUE_BYTES}


def test_a_text_with_many_quotes_is_one_text() -> None:
    text = encode('"quoted" ' * 1_000)

    assert b"".join(split(b"[" + text + b"]")[1:-1]) == text


@few
@given(st.binary() | st.binary().map(lambda data: b"[" + data) | st.text('"\\x').map(str.encode))
@example(b'"\\')
@example(b'"' + b"\\" * 600)
def test_parts_put_together_are_the_data(data: bytes) -> None:
    assert b"".join(split(data)) == data


@few
@given(messages, messages)
def test_growth_at_the_end_leaves_all_parts_but_the_last_few(before: list, more: list) -> None:
    """All but the closing brackets, and the glue in front of them that goes on now."""
    old = split(encode({"model": "m", "messages": before}))
    new = split(encode({"model": "m", "messages": [*before, *more]}))

    same = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), len(old))
    assert len(old) - same <= 1


@few
@given(messages)
def test_the_cut_depends_on_nothing_but_the_bytes(conversation: list) -> None:
    data = encode(conversation)

    assert split(data) == split(bytes(bytearray(data)))
    assert all(split(data))


def spelled_out(data: bytes) -> list[bytes]:
    """The same cut of JSON below `COARSE_FROM`, one byte after the other."""
    parts, glue, at = [], b"", 0
    while at < len(data):
        end = at + 1
        if data[at : at + 1] == b'"':
            while data[end : end + 1] != b'"':
                end += 1 + (data[end : end + 1] == b"\\")
            end += 1
        if end - at < TEXT_BYTES:
            glue += data[at:end]
        else:
            parts += [glue[n : n + GLUE_BYTES] for n in range(0, len(glue), GLUE_BYTES)]
            text, glue = data[at:end], b""
            parts += [text[n : n + PIECE_BYTES] for n in range(0, len(text), PIECE_BYTES)]
        at = end
    return parts + [glue[n : n + GLUE_BYTES] for n in range(0, len(glue), GLUE_BYTES)]


@few
@given(st.lists(texts | st.text('"\\x', min_size=100, max_size=900), max_size=8))
def test_the_quick_way_finds_the_same_places(said: list[str]) -> None:
    data = encode({"said": said})

    assert split(data) == spelled_out(data)


def test_what_is_made_to_be_slow_is_not() -> None:
    """Texts that never end, and quotes behind thousands of backslashes, are passed once."""
    nasty = [b'"' + b'\\"' * 500_000, (b'"' + b"\\" * 501) * 2_000, b'["' * 500_000, b"[" * 10**6]
    began = time.process_time()
    for data in nasty:
        assert b"".join(split(data)) == data

    assert time.process_time() - began < 10


def test_short_data_is_worth_parts_if_it_has_a_long_text() -> None:
    assert has_long_text(encode({"ok": "x" * SHARED_TEXT_BYTES}))
    assert not has_long_text(encode({"ok": ["x" * 1_000] * 3}))
    assert not has_long_text(b"x" * 4_000)
    assert not has_long_text(json.dumps({"n": [*range(900)]}).encode())
