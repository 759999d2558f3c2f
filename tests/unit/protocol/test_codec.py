"""What becomes of values, durations and instants at the border; and what is refused."""

import dataclasses
import enum
import json
import subprocess
import sys
from collections import OrderedDict, namedtuple
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import PurePosixPath
from uuid import UUID

import pydantic
import pytest

from workflow_agents.errors import ConfigurationError
from workflow_agents.protocol import codec
from workflow_agents.protocol.codec import MAX_DEPTH, Undecodable, Unencodable, decode, encode
from workflow_agents.protocol.times import (
    MAX_DURATION_MS,
    MAX_INSTANT_MS,
    duration_ms,
    format_duration,
    http_date_ms,
    instant_ms,
)


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    name: str
    parts: object = ()


@dataclasses.dataclass
class Node:
    following: object = None


class Order(pydantic.BaseModel):
    id: UUID
    when: datetime
    items: list[Item]


Point = namedtuple("Point", "x y")


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


# Encode.
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        ("é\n\x00", '"é\\n\\u0000"'),
        (0.1, "0.1"),
        ({"a": [1, (2, 3)], "b": {}}, '{"a":[1,[2,3]],"b":{}}'),
        (OrderedDict(z=1, a=2), '{"z":1,"a":2}'),
        (Point(1, 2), "[1,2]"),
        (Color.RED, '"red"'),
        ([Level.HIGH], "[3]"),
        (Item("x", [Item("y")]), '{"name":"x","parts":[{"name":"y","parts":[]}]}'),
        (datetime(2026, 5, 1, 12, tzinfo=UTC), '"2026-05-01T12:00:00+00:00"'),
        (date(2026, 5, 1), '"2026-05-01"'),
        (time(12, 30), '"12:30:00"'),
        (UUID(int=0), '"00000000-0000-0000-0000-000000000000"'),
        (Decimal("1.10"), '"1.10"'),
        (PurePosixPath("/a/b"), '"/a/b"'),
        ({1: "a", None: "b", False: "c", 0.5: "d"}, '{"1":"a","null":"b","false":"c","0.5":"d"}'),
        ("\ud800 é", '"\\ud800 \\u00e9"'),
    ],
)
def test_values_become_compact_json(value, text):
    assert encode(value) == text.encode()


def test_a_model_becomes_what_it_reads_back():
    order = Order(id=UUID(int=1), when=datetime(2026, 5, 1, tzinfo=UTC), items=[Item("x", [1])])

    assert Order.model_validate(decode(encode(order))) == order


@pytest.mark.parametrize(
    ("value", "path", "reason"),
    [
        (float("nan"), "$", "nan"),
        ({"a": [1, {"b c": float("-inf")}]}, '$.a[1]["b c"]', "-inf"),
        ({"items": [0, 1, {"when": timedelta(1)}]}, "$.items[2].when", "total_seconds"),
        ([b"x"], "$[0]", "base64"),
        ([{1, 2}], "$[0]", "sorted"),
        ({"a": {(1, 2): 3}}, "$.a", "tuple"),
        ({float("inf"): 1}, "$", "inf"),
        pytest.param([10**5000], "$[0]", "digits", id="digits"),
        ([ValueError("x")], "$[0]", "str(error)"),
        ([Order], "$[0]", "class"),
        ([iter([])], "$[0]", "list(...)"),
        ([object()], "$[0]", "plain data"),
        (Item("x", [1, {2}]), "$.parts[1]", "sorted"),
        ([nested(MAX_DEPTH)], "$[0]", "nested more than 200"),
        ([nested(100_000)], "$[0]", "nested more than 200"),
    ],
)
def test_what_json_cannot_hold_is_named_with_its_place(value, path, reason):
    with pytest.raises(Unencodable) as refused:
        encode(value)

    assert refused.value.path.startswith(path)
    assert reason in refused.value.reason
    assert len(str(refused.value)) < 200


def test_a_result_that_was_not_awaited_is_named():
    async def fetch():
        return 1

    result = fetch()
    with pytest.raises(Unencodable, match="await"):
        encode({"page": result})
    result.close()


