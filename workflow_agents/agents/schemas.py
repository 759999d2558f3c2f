"""Arguments of tools: the JSON schema that a model is shown, and the check of what it sends.

Three sources: a function's signature with its docstring, a pydantic model, a JSON schema.
pydantic is imported when the first of them is read.
"""

import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast, get_type_hints

from workflow_agents.errors import ConfigurationError

if TYPE_CHECKING:
    from pydantic import BaseModel

_SECTION = re.compile(r"^(Args|Arguments|Returns|Yields|Raises|Examples?|Notes?|Source):\s*$")
_ARGUMENT = re.compile(r"^\s+\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")
_JSON_TYPES: dict[str, type | tuple[type, ...]] = {
    "array": list,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "object": dict,
    "string": str,
}


class BadCall(Exception):
    """A tool call that the model should make differently; the text is for the model."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a tool takes.

    Attributes:
        schema: a JSON schema of type object.
        check: from the arguments as sent to keyword arguments; raises what is wrong with them.
    """

    schema: Mapping[str, Any]
    check: Callable[[dict[str, Any]], dict[str, Any]]


def parse(text: str) -> dict[str, Any]:
    """The arguments as JSON data; models write "" for none.

    Raises:
        BadCall: it is not a JSON object.
    """
    try:
        arguments: Any = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise BadCall(f"the arguments are not valid JSON: {error}") from error
    if not isinstance(arguments, dict):
        raise BadCall(f"the arguments must be a JSON object, found: {text}")
    return cast("dict[str, Any]", arguments)


def of_signature(function: Callable[..., Any], where: str) -> Arguments:
    """What a function takes, from its type hints; descriptions from its docstring.

    Raises:
        ConfigurationError: WA701 for an argument without a type, `*args`, or a type that
            has no JSON schema.
    """
    from pydantic import ConfigDict, Field, PydanticUserError, create_model

    try:
        hints = get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise ConfigurationError(
            "WA701", "a type hint of the tool cannot be read", where=where, found=str(error)
        ) from error
    names: dict[str, str] = {}
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        _check_parameter(parameter, hints, where)
        # Fields have names of their own, because those of BaseModel's attributes are taken.
        names[f"argument_{len(names)}"] = name
        required = parameter.default is inspect.Parameter.empty
        default = ... if required else parameter.default
        fields[f"argument_{len(fields)}"] = (hints[name], Field(default, alias=name))
    try:
        model: type[BaseModel] = create_model(
            "Arguments", __config__=ConfigDict(extra="forbid"), **fields
        )
        schema = without_titles(model.model_json_schema())
    except PydanticUserError as error:
        raise _no_schema(error, where) from error
    for name, text in described(inspect.getdoc(function) or "").items():
        if name in schema["properties"]:
            schema["properties"][name].setdefault("description", text)

    def check(arguments: dict[str, Any]) -> dict[str, Any]:
        checked = model.model_validate(arguments)
        # Arguments that were not sent keep the function's own defaults.
        return {names[f]: getattr(checked, f) for f in names if f in checked.model_fields_set}

    return Arguments(schema, check)


def of_model(model: "type[BaseModel]", where: str) -> Arguments:
    """What a pydantic model describes; each field becomes a keyword argument."""
    from pydantic import PydanticUserError

    try:
        schema = without_titles(model.model_json_schema())
    except PydanticUserError as error:
        raise _no_schema(error, where) from error

    def check(arguments: dict[str, Any]) -> dict[str, Any]:
        checked = model.model_validate(arguments)
        return {name: getattr(checked, name) for name in model.model_fields}

    return Arguments(schema, check)


def of_json_schema(schema: Mapping[str, Any], where: str) -> Arguments:
    """What a JSON schema describes.

    Checked are names and types of the arguments themselves; what is inside them is for the
    tool to check.
    """
    if schema.get("type") != "object":
        raise ConfigurationError(
            "WA701",
            "the schema of a tool describes an object",
            where=where,
            found=f"expected type 'object', found {schema.get('type')!r}",
            fix=('schema={"type": "object", "properties": {"city": {"type": "string"}}}',),
        )
    schema = {"properties": {}, **schema}
    properties: dict[str, Any] = schema["properties"]

    def check(arguments: dict[str, Any]) -> dict[str, Any]:
        wrong = [f"{n}: it is required" for n in schema.get("required", []) if n not in arguments]
        for name, value in arguments.items():
            if name in properties:
                wrong += _wrong_value(name, value, properties[name])
            elif schema.get("additionalProperties") is not True:
                wrong.append(f"{name}: no such argument")
        if wrong:
            raise BadCall(f"the arguments are not right. {'; '.join(wrong)}")
        return arguments

    return Arguments(schema, check)


def described(docstring: str) -> dict[str, str]:
    """The descriptions in the "Args:" section of a Google-style docstring, by argument."""
    found: dict[str, str] = {}
    section, current, indent = "", "", 0
    for line in docstring.splitlines():
        if heading := _SECTION.match(line):
            section = heading[1]
        elif section in ("Args", "Arguments") and line.strip():
            depth = len(line) - len(line.lstrip())
            argument = _ARGUMENT.match(line)
            if argument and (not found or depth <= indent):
                current, indent = argument[1], depth
                found[current] = argument[2].strip()
            elif current:
                found[current] = f"{found[current]} {line.strip()}".strip()
    return found


def summary(docstring: str) -> str:
    """What a docstring says before its first section."""
    lines: list[str] = []
    for line in docstring.splitlines():
        if _SECTION.match(line):
            break
        lines.append(line)
    return "\n".join(lines).strip()


def without_titles(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without pydantic's titles, which only repeat names and cost tokens."""
    kept = {key: value for key, value in schema.items() if key != "title"}
    for key in ("properties", "$defs"):
        if key in kept:
            kept[key] = {name: without_titles(inner) for name, inner in kept[key].items()}
    if isinstance(kept.get("items"), dict):
        kept["items"] = without_titles(kept["items"])
    return kept


def _check_parameter(parameter: inspect.Parameter, hints: Mapping[str, Any], where: str) -> None:
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    if parameter.kind not in named:
        raise ConfigurationError(
            "WA701",
            "a tool takes its arguments by name",
            where=where,
            found=f"expected named arguments only, found {str(parameter)!r}",
            fix=("give each argument a name and a type",),
        )
    if parameter.name not in hints:
        raise ConfigurationError(
            "WA701",
            "an argument of the tool has no type",
            where=where,
            found=f"expected '{parameter.name}: <type>', found {str(parameter)!r}",
            why="the model is shown a schema, which is made of the type hints",
            fix=(f"annotate it: {parameter.name}: str",),
        )


def _no_schema(error: Exception, where: str) -> ConfigurationError:
    return ConfigurationError(
        "WA701",
        "an argument of the tool has a type without a JSON schema",
        where=where,
        found=str(error).splitlines()[0],
        fix=("use JSON types, dataclasses or pydantic models",),
    )


def _wrong_value(name: str, value: Any, described: Any) -> list[str]:
    schema = cast("dict[str, Any]", described) if isinstance(described, dict) else {}
    expected, options = schema.get("type"), schema.get("enum")
    if isinstance(expected, str) and not _is_of(expected, value):
        return [f"{name}: expected {expected}, found {json.dumps(value)}"]
    if isinstance(options, list) and value not in options:
        return [f"{name}: expected one of {json.dumps(options)}, found {json.dumps(value)}"]
    return []


def _is_of(json_type: str, value: Any) -> bool:
    if isinstance(value, bool):  # which Python counts among the integers
        return json_type == "boolean"
    return isinstance(value, _JSON_TYPES.get(json_type, object))
