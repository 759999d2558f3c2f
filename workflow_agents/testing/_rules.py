"""What the rules of all APIs are made of: the refusal, and checks of types, names and schemas.

Rules only: a value comes in, and it either passes or `Refused` is raised, in OpenAI's words.
What each API takes is in `_chat_rules`, `_responses_rules` and `_messages_rules`.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, cast

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
REASONING_MODEL = re.compile(r"(o\d|gpt-5)(?!.*chat)")
"""Models that think before they speak: they choose their temperature themselves."""

_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_MAX_NAME = 64
_UNKNOWN_TO_STRICT = (
    "allOf", "default", "dependentRequired", "dependentSchemas", "else", "if", "not", "oneOf",
    "patternProperties", "then", "uniqueItems",
)  # fmt: skip


class Refused(Exception):
    """The API's answer to a request that it does not take.

    Attributes:
        status: the HTTP status.
        message: what is wrong, as the API words it.
        param: the parameter that is meant.
        error_code: the API's code.
        kind: the API's type.
    """

    def __init__(
        self,
        message: str,
        param: str | None = None,
        error_code: str | None = None,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.error_code = error_code
        self.kind = kind


def array(holder: dict[str, Any], name: str, where: str = "") -> list[Any]:
    """A member that must be there, an array with something in it."""
    place = f"{where}.{name}".lstrip(".")
    if name not in holder:
        raise missing(place)
    value = holder[name]
    if not isinstance(value, list):
        raise wrong_type(place, "an array of objects", value)
    if not value:
        raise Refused(
            f"Invalid '{place}': empty array. Expected an array with minimum length 1, but got "
            "an empty array instead.",
            place,
            "empty_array",
        )
    return cast("list[Any]", value)


def mapping(value: Any, where: str) -> dict[str, Any]:
    """A value that must be an object."""
    if value is None:
        raise missing(where)
    if not isinstance(value, dict):
        raise wrong_type(where, "an object", value)
    return cast("dict[str, Any]", value)


def text(holder: dict[str, Any], name: str, where: str = "") -> str:
    """A member that must be there, a string."""
    place = f"{where}.{name}".lstrip(".")
    if name not in holder:
        raise missing(place)
    if not isinstance(holder[name], str):
        raise wrong_type(place, "a string", holder[name])
    return holder[name]


def only(holder: Mapping[str, Any], known: Collection[str], where: str = "") -> None:
    """No member but those that are known."""
    for name in holder:
        if name not in known:
            place = f"{where}.{name}".lstrip(".")
            raise Refused(f"Unknown parameter: '{place}'.", place, "unknown_parameter")


def one_of(value: Any, supported: Iterable[str], where: str) -> None:
    """One of a few strings."""
    if value not in supported:
        raise wrong_value(where, value, supported)


def truth(request: dict[str, Any], name: str, where: str = "") -> None:
    """A boolean, where it is given."""
    if not isinstance(request.get(name, False) or False, bool):
        raise wrong_type(f"{where}.{name}".lstrip("."), "a boolean", request[name])


def number(
    request: dict[str, Any], name: str, low: float, high: float, *, whole: bool = False
) -> None:
    """A number between two others, where it is given."""
    value = request.get(name)
    if value is None:
        return
    kind = "integer" if whole else "decimal"
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise wrong_type(name, "an integer" if whole else "a decimal number", value)
    for wrong, side, sign, limit in (
        (value > high, "above maximum", "<=", high),
        (value < low, "below minimum", ">=", low),
    ):
        if wrong:
            raise Refused(
                f"Invalid '{name}': {kind} {side} value. Expected a value {sign} {limit}, "
                f"but got {value} instead.",
                name,
                f"{kind}_{side.replace(' ', '_').replace('mum', '')}_value",
            )


def sampling(request: dict[str, Any]) -> None:
    """Temperature and its kin, which models that reason do not take."""
    number(request, "temperature", 0, 2)
    number(request, "top_p", 0, 1)
    if not REASONING_MODEL.match(request["model"]):
        return
    for name in ("temperature", "top_p"):
        if request.get(name) not in (None, 1):
            raise Refused(
                f"Unsupported value: '{name}' does not support {request[name]} with this model. "
                "Only the default (1) value is supported.",
                name,
                "unsupported_value",
            )


def function(holder: dict[str, Any], where: str) -> str:
    """A function that the model may call; its name."""
    name = function_name(holder, where)
    if not isinstance(holder.get("description", ""), str):
        raise wrong_type(f"{where}.description", "a string", holder["description"])
    truth(holder, "strict", where)
    place = f"{where}.parameters"
    _parameters(name, holder.get("parameters"), place)
    if holder.get("strict"):
        what = f"function '{name}'"
        strict_schema(holder.get("parameters"), what, place, "invalid_function_parameters")
    return name


def function_name(holder: dict[str, Any], where: str) -> str:
    """The name of a function, which has few characters to choose from."""
    name, place = text(holder, "name", where), f"{where}.name"
    if len(name) > _MAX_NAME:
        raise Refused(
            f"Invalid '{place}': string too long. Expected a string with maximum length "
            f"{_MAX_NAME}, but got a string with length {len(name)} instead.",
            place,
            "string_above_max_length",
        )
    if not _NAME.fullmatch(name):
        raise Refused(
            f"Invalid '{place}': string does not match pattern. Expected a string that matches "
            "the pattern '^[a-zA-Z0-9_-]+$'.",
            place,
            "invalid_value",
        )
    return name


def output_format(holder: dict[str, Any], param: str, where: str) -> None:
    """The name, schema and strictness of a wanted output."""
    only(holder, ("type", "name", "description", "schema", "strict"), where)
    name = function_name(holder, where)
    schema = mapping(holder.get("schema"), f"{where}.schema")
    truth(holder, "strict", where)
    if schema.get("type") != "object":
        found = f"'type: \"{schema.get('type')}\"'"
        raise Refused(
            f"Invalid schema for {param} '{name}': schema must be a JSON Schema of "
            f"'type: \"object\"', got {found}.",
            param,
        )
    if holder.get("strict"):
        strict_schema(schema, f"{param} '{name}'", param, None)


def strict_schema(schema: Any, what: str, param: str, code: str | None) -> None:
    """A schema that a model can be held to: closed objects, all of whose members are required."""

    def refused(problem: str) -> Refused:
        return Refused(f"Invalid schema for {what}: {problem}", param, code)

    _strict(mapping(schema, param), (), refused)


def _strict(
    schema: dict[str, Any], path: tuple[str, ...], refused: Callable[[str], Refused]
) -> None:
    here = f"In context={path}, "
    for keyword in _UNKNOWN_TO_STRICT:
        if keyword in schema:
            raise refused(f"{here}'{keyword}' is not permitted.")
    properties: dict[str, Any] = schema.get("properties", {})
    kind = schema.get("type")
    if kind == "object" or (isinstance(kind, list) and "object" in kind):
        if schema.get("additionalProperties") is not False:
            raise refused(
                f"{here}'additionalProperties' is required to be supplied and to be false."
            )
        for name in properties:
            if name not in schema.get("required", []):
                raise refused(
                    f"{here}'required' is required to be supplied and to be an array including "
                    f"every key in properties. Missing '{name}'."
                )
    elif not {"type", "anyOf", "$ref", "enum", "const"} & set(schema):
        raise refused(f"{here}schema must have a 'type' key.")
    inner: list[tuple[str, dict[str, Any]]] = [
        *((f"properties.{name}", value) for name, value in properties.items()),
        *((f"$defs.{name}", value) for name, value in schema.get("$defs", {}).items()),
        *((f"anyOf.{index}", value) for index, value in enumerate(schema.get("anyOf", []))),
        *([("items", schema["items"])] if "items" in schema else []),
    ]
    for step, value in inner:
        _strict(mapping(value, step), (*path, *step.split(".", 1)), refused)


def _parameters(name: str, parameters: Any, where: str) -> None:
    if parameters is None:
        return
    schema = mapping(parameters, where)

    def refuse(problem: str) -> Refused:
        message = f"Invalid schema for function '{name}': {problem}"
        return Refused(message, where, "invalid_function_parameters")

    if schema.get("type") != "object":
        found = f"'type: \"{schema.get('type')}\"'"
        raise refuse(f"schema must be a JSON Schema of 'type: \"object\"', got {found}.")
    if not isinstance(schema.get("properties", {}), dict):
        raise refuse("'properties' is not of type 'object'.")
    properties: dict[str, Any] = schema.get("properties", {})
    for key, inner in properties.items():
        if not isinstance(inner, dict):
            raise refuse(f"In context=('properties', '{key}'), {inner!r} is not a schema.")
        if cast("dict[str, Any]", inner).get("type") == "array" and "items" not in inner:
            raise refuse(f"In context=('properties', '{key}'), array schema missing items.")
    for key in schema.get("required", []):
        if key not in properties:
            raise refuse(f"'required' names '{key}', which is not in 'properties'.")


def missing(place: str) -> Refused:
    """What is not there."""
    return Refused(f"Missing required parameter: '{place}'.", place, "missing_required_parameter")


def wrong_type(place: str, expected: str, value: object) -> Refused:
    """What is of another type."""
    kinds = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}
    found = next((kind for type_, kind in kinds.items() if isinstance(value, type_)), "a number")
    if value is None:
        found = "null"
    message = f"Invalid type for '{place}': expected {expected}, but got {found} instead."
    return Refused(message, place, "invalid_type")


def wrong_value(place: str, value: object, supported: Iterable[str]) -> Refused:
    """What is none of the values that it may have."""
    options = ", ".join(f"'{option}'" for option in supported)
    message = f"Invalid value: '{value}'. Supported values are: {options}."
    return Refused(message, place, "invalid_value")
