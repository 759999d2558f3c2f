"""Schemas that a provider can hold a model to: "strict" structured output.

Providers compile such a schema to a grammar, and take only a part of JSON Schema: objects are
closed and all their members are required, a few keywords are known. `strict` rewrites what can
be rewritten, so that whatever fits the result fits the original, except for bounds that the
provider does not know and whoever reads the answer checks. It says so where it cannot.
"""

from collections.abc import Mapping
from typing import Any, cast

_KEPT = frozenset([
    "$ref", "anyOf", "const", "description", "enum", "exclusiveMaximum", "exclusiveMinimum",
    "format", "items", "maxItems", "maximum", "minItems", "minimum", "multipleOf", "pattern",
    "type",
])  # fmt: skip
_LEFT_OUT = frozenset([
    "$comment", "$defs", "$id", "$schema", "additionalProperties", "contentEncoding",
    "contentMediaType", "default", "deprecated", "discriminator", "examples", "maxLength",
    "minLength", "properties", "readOnly", "required", "title", "uniqueItems", "writeOnly",
    "allOf", "oneOf",
])  # fmt: skip
_FORMATS = frozenset(
    ["date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid"]
)
BOUNDS = frozenset([
    "exclusiveMaximum", "exclusiveMinimum", "maxItems", "maximum", "minItems", "minimum",
    "multipleOf",
])  # fmt: skip
"""Keywords that some providers do not know, and that may be left out."""


class _Impossible(Exception):
    """The schema says what no strict one can."""


def strict(
    schema: Mapping[str, Any], *, without: frozenset[str] = frozenset()
) -> dict[str, Any] | None:
    """The schema as a provider can hold a model to it; None if it cannot be written so.

    Args:
        schema: a JSON schema, as pydantic makes them.
        without: keywords to leave out besides.
    """
    definitions: dict[str, Any] = schema.get("$defs", {})
    try:
        root = _strict(_root(schema, definitions), definitions, without)
        if root.get("type") != "object":
            return None
        named = {name: _strict(inner, definitions, without) for name, inner in definitions.items()}
    except _Impossible:
        return None
    return {**root, **({"$defs": named} if named else {})}


def _root(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """A root that refers to a definition, as recursive types do, becomes its copy."""
    return _resolved(schema["$ref"], definitions) if "$ref" in schema else schema


def _strict(schema: Any, definitions: Mapping[str, Any], without: frozenset[str]) -> dict[str, Any]:
    if not isinstance(schema, Mapping) or not schema:
        raise _Impossible
    given = dict(cast("Mapping[str, Any]", schema))
    if set(given) - _KEPT - _LEFT_OUT:
        raise _Impossible
    given |= _single_parts(given, definitions)
    if "$ref" in given:
        _resolved(given["$ref"], definitions)
        return {"$ref": given["$ref"]}
    made = {key: value for key, value in given.items() if key in _KEPT - without}
    if made.get("format") not in _FORMATS:
        made.pop("format", None)
    branches = given.get("anyOf", given.get("oneOf"))
    if branches is not None:
        made["anyOf"] = [_strict(branch, definitions, without) for branch in branches]
    if "items" in made:
        made["items"] = _strict(made["items"], definitions, without)
    if "array" in _types(given) and "items" not in made:
        raise _Impossible
    if "object" in _types(given):
        made |= _closed(given, definitions, without)
    if not {"type", "anyOf", "enum", "const"} & set(made):
        raise _Impossible
    return made


def _closed(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], without: frozenset[str]
) -> dict[str, Any]:
    """An object takes no members but its own, and all of them."""
    if schema.get("additionalProperties", False) is not False:
        raise _Impossible
    properties: Mapping[str, Any] = schema.get("properties", {})
    if not properties:
        raise _Impossible
    return {
        "properties": {
            name: _strict(value, definitions, without) for name, value in properties.items()
        },
        "required": list(properties),
        "additionalProperties": False,
    }


def _single_parts(given: dict[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """An `allOf` of one part, and a reference that has a description beside it, dissolved.

    A reference to an object stays one, because it may be recursive; its neighbours are lost.
    """
    parts = given.pop("allOf", None)
    if parts is not None:
        if len(parts) != 1:
            raise _Impossible
        given |= parts[0]
    if "$ref" in given and "description" in given:
        target = _resolved(given["$ref"], definitions)
        if not {"properties", "$ref", "anyOf", "items"} & set(target):
            del given["$ref"]
            return {**target, "description": given["description"]}
    return {}


def _resolved(reference: str, definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    name = reference.removeprefix("#/$defs/")
    if name not in definitions:
        raise _Impossible
    return definitions[name]


def _types(schema: Mapping[str, Any]) -> list[str]:
    kind = schema.get("type", [])
    return [kind] if isinstance(kind, str) else list(kind)
