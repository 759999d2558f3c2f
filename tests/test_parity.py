"""The table of what the JavaScript SDK offers: every row is filled, by something that is there."""

import re
from pathlib import Path

import pytest

from docs.parity import ROWS, Row, resolve

ROOT = Path(__file__).parents[1]
FILLED = [row for row in ROWS if not row.is_needless and not row.is_missing]


@pytest.mark.parametrize("row", FILLED, ids=lambda row: row.theirs)
def test_what_a_row_names_is_there_and_shown(row: Row) -> None:
    resolve(row.ours)
    word = re.split(r"[.(]", row.ours.removesuffix(")"))[-1]
    # A class is returned, and need not be named where it is shown.
    if not word[0].isupper():
        shown = (ROOT / row.shown).read_text(encoding="utf-8")
        assert re.search(rf"\b{word}\b", shown), f"{row.shown} does not show {word}"
    assert (ROOT / row.shown).exists()


def test_no_row_is_missing() -> None:
    assert not [row.theirs for row in ROWS if row.is_missing]


def test_no_row_is_empty_or_there_twice() -> None:
    theirs = [row.theirs for row in ROWS]
    assert len(theirs) == len(set(theirs))
    for row in ROWS:
        assert row.theirs
        assert len(row.ours) > (12 if row.is_needless or row.is_missing else 3)
        assert row.shown


@pytest.mark.parametrize(
    "wrong",
    ["Nothing", "Engine.nothing", "RunLog.nothing", "AsyncClient.notify(nothing)", "engine.no.x"],
)
def test_what_is_not_there_is_not_found(wrong: str) -> None:
    with pytest.raises(LookupError):
        resolve(wrong)