def test_circles_are_named():
    by_list: list[object] = []
    by_list.append({"again": by_list})
    by_object = Node()
    by_object.following = [by_object]

    with pytest.raises(Unencodable, match=r"\$\[0\].again: it contains itself"):
        encode(by_list)
    with pytest.raises(Unencodable, match=r"\$.following\[0\]: it contains itself"):
        encode(by_object)


def test_an_object_that_never_becomes_plain_is_refused():
    class Endless:
        def model_dump(self, mode):
            return Endless()

    with pytest.raises(Unencodable):
        encode(Endless())


def test_the_same_object_twice_is_no_circle():
    part = {"a": 1}

    assert decode(encode([part, part])) == [part, part]


def test_depth_is_counted_exactly_also_beside_brackets_in_strings():
    deepest = nested(MAX_DEPTH)
    assert decode(encode(deepest)) == deepest

    wide = {"text": "[{" * 500, "quoted": '\\"]"' * 300, "list": [[] for _ in range(500)]}
    assert decode(encode(wide)) == wide

    with pytest.raises(Unencodable):
        encode({"text": "]" * 300, "deep": nested(MAX_DEPTH)})


def test_the_prepared_encoder_writes_what_the_documented_one_writes():
    value = {"a": [1, 1.5, None, True, {"é": "\n"}], "b": (), "c": [{}], "d": Item("x")}

    assert encode(value).decode() == codec._PREPARED.encode(value)


def test_without_the_c_encoder_the_documented_one_is_used(monkeypatch):
    monkeypatch.setattr(json.encoder, "c_make_encoder", None)

    assert codec._fastest_writer()({"a": [1]}) == '{"a":[1]}'


def test_importing_the_codec_stays_light():
    code = (
        "import sys, workflow_agents.protocol.codec;"
        "print(sorted({'pydantic', 'asyncio', 'email', 'decimal', 'pathlib', 'uuid', 'inspect'}"
        " & sys.modules.keys() - set(sys.argv[1].split())))"
    )
    # What the bare interpreter has loaded, by its own site files, is not ours.
    bare = "import sys; print(*sys.modules)"
    before = subprocess.run([sys.executable, "-c", bare], capture_output=True, text=True)
    done = subprocess.run(
        [sys.executable, "-c", code, before.stdout + " inspect"], capture_output=True, text=True
    )

    assert done.stdout.strip() == "[]", done.stderr


# Decode.
def test_decode_reads_bytes_and_text_with_spaces_around():
    assert decode(b' {"a": [1, 2.5e3, "\xc3\xa9"]}\r\n') == {"a": [1, 2500.0, "é"]}
    assert decode('"\\ud800"') == "\ud800"
    assert decode('{"a": 1, "a": 2}') == {"a": 2}


@pytest.mark.parametrize(
    "data",
    [
        b"", " ", "NaN", "[Infinity]", '{"a":-Infinity}', "1e999", "-1e999", "[1,]", "{'a':1}",
        "1 2", "nul", b"\xff", "\ufeff1", '"\x00"', "\x00", pytest.param("[" * 100_000, id="deep"),
        pytest.param("1" * 5000, id="digits"), "01",
        '"\\x"', '{"a":1}}',
    ],
)  # fmt: skip
def test_what_is_not_json_is_refused_without_quoting_it(data):
    with pytest.raises(Undecodable) as refused:
        decode(data)

    assert refused.value.reason
    assert len(str(refused.value)) < 120


