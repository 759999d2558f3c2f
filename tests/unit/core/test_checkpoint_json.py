"""Frames, news and visits come out of their JSON as they went in; anything else is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_agents.core.checkpoint_json import (
    NotFrames,
    read_answer,
    read_batch,
    read_visit,
    write_answer,
    write_batch,
    write_visit,
)
from workflow_agents.core.checkpoints import (
    Adoption,
    Batch,
    Cancel,
    End,
    Notified,
    Offer,
    Planned,
    Recall,
    Recalled,
    Record,
    Refused,
    Remember,
    Rest,
    Said,
    Taken,
    Told,
    Visit,
    Withdrawn,
    Yield,
)
from workflow_agents.core.flow_control import FlowControl
from workflow_agents.core.journal import (
    Admission,
    Again,
    Call,
    Completed,
    Failed,
    Failure,
    History,
    Invoke,
    Sleep,
    WaitForEvent,
)
from workflow_agents.core.retry import RetryPolicy, delay_of
from workflow_agents.protocol.history import Recorded, StepKind, Waiting

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
numbers = st.integers(0, 2**53)
keys = st.one_of(numbers, texts)
kinds = st.sampled_from(StepKind)
# No pair of surrogates in it: the codec of results writes none either.
data = st.builds(lambda value: json.dumps(value, ensure_ascii=False).encode(), texts)
flows = st.sampled_from([FlowControl("a", rate=2, period="1m"), FlowControl("b", parallelism=3)])
policies = st.builds(
    RetryPolicy, st.integers(0, 9), st.sampled_from([None, delay_of("1000 * (1 + retried)")])
)
failures = st.builds(
    Failure, texts, texts, st.sampled_from([500, 489]), texts,
    st.none() | st.dictionaries(texts, texts, max_size=2), st.none() | numbers, st.booleans(),
)  # fmt: skip
headers = st.dictionaries(texts, texts, max_size=2)
plans = st.one_of(
    st.builds(Sleep, st.none() | numbers, st.none() | numbers),
    st.builds(Again, numbers, numbers, failures, st.none() | flows),
    st.builds(Admission, flows),
    st.builds(WaitForEvent, texts, numbers, st.none() | st.lists(texts, max_size=2)),
    st.builds(Invoke, texts, st.binary(max_size=8), headers, headers, st.none() | texts),
    st.builds(
        Call, texts, texts, headers, st.binary(max_size=8), policies, st.none() | numbers,
        st.none() | flows, st.booleans(), st.lists(texts, max_size=2).map(tuple),
        st.none() | texts, st.none() | texts,
    ),
)  # fmt: skip
frames = st.one_of(
    st.builds(Record, keys, kinds, texts, st.booleans(), st.booleans(), data),
    st.builds(Planned, keys, kinds, texts, plans),
    st.builds(Withdrawn, keys, texts),
    st.builds(Notified, keys, texts, texts, st.binary(max_size=8), st.none() | texts),
    st.builds(Recall, texts, st.none() | numbers, st.none() | numbers),
    st.builds(Remember, keys, texts, texts, st.lists(data, max_size=3)),
    st.just(Cancel()),
    st.builds(Rest, numbers),
    st.just(Yield()),
    st.builds(End, st.builds(Completed, data) | st.builds(Failed, failures)),
)
said = st.builds(
    Said, texts, numbers | st.builds(Adoption, texts, numbers), numbers, numbers,
    st.lists(frames, max_size=3),
)  # fmt: skip
recorded = st.builds(Recorded, keys, kinds, texts, st.booleans(), data)
waiting = st.builds(Waiting, keys, kinds, texts, numbers, st.booleans())
news = st.one_of(
    recorded,
    waiting,
    st.builds(Taken, numbers),
    st.builds(Recalled, numbers, numbers, st.lists(data, max_size=3)),
    st.builds(Refused, numbers, headers),
)
told = st.builds(Told, numbers, numbers, st.lists(news, max_size=3), st.booleans())
offers = st.builds(Offer, numbers, st.none() | numbers, st.none() | texts, st.none() | texts)
visits = st.builds(
    Visit, texts, numbers, numbers, st.binary(max_size=8), offers,
    st.lists(texts, max_size=2).map(tuple),
    st.builds(History, st.lists(recorded, max_size=3), st.lists(waiting, max_size=3)),
)  # fmt: skip


@given(st.builds(Batch, texts, st.lists(said, max_size=3)))
def test_a_batch_comes_out_as_it_went_in(batch: Batch) -> None:
    assert read_batch(write_batch(batch)) == batch


@given(st.lists(told, max_size=3))
def test_an_answer_comes_out_as_it_went_in(answer: list[Told]) -> None:
    assert read_answer(write_answer(answer)) == answer


@given(visits)
def test_a_visit_comes_out_as_it_went_in(visit: Visit) -> None:
    assert read_visit(write_visit(visit)) == visit


@given(offers)
def test_an_offer_comes_out_of_its_header(offer: Offer) -> None:
    text = offer.to_text()
    assert text.isascii()
    assert Offer.from_text(text) == offer


@pytest.mark.parametrize("text", ["", "visit", "[]", "{}", '{"attempt":"1"}'])
def test_what_is_no_offer_is_none(text: str) -> None:
    assert Offer.from_text(text) is None


@pytest.mark.parametrize(
    "frame",
    [
        [],
        "rest",
        ["unheard of"],
        ["rest"],
        ["record", 1, 1, "n", 1, True, "null"],
        ["record", 1, 99, "n", True, True, "null"],
        ["record", 1.5, 1, "n", True, True, "null"],
        ["record", 1, 1, "n", True, True, None],
        ["plan", 1, 1, "n", ["unheard of"]],
        ["plan", 1, 1, "n", ["admission", None]],
        ["plan", 1, 1, "n", ["admission", ["key", "rate=none"]]],
        ["plan", 1, 4, "n", ["call", {"url": "u"}]],
        ["notify", 1, "n", "e", "not base64!", None],
        ["failed", {"error": "E", "message": "m", "more": 1}],
        ["failed", {"error": "E", "message": 1}],
    ],
)
def test_what_is_no_frame_is_refused(frame: Any) -> None:
    body = json.dumps({"endpoint": "e", "runs": [["r", 1, 0, 1, [frame]]]}).encode()
    with pytest.raises(NotFrames):
        read_batch(body)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"endpoint":1,"runs":[]}', b"\xff"])
def test_what_is_no_batch_is_refused(body: bytes) -> None:
    with pytest.raises(NotFrames):
        read_batch(body)
