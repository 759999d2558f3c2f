"""Any schema: what is called strict passes the provider's rules, and narrows the original."""

from typing import Any

import jsonschema
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from workflow_agents.agents.models.strict_schema import BOUNDS, strict
from workflow_agents.testing._rules import strict_schema

NAMES = st.sampled_from(["a", "b", "c"])
NOTES = st.fixed_dictionaries(
    {}, optional={"title": st.just("T"), "description": st.just("d"), "default": st.none()}
)
GOOD_LEAVES = st.one_of(
    st.sampled_from(["string", "integer", "boolean", "null"]).map(lambda kind: {"type": kind}),
    st.just({"type": "integer", "minimum": 0, "exclusiveMaximum": 9}),
    st.just({"type": "string", "minLength": 2}),
    st.just({"enum": ["x", 1]}),
    st.just({"const": "x"}),
    st.just({"$ref": "#/$defs/Leaf"}),
    st.just({"$ref": "#/$defs/Node"}),
)
LEAVES = GOOD_LEAVES | st.one_of(
    st.just({"$ref": "#/$defs/Nowhere"}),
    st.just({"type": "object", "additionalProperties": {"type": "string"}}),
    st.just({"not": {"type": "string"}}),
    st.just({}),
)


def _objects(inner: Any) -> Any:
    return st.dictionaries(NAMES, inner, max_size=3).flatmap(
        lambda properties: st.lists(
            st.sampled_from(sorted(properties)) if properties else st.nothing(), unique=True
        ).map(
            lambda needed: {"type": "object", "properties": properties, "required": needed},
        )
    )


def _possible(inner: Any) -> Any:
    return st.one_of(
        _objects(inner),
        inner.map(lambda items: {"type": "array", "items": items, "minItems": 1}),
        st.lists(inner, min_size=1, max_size=3).map(lambda branches: {"anyOf": branches}),
        inner.map(lambda part: {"allOf": [part], "description": "d"}),
    )


def _nested(inner: Any) -> Any:
    return _possible(inner) | st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda branches: {"oneOf": branches}),
        st.lists(inner, min_size=1, max_size=2).map(lambda parts: {"allOf": parts}),
    )


SCHEMAS = st.recursive(LEAVES, _nested, max_leaves=8)
POSSIBLE = st.recursive(GOOD_LEAVES, _possible, max_leaves=8)
DEFINITIONS: dict[str, Any] = {
    "Leaf": {"type": "string", "enum": ["l", "m"], "title": "Leaf"},
    "Node": {
        "type": "object",
        "properties": {"next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}},
    },
}


@settings(deadline=None)
@given(_objects(SCHEMAS), NOTES, st.sampled_from([frozenset[str](), BOUNDS]))
def test_what_is_strict_passes_the_rules(schema: Any, notes: Any, without: frozenset[str]):
    made = strict({**notes, **schema, "$defs": DEFINITIONS}, without=without)
    if made is not None:
        strict_schema(made, "it", "response_format", None)
        jsonschema.Draft202012Validator.check_schema(made)
        assert not without & set(str(made).replace("'", " ").split())


def instances(schema: Any, definitions: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that fit a strict schema."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        return st.deferred(lambda: instances(definitions[name], definitions, depth + 1))
    if "anyOf" in schema:
        branches = schema["anyOf"] if depth < 4 else schema["anyOf"][-1:]
        return st.one_of([instances(branch, definitions, depth) for branch in branches])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "const" in schema:
        return st.just(schema["const"])
    match schema["type"]:
        case "object":
            members = schema["properties"].items()
            return st.fixed_dictionaries({k: instances(v, definitions, depth) for k, v in members})
        case "array":
            items = instances(schema["items"], definitions, depth)
            return st.lists(items, min_size=schema.get("minItems", 0), max_size=2)
        case "integer":
            return st.integers(schema.get("minimum"), 8)
        case kind:
            simple = {"string": st.text(min_size=2), "boolean": st.booleans(), "null": st.none()}
            return simple[kind]


@settings(deadline=None)
@given(_objects(POSSIBLE), st.data())
def test_what_fits_the_strict_one_fits_the_original(schema: Any, data: st.DataObject):
    original = {**schema, "$defs": DEFINITIONS}
    made = strict(original)
    assume(made is not None)  # an object without members is no strict one
    assert made is not None
    value = data.draw(instances(made, made["$defs"]))
    assert jsonschema.Draft202012Validator(made).is_valid(value)
    assert jsonschema.Draft202012Validator(original).is_valid(value)
