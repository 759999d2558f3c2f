"""JSON data against a JSON schema: what does not fit, in words for who has written the data.

It knows the words that schemas of tools are made of: type, enum, const, properties, required,
additionalProperties, items, anyOf, oneOf, allOf, $ref within the schema, and the limits of
numbers, texts and lists. What it does not know, it lets pass: the tool itself has the last word.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

_TYPES: dict[str, type | tuple[type, ...]] = {
    "array": list,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "object": dict,
    "string": str,
    "null": type(None),
}
_MAX_DEPTH = 50


def faults(value: Any, schema: Mapping[str, Any], at: str = "") -> list[str]:
    """What is wrong with the value, each fault with its place; none: it fits."""
    return list(_faults(value, schema, schema, at, 0))


def _faults(value: Any, schema: Any, root: Mapping[str, Any], at: str, depth: int) -> Iterator[str]:
    if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
        return
    known = cast("Mapping[str, Any]", schema)
    if "$ref" in known:
        yield from _faults(value, _target(root, known["$ref"]), root, at, depth + 1)
    wanted = known.get("type")
    if wanted is not None and not _is_of(wanted, value):
        names = wanted if isinstance(wanted, str) else " or ".join(wanted)
        yield f"{at or 'the value'}: expected {names}, found {_shown(value)}"
        return
    if "enum" in known and value not in known["enum"]:
        yield f"{at}: expected one of {json.dumps(known['enum'])}, found {_shown(value)}"
    if "const" in known and value != known["const"]:
        yield f"{at}: expected {json.dumps(known['const'])}, found {_shown(value)}"
    for part in known.get("allOf", ()):
        yield from _faults(value, part, root, at, depth + 1)
    for word in ("anyOf", "oneOf"):
        tried = [list(_faults(value, one, root, at, depth + 1)) for one in known.get(word, ())]
        if tried and all(tried):
            yield min(tried, key=len)[0]
    yield from _limits(value, known, at)
    if isinstance(value, dict):
        yield from _members(cast("dict[str, Any]", value), known, root, at, depth)
    elif isinstance(value, list):
        for i, item in enumerate(cast("list[Any]", value)):
            yield from _faults(item, known.get("items"), root, f"{at}[{i}]", depth + 1)


def _members(
    value: dict[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any], at: str, depth: int
) -> Iterator[str]:
    properties: Mapping[str, Any] = schema.get("properties", {})
    others = schema.get("additionalProperties", True)
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{_inner(at, name)}: it is required"
    for name, inner in value.items():
        if name in properties:
            yield from _faults(inner, properties[name], root, _inner(at, name), depth + 1)
        elif others is False:
            yield f"{_inner(at, name)}: no such argument"
        else:
            yield from _faults(inner, others, root, _inner(at, name), depth + 1)


def _limits(value: Any, schema: Mapping[str, Any], at: str) -> Iterator[str]:
    size, words = value, ("minimum", "maximum")
    if isinstance(value, str):
        size, words = len(value), ("minLength", "maxLength")
        pattern = schema.get("pattern")
        if isinstance(pattern, str) and not _matches(pattern, value):
            yield f"{at}: expected text like {pattern}, found {_shown(value)}"
    elif isinstance(value, list):
        size, words = len(cast("list[Any]", value)), ("minItems", "maxItems")
    elif isinstance(value, bool) or not isinstance(value, int | float):
        return
    low, high = (schema.get(word) for word in words)
    if low is not None and size < low:
        yield f"{at}: expected at least {low}, found {size}"
    if high is not None and size > high:
        yield f"{at}: expected at most {high}, found {size}"
    if words[0] == "minimum":
        over, under = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
        if over is not None and size <= over:
            yield f"{at}: expected more than {over}, found {size}"
        if under is not None and size >= under:
            yield f"{at}: expected less than {under}, found {size}"


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:  # JSON schema knows expressions that Python does not
        return True


def _target(root: Mapping[str, Any], reference: Any) -> Any:
    target: Any = root
    for part in str(reference).removeprefix("#").strip("/").split("/"):
        if not isinstance(target, Mapping):
            return None
        target = cast("Mapping[str, Any]", target).get(part)
    return target


def _inner(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _is_of(wanted: Any, value: Any) -> bool:
    if not isinstance(wanted, str):
        return any(_is_of(one, value) for one in wanted)
    if isinstance(value, bool):  # which Python counts among the integers
        return wanted == "boolean"
    if wanted == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(wanted, object))


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:99]}…"