# Durations.
@pytest.mark.parametrize(
    ("value", "ms"),
    [
        (0, 0),
        (30, 30_000),
        (1.5, 1500),
        (0.0004, 0),
        ("30", 30_000),
        ("1.5", 1500),
        ("10s", 10_000),
        ("500ms", 500),
        ("1m", 60_000),
        ("1.5h", 5_400_000),
        ("1d10h30m", 124_200_000),
        ("1.1d", 95_040_000),
        ("2w", 1_209_600_000),
        ("1mo", 2_592_000_000),
        ("1y", 31_536_000_000),
        ("6m5s", 365_000),
        ("1500us", 2),
        ("2000000ns", 2),
        (" 10s ", 10_000),
        (timedelta(hours=1, milliseconds=5), 3_600_005),
        ("100y", MAX_DURATION_MS),
    ],
)
def test_durations(value, ms):
    assert duration_ms(value) == ms


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("", "empty"),
        ("  ", "empty"),
        (-1, "not negative"),
        (timedelta(seconds=-1), "not negative"),
        ("-5s", "column 1"),
        ("10x", "column 3: 'x' is no unit"),
        ("1h30", "column 5: 30 has no unit"),
        ("h", "column 1: expected a number"),
        ("10 s", "column 3"),
        ("1e3s", "column 2: 'e' is no unit"),
        ("10S", "'S' is no unit"),
        ("٣s", "column 1"),
        ("5s\x00", "column 3"),
        (True, "True"),
        (None, "NoneType"),
        (float("nan"), "NaN"),
        (float("inf"), "100 years"),
        pytest.param(10**5000, "100 years", id="digits"),
        ("101y", "100 years"),
        pytest.param("9" * 100_000, "100000 characters", id="long"),
    ],
)
def test_what_is_no_duration_is_refused(value, told):
    with pytest.raises(ConfigurationError) as refused:
        duration_ms(value)

    assert refused.value.code == "WA103"
    assert told in refused.value.found[0]
    assert max(map(len, str(refused.value).splitlines())) <= 160


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0s"),
        (250, "250ms"),
        (1000, "1s"),
        (1500, "1.5s"),
        (60_000, "1m"),
        (5_400_000, "1h30m"),
        (259_200_000, "3d"),
        (86_400_005, "1d0.005s"),
    ],
)
def test_durations_for_people(ms, text):
    assert format_duration(ms) == text
    assert duration_ms(text) == ms


# Instants.
@pytest.mark.parametrize(
    ("value", "ms"),
    [
        (0, 0),
        (1_700_000_000, 1_700_000_000_000),
        (1.5, 1500),
        (datetime(2026, 5, 1, 12, tzinfo=UTC), 1_777_636_800_000),
        (datetime(2026, 5, 1, 14, tzinfo=timezone(timedelta(hours=2))), 1_777_636_800_000),
        ("2026-05-01T12:00:00Z", 1_777_636_800_000),
        ("2026-05-01T14:00:00.250+02:00", 1_777_636_800_250),
        ("9999-12-31T23:59:59.999Z", MAX_INSTANT_MS),
    ],
)
def test_instants(value, ms):
    assert instant_ms(value) == ms


def test_a_datetime_without_zone_is_local_time():
    local = datetime(2026, 5, 1, 12)

    assert instant_ms(local) == instant_ms("2026-05-01T12:00:00") == local.timestamp() * 1000


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (-1, "between 1970 and 9999"),
        (1_700_000_000_000, "divide by 1000"),
        pytest.param(10**400, "divide by 1000", id="digits"),
        (float("nan"), "between 1970 and 9999"),
        (True, "True"),
        (None, "NoneType"),
        ("tomorrow", "ISO 8601"),
        ("", "ISO 8601"),
        ("2026-13-01", "ISO 8601"),
        (datetime(1, 1, 1), "between 1970 and 9999"),
        (datetime(1969, 12, 31, tzinfo=UTC), "between 1970 and 9999"),
    ],
)
def test_what_is_no_instant_is_refused(value, told):
    with pytest.raises(ConfigurationError) as refused:
        instant_ms(value)

    assert refused.value.code == "WA102"
    assert told in refused.value.found[0]


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("Wed, 21 Oct 2015 07:28:00 GMT", 1_445_412_480_000),
        ("Wed, 31 Feb 2015 07:28:00 GMT", None),
        ("Wed, 21 Oko 2015 07:28:00 GMT", None),
        ("2015-10-21", None),
        ("10s", None),
        ("", None),
    ],
)
def test_http_dates(text, ms):
    assert http_date_ms(text) == ms
