"""Any schema: what is called strict passes the provider's rules, and narrows the original."""

from typing import Any

import jsonschema
from hypothesis import given
from hypothesis import strategies as st

from workflow_agents.agents.models.strict_schema import BOUNDS, strict
from workflow_agents.testing._rules import strict_schema

NAMES = st.sampled_from(["a", "b", "c"])
NOTES = st.fixed_dictionaries(
    {}, optional={"title": st.just("T"), "description": st.just("d"), "default": st.none()}
)
LEAVES = st.one_of(
    st.sampled_from(["string", "integer", "boolean", "null"]).map(lambda kind: {"type": kind}),
    st.just({"type": "integer", "minimum": 0, "exclusiveMaximum": 9}),
    st.just({"type": "string", "minLength": 2}),
    st.just({"enum": ["x", 1]}),
    st.just({"const": "x"}),
    st.just({"$ref": "#/$defs/Leaf"}),
    st.just({"$ref": "#/$defs/Node"}),
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


def _nested(inner: Any) -> Any:
    return st.one_of(
        _objects(inner),
        inner.map(lambda items: {"type": "array", "items": items, "minItems": 1}),
        st.lists(inner, min_size=1, max_size=3).map(lambda branches: {"anyOf": branches}),
        st.lists(inner, min_size=1, max_size=3).map(lambda branches: {"oneOf": branches}),
        st.lists(inner, min_size=1, max_size=2).map(lambda parts: {"allOf": parts}),
    )


SCHEMAS = st.recursive(LEAVES, _nested, max_leaves=8)
DEFINITIONS: dict[str, Any] = {
    "Leaf": {"type": "string", "enum": ["l", "m"], "title": "Leaf"},
    "Node": {
        "type": "object",
        "properties": {"next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}},
    },
}


@given(_objects(SCHEMAS), NOTES, st.sampled_from([frozenset[str](), BOUNDS]))
def test_what_is_strict_passes_the_rules(schema: Any, notes: Any, without: frozenset[str]):
    made = strict({**notes, **schema, "$defs": DEFINITIONS}, without=without)
    if made is not None:
        strict_schema(made, "it", "response_format", None)
        jsonschema.Draft202012Validator.check_schema(made)
        assert not without & set(str(made).replace("'", " ").split())


VALUES = st.recursive(
    st.sampled_from(["x", "l", "long", 1, 4, True, None]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(NAMES, SCHEMAS, min_size=1, max_size=2),
    st.dictionaries(NAMES, VALUES, max_size=3),
)
def test_what_fits_the_strict_one_fits_the_original(properties: Any, value: Any):
    given = {"type": "object", "properties": properties, "$defs": DEFINITIONS}
    made = strict(given)
    if made is None or "minLength" in str(given) or "oneOf" in str(given):
        return  # lengths are left to who checks, and of several branches one may be taken
    if jsonschema.Draft202012Validator(made).is_valid(value):
        assert jsonschema.Draft202012Validator(given).is_valid(value)
