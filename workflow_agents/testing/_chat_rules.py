"""What the OpenAI API refuses in a chat completions request, in its own words.

Rules only: a request body comes in, and it either passes or `Refused` is raised. The rules
cover what agents send: parameters, the shape and order of messages, the shape of tools.
"""

import re
from collections.abc import Iterable
from typing import Any, cast

# fmt: off
PARAMETERS = frozenset([
    "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs",
    "max_completion_tokens", "max_tokens", "messages", "metadata", "modalities", "model",
    "moderation", "n", "parallel_tool_calls", "prediction", "presence_penalty",
    "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "reasoning_effort",
    "response_format", "safety_identifier", "seed", "service_tier", "stop", "store", "stream",
    "stream_options", "temperature", "tool_choice", "tools", "top_logprobs", "top_p", "user",
    "verbosity", "web_search_options",
])
# fmt: on

_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_MAX_NAME = 64
_RANGES = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
}
_FIELDS = {
    "system": {"role", "content", "name"},
    "developer": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "assistant": {"role", "content", "name", "tool_calls", "refusal", "audio", "function_call"},
    "tool": {"role", "content", "tool_call_id"},
}


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

    def as_json(self) -> dict[str, Any]:
        """The error as the API sends it."""
        error = {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.error_code,
        }
        return {"error": error}


def check(body: Any) -> None:
    """Pass a request body, or raise `Refused`."""
    if not isinstance(body, dict):
        raise Refused("We could not parse the JSON body of your request: it is not an object.")
    request = cast("dict[str, Any]", body)
    if not request.get("model"):
        raise Refused("you must provide a model parameter")
    for name in request:
        if name not in PARAMETERS:
            raise Refused(f"Unknown parameter: '{name}'.", name, "unknown_parameter")
    if not isinstance(request["model"], str):
        raise _wrong_type("model", "a string", request["model"])
    if request.get("stream"):
        raise Refused(
            "Streaming is not supported by this test server.", "stream", "unsupported_value"
        )
    _check_messages(_list(request, "messages"))
    for name, (low, high) in _RANGES.items():
        _check_number(request, name, low, high)
    if "tools" in request:
        _check_tools(_list(request, "tools"))
    elif request.get("tool_choice") is not None or "parallel_tool_calls" in request:
        name = "tool_choice" if request.get("tool_choice") is not None else "parallel_tool_calls"
        raise Refused(
            f"Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified.",
            name,
        )


def _check_messages(messages: list[Any]) -> None:
    """Each message by itself; and every tool call answered once, before anyone else speaks."""
    open_calls: list[str] = []
    for index, value in enumerate(messages):
        where = f"messages[{index}]"
        message = _object(value, where)
        role = _check_role(message, where)
        if role == "tool":
            call_id = _text(message, "tool_call_id", where)
            if call_id not in open_calls:
                raise Refused(
                    "Invalid parameter: messages with role 'tool' must be a response to a "
                    "preceeding message with 'tool_calls'.",
                    f"messages.[{index}].role",
                )
            open_calls.remove(call_id)
        elif open_calls:
            raise _unanswered(open_calls, index)
        if role == "assistant":
            open_calls = _tool_call_ids(message, where)
        _check_content(message, where, needed=not open_calls or role != "assistant")
    if open_calls:
        raise _unanswered(open_calls, len(messages))


def _check_role(message: dict[str, Any], where: str) -> str:
    role = _text(message, "role", where)
    if role not in _FIELDS:
        supported = "'system', 'assistant', 'user', 'function', 'tool', and 'developer'"
        raise Refused(
            f"Invalid value: '{role}'. Supported values are: {supported}.",
            f"{where}.role",
            "invalid_value",
        )
    for name in message:
        if name not in _FIELDS[role]:
            raise Refused(
                f"Unknown parameter: '{where}.{name}'.", f"{where}.{name}", "unknown_parameter"
            )
    return role


def _check_content(message: dict[str, Any], where: str, *, needed: bool) -> None:
    content = message.get("content")
    if content is None and needed:
        raise Refused(
            "Invalid value for 'content': expected a string, got null.", f"{where}.content"
        )
    if isinstance(content, list):
        for index, value in enumerate(cast("list[Any]", content)):
            _text(_object(value, f"{where}.content[{index}]"), "type", f"{where}.content[{index}]")
    elif content is not None and not isinstance(content, str):
        raise _wrong_type(f"{where}.content", "one of a string or array of objects", content)


