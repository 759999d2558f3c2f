"""Whatever is encoded is read back the same; whatever is sent is read or refused, never worse."""

import json
import math
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_agents.errors import ConfigurationError
from workflow_agents.protocol.codec import MAX_DEPTH, Undecodable, Unencodable, decode, encode
from workflow_agents.protocol.times import (
    MAX_DURATION_MS,
    MAX_INSTANT_MS,
    duration_ms,
    format_duration,
    http_date_ms,
    instant_ms,
)

few = settings(max_examples=200, deadline=None)

# Text may hold lone surrogates, NUL, and brackets, which the depth check must tell apart.
texts = (
    st.text()
    | st.text(st.characters(min_codepoint=0xD7F0, max_codepoint=0xE010))
    | st.text('[]{}"\\,')
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=30
)


def joined(value):
    """The value as JSON can say it: two surrogates that form a pair are one character."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    if isinstance(value, list):
        return [joined(part) for part in value]
    if isinstance(value, dict):
        return {joined(key): joined(part) for key, part in value.items()}
    return value


def attempted(kind, function, value):
    """The result and None, or None and the error of this kind."""
    try:
        return function(value), None
    except kind as error:
        return None, error


@few
@given(values)
def test_json_comes_back(value):
    data = encode(value)

    assert decode(data) == joined(value)
    assert decode(data.decode()) == joined(value)
    assert json.loads(data) == joined(value)
    assert encode(decode(data)) == encode(joined(value))


@few
@given(values, st.integers(0, MAX_DEPTH * 2), st.booleans(), texts)
def test_what_is_accepted_is_never_too_deep_to_be_read(value, depth, objects, text):
    for _ in range(depth):
        value = {text: value} if objects else [text, value, text]
    try:
        data = encode(value)
    except Unencodable:
        assert depth > 150
    else:
        assert depth <= MAX_DEPTH
        assert decode(data) == joined(value)


@few
@given(st.recursive(scalars | st.binary() | st.floats() | st.sets(st.integers()),
                    lambda inner: st.lists(inner) | st.dictionaries(texts, inner)))  # fmt: skip
def test_whatever_is_given_is_encoded_or_refused(value):
    data, refused = attempted(Unencodable, encode, value)

    if refused:
        assert refused.path.startswith("$")
        assert refused.reason
    else:
        decode(data)


fragments = st.sampled_from(
    [*'{}[],:"\\- \n\x00\ud800\ufeff', "\\u", "\\ud800", "NaN", "Infinity", "null", "true", "0",
     "1.", "e5", "1e999", "[" * 3000, "1" * 5000, '"a":']
)  # fmt: skip


@few
@given(st.lists(fragments | st.text(max_size=5), max_size=12).map("".join) | st.binary())
def test_whatever_arrives_is_read_or_refused(data):
    value, refused = attempted(Undecodable, decode, data)

    if refused:
        assert refused.reason
    else:
        assert decode(encode(value)) == joined(value)


@few
@given(st.integers(0, MAX_DURATION_MS))
def test_durations_for_people_are_exact(ms):
    assert duration_ms(format_duration(ms)) == ms


units = st.sampled_from(["s", "m", "h", "d", "w", "mo", "y"])


@few
@given(st.lists(st.tuples(st.integers(0, 99), units), min_size=1, max_size=6))
def test_parts_of_a_duration_add_up(parts):
    text = "".join(f"{number}{unit}" for number, unit in parts)
    try:
        assert duration_ms(text) == sum(duration_ms(f"{number}{unit}") for number, unit in parts)
    except ConfigurationError:
        assert sum(number for number, unit in parts if unit == "y") > 50


@few
@given(st.text() | st.text("0123456789.smhdwyo -") | st.integers() | st.floats() | st.none())
def test_any_duration_is_read_or_refused(value):
    ms, refused = attempted(ConfigurationError, duration_ms, value)

    if refused:
        assert refused.code == "WA103"
    else:
        assert 0 <= ms <= MAX_DURATION_MS


@few
@given(st.text() | st.text("0123456789-:.TZ+W") | st.integers() | st.floats() | st.datetimes())
def test_any_instant_is_read_or_refused(value):
    ms, refused = attempted(ConfigurationError, instant_ms, value)

    if refused:
        assert refused.code == "WA102"
    else:
        assert 0 <= ms <= MAX_INSTANT_MS


@few
@given(st.integers(0, MAX_INSTANT_MS // 1000))
def test_instants_agree_in_every_spelling(seconds):
    when = datetime.fromtimestamp(seconds, UTC)

    assert instant_ms(seconds) == instant_ms(when) == instant_ms(when.isoformat()) == seconds * 1000
    assert http_date_ms(
        when.strftime("%a, %d %b ") + f"{when.year:04}" + when.strftime(" %T GMT")
    ) == (seconds * 1000)


@few
@given(st.floats(0, MAX_DURATION_MS / 1000))
def test_seconds_are_rounded_to_the_nearest_millisecond(seconds):
    assert math.isclose(duration_ms(seconds), seconds * 1000, abs_tol=0.5)
