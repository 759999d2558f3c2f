"""Where large data is cut, so that what it has in common with other data is stored once. Pure.

The request of an agent's turn is the one before it with something added, and the texts in it
were results of steps before. So JSON is cut around its long texts: each is a part of its own
wherever it stands. What is between them is cut at fixed distances from where it begins, so that
whatever grows at its end keeps all parts but the last few.

The cut is lexical: nothing is parsed, and data that only looks like JSON is cut just as well.
It depends on nothing but the bytes, and is found in one pass. A step's text gets the same bytes
in every document because `protocol/codec` writes all of them.
"""

import re
from collections.abc import Iterator

TEXT_BYTES = 256
"""A JSON text from this length on, quotes included, is a part of its own."""

GLUE_BYTES = 512
"""What lies between long texts is cut into parts of this length."""

PIECE_BYTES = 16_800
"""Longer texts, and data that is no JSON, are cut into parts of this length.

A row of SQLite with so much fills four pages, and little of a fifth.
"""

SHARED_TEXT_BYTES = 1_024
"""Short data with a text from this length on is worth being stored in parts too."""

COARSE_FROM = 2 * 2**20
"""From this place on parts are larger, and texts are not looked for.

Many small parts would hold up whoever stores, and data of millions of quotes whoever looks.
"""

_COARSER = 16
_FEW_QUOTES, _DENSE = 64, 50  # more quotes in one text, and closer: to look at every byte is faster
_SHORT_TEXTS = re.compile(rb'(?:[^"]*+"[^"\\]{0,%d}+")*+' % (TEXT_BYTES - 3))
_REST_OF_TEXT = re.compile(rb'(?:[^"\\]++|\\.)*+"', re.DOTALL)
_QUOTE, _BACKSLASH = b'"', 0x5C


def split(data: bytes) -> list[bytes]:
    """Cut data into parts that follow each other without a gap.

    Data that begins with the same bytes has the same parts there, but for the last few.
    """
    parts: list[bytes] = []
    if not _may_be_json(data):
        _cut(parts, data, 0, len(data), PIECE_BYTES)
        return parts
    glue = 0
    for start, end in _texts(data, TEXT_BYTES):
        _cut_glue(parts, data, glue, start)
        _cut(parts, data, start, end, PIECE_BYTES)
        glue = end
    _cut_glue(parts, data, glue, len(data))
    return parts


def has_long_text(data: bytes) -> bool:
    """Whether there is a text in it that will be met again, as a message of a conversation is."""
    return _may_be_json(data) and any(_texts(data, SHARED_TEXT_BYTES))


def _may_be_json(data: bytes) -> bool:
    return data.startswith((b"{", b"[", _QUOTE))


def _texts(data: bytes, least: int) -> Iterator[tuple[int, int]]:
    """Where JSON texts of at least this length begin and end."""
    find, skip = data.find, _SHORT_TEXTS.match
    at = 0
    while passed := skip(data, at, COARSE_FROM):
        start = find(_QUOTE, passed.end())
        if not 0 <= start < COARSE_FROM:
            return
        at = _end_of_text(data, start)
        if at < 0:
            return
        if at - start >= least:
            yield start, at


def _end_of_text(data: bytes, start: int) -> int:
    """The place behind the JSON text that begins at `start`; -1 if it does not end."""
    find = data.find
    end = start
    quotes = 0
    while (end := find(_QUOTE, end + 1)) >= 0:
        before = end - 1
        while data[before] == _BACKSLASH:
            before -= 1
        if (end - before) % 2:
            return end + 1
        quotes += 1
        if quotes > _FEW_QUOTES and end - start < quotes * _DENSE:
            rest = _REST_OF_TEXT.match(data, end + 1)
            return -1 if rest is None else rest.end()
    return -1


def _cut_glue(parts: list[bytes], data: bytes, start: int, end: int) -> None:
    fine = min(end, start + max(0, COARSE_FROM - start) // GLUE_BYTES * GLUE_BYTES)
    _cut(parts, data, start, fine, GLUE_BYTES)
    _cut(parts, data, max(start, fine), end, GLUE_BYTES * _COARSER)


def _cut(parts: list[bytes], data: bytes, start: int, end: int, length: int) -> None:
    parts += [data[at : min(at + length, end)] for at in range(start, end, length)]
