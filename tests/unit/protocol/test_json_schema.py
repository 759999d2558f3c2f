from typing import Any

import pytest

from workflow_agents.protocol.json_schema import faults

CITY = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 2, "maxLength": 5, "pattern": "^[A-Z]"},
        "size": {"type": "integer", "minimum": 1, "exclusiveMaximum": 10},
        "height": {"type": "number", "maximum": 8.5, "exclusiveMinimum": 0},
        "kind": {"enum": ["old", "new"]},
        "planet": {"const": "earth"},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2},
        "near": {"anyOf": [{"$ref": "#/$defs/City"}, {"type": "null"}]},
        "both": {"allOf": [{"type": "integer"}, {"minimum": 3}]},
        "either": {"type": ["integer", "string"]},
        "by_name": {"type": "object", "additionalProperties": {"type": "integer"}},
    },
    "required": ["name"],
    "additionalProperties": False,
    "$defs": {
        "City": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    },
}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"size": 1},
        {"size": 9.0},
        {"height": 8.5},
        {"kind": "new"},
        {"planet": "earth"},
        {"tags": ["a"]},
        {"near": None},
        {"near": {"name": "x", "other": 1}},
        {"both": 3},
        {"either": "x"},
        {"either": 1},
        {"by_name": {"a": 1}},
    ],
)
def test_what_fits(more: dict[str, Any]):
    assert faults({"name": "Oslo", **more}, CITY) == []


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"name": 3}, "name: expected string, found 3"),
        ({"name": "O"}, "name: expected at least 2, found 1"),
        ({"name": "Oslooo"}, "name: expected at most 5, found 6"),
        ({"name": "oslo"}, 'name: expected text like ^[A-Z], found "oslo"'),
        ({"size": 0}, "size: expected at least 1, found 0"),
        ({"size": 10}, "size: expected less than 10, found 10"),
        ({"size": 1.5}, "size: expected integer, found 1.5"),
        ({"size": True}, "size: expected integer, found true"),
        ({"height": 0}, "height: expected more than 0, found 0"),
        ({"height": 9}, "height: expected at most 8.5, found 9"),
        ({"kind": "mid"}, 'kind: expected one of ["old", "new"], found "mid"'),
        ({"planet": "mars"}, 'planet: expected "earth", found "mars"'),
        ({"tags": []}, "tags: expected at least 1, found 0"),
        ({"tags": ["a", 2]}, "tags[1]: expected string, found 2"),
        ({"near": {}}, "near.name: it is required"),
        ({"near": 3}, "near: expected object, found 3"),
        ({"both": 2}, "both: expected at least 3, found 2"),
        ({"either": None}, "either: expected integer or string, found null"),
        ({"by_name": {"a": "x"}}, 'by_name.a: expected integer, found "x"'),
        ({"other": 1}, "other: no such argument"),
    ],
)
def test_what_does_not_fit(more: dict[str, Any], says: str):
    assert faults({"name": "Oslo", **more}, CITY) == [says]


def test_every_fault_is_told():
    assert faults({"size": "x", "kind": 1}, CITY) == [
        "name: it is required",
        'size: expected integer, found "x"',
        'kind: expected one of ["old", "new"], found 1',
    ]
    assert faults([], CITY) == ["the value: expected object, found []"]


def test_what_it_does_not_know_passes():
    assert faults(3, {"multipleOf": 2, "not": {}}) == []
    assert faults("x", {"pattern": "(?<bad"}) == []
    assert faults(3, {"$ref": "#/nowhere"}) == []
    assert faults(3, {"$ref": "#"}) == []
    assert faults({"a": 1}, {"properties": {"a": True}}) == []