def _tool_call_ids(message: dict[str, Any], where: str) -> list[str]:
    if message.get("tool_calls") is None:
        return []
    ids: list[str] = []
    for index, value in enumerate(_list(message, "tool_calls", where)):
        place = f"{where}.tool_calls[{index}]"
        call = _object(value, place)
        ids.append(_text(call, "id", place))
        if _text(call, "type", place) != "function":
            raise _wrong_value(f"{place}.type", call["type"], ["function"])
        function = _object(call.get("function"), f"{place}.function")
        _check_name(function, f"{place}.function")
        _text(function, "arguments", f"{place}.function")
    if len(set(ids)) < len(ids):
        raise Refused(f"Duplicate value for 'tool_call_id' in {where}.", f"{where}.tool_calls")
    return ids


def _check_tools(tools: list[Any]) -> None:
    names: list[str] = []
    for index, value in enumerate(tools):
        where = f"tools[{index}]"
        tool = _object(value, where)
        if _text(tool, "type", where) != "function":
            raise _wrong_value(f"{where}.type", tool["type"], ["function"])
        function = _object(tool.get("function"), f"{where}.function")
        for name in function:
            if name not in ("name", "description", "parameters", "strict"):
                place = f"{where}.function.{name}"
                raise Refused(f"Unknown parameter: '{place}'.", place, "unknown_parameter")
        name = _check_name(function, f"{where}.function")
        if name in names:
            raise Refused(f"Tool names must be unique: '{name}' is used twice.", where)
        names.append(name)
        if not isinstance(function.get("description", ""), str):
            raise _wrong_type(f"{where}.function.description", "a string", function["description"])
        _check_schema(name, function.get("parameters"), f"{where}.function.parameters")


def _check_schema(name: str, parameters: Any, where: str) -> None:
    if parameters is None:
        return
    schema = _object(parameters, where)

    def refuse(problem: str) -> Refused:
        text = f"Invalid schema for function '{name}': {problem}"
        return Refused(text, where, "invalid_function_parameters")

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


def _check_name(function: dict[str, Any], where: str) -> str:
    name, place = _text(function, "name", where), f"{where}.name"
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


def _check_number(request: dict[str, Any], name: str, low: float, high: float) -> None:
    value = request.get(name)
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong_type(name, "a decimal number", value)
    for wrong, side, sign, limit in (
        (value > high, "above maximum", "<=", high),
        (value < low, "below minimum", ">=", low),
    ):
        if wrong:
            raise Refused(
                f"Invalid '{name}': decimal {side} value. Expected a value {sign} {limit}, "
                f"but got {value} instead.",
                name,
                f"decimal_{side.replace(' ', '_').replace('mum', '')}_value",
            )


def _list(holder: dict[str, Any], name: str, where: str = "") -> list[Any]:
    place = f"{where}.{name}".lstrip(".")
    if name not in holder:
        raise _missing(place)
    value = holder[name]
    if not isinstance(value, list):
        raise _wrong_type(place, "an array of objects", value)
    if not value:
        raise Refused(
            f"Invalid '{place}': empty array. Expected an array with minimum length 1, but got "
            "an empty array instead.",
            place,
            "empty_array",
        )
    return cast("list[Any]", value)


def _object(value: Any, where: str) -> dict[str, Any]:
    if value is None:
        raise _missing(where)
    if not isinstance(value, dict):
        raise _wrong_type(where, "an object", value)
    return cast("dict[str, Any]", value)


def _text(holder: dict[str, Any], name: str, where: str) -> str:
    place = f"{where}.{name}"
    if name not in holder:
        raise _missing(place)
    if not isinstance(holder[name], str):
        raise _wrong_type(place, "a string", holder[name])
    return holder[name]


def _missing(place: str) -> Refused:
    return Refused(f"Missing required parameter: '{place}'.", place, "missing_required_parameter")


def _wrong_type(place: str, expected: str, value: object) -> Refused:
    kinds = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}
    found = next((text for kind, text in kinds.items() if isinstance(value, kind)), "a number")
    if value is None:
        found = "null"
    text = f"Invalid type for '{place}': expected {expected}, but got {found} instead."
    return Refused(text, place, "invalid_type")


def _wrong_value(place: str, value: object, supported: Iterable[str]) -> Refused:
    options = ", ".join(f"'{option}'" for option in supported)
    text = f"Invalid value: '{value}'. Supported values are: {options}."
    return Refused(text, place, "invalid_value")


def _unanswered(call_ids: list[str], index: int) -> Refused:
    return Refused(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to "
        "each 'tool_call_id'. The following tool_call_ids did not have response messages: "
        + ", ".join(call_ids),
        f"messages.[{index}].role",
    )
