"""Arguments of tools: the JSON schema that a model is shown, and the check of what it sends.

Three sources: a function's signature with its docstring, a pydantic model, a JSON schema.
pydantic is imported when the first of them is read.
"""

import inspect
import json
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast, get_type_hints

from workflow_agents.agents.tool_context import ToolContext
from workflow_agents.errors import ConfigurationError
from workflow_agents.protocol.json_schema import faults

if TYPE_CHECKING:
    from pydantic import BaseModel

_SECTION = re.compile(r"^(Args|Arguments|Returns|Yields|Raises|Examples?|Notes?|Source):\s*$")
_ARGUMENT = re.compile(r"^\s+\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")
_VERBATIM = frozenset({"default", "enum", "const", "examples", "required"})
"""Words of a schema whose values are data and not schemas."""


class BadCall(Exception):
    """A tool call that the model should make differently; the text is for the model."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a tool takes.

    Attributes:
        schema: a JSON schema of type object.
        check: from the arguments as sent to keyword arguments; raises what is wrong with them.
        context: the name of the parameter that takes a `ToolContext`, if there is one.
    """

    schema: Mapping[str, Any]
    check: Callable[[dict[str, Any]], dict[str, Any]]
    context: str | None = None


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

    hints = _hints(function, where)
    context = context_parameter(hints, where)
    names: dict[str, str] = {}
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name == context:
            continue
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

    return Arguments(schema, check, context)


def context_of(function: Callable[..., Any], where: str) -> str | None:
    """The parameter of a function that takes a `ToolContext`, if its hints tell of one."""
    if not (inspect.isfunction(function) or inspect.ismethod(function)):
        return None
    try:
        hints = get_type_hints(function)
    except (NameError, TypeError):  # its schema is written by hand: no hint has to be read
        return None
    return context_parameter(hints, where)


def context_parameter(hints: Mapping[str, Any], where: str) -> str | None:
    """The name whose hint is `ToolContext`, or `ToolContext | None`.

    Raises:
        ConfigurationError: WA701 for two of them.
    """
    found = [
        name
        for name, hint in hints.items()
        if name != "return" and (hint is ToolContext or ToolContext in typing.get_args(hint))
    ]
    if len(found) > 1:
        raise ConfigurationError(
            "WA701",
            "a tool takes one ToolContext",
            where=where,
            found=f"expected one parameter, found {', '.join(found)}",
            fix=("leave out all but one of them",),
        )
    return found[0] if found else None


def strict(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema as providers want it who keep exactly to it: no argument is optional."""
    made = _walk(schema, strict)
    made.pop("default", None)
    if made.get("type") == "object":
        made["required"] = list(made.get("properties", {}))
        made["additionalProperties"] = False
    return made


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
    """What a JSON schema describes. Arguments that it does not name are refused."""
    if schema.get("type") != "object":
        raise ConfigurationError(
            "WA701",
            "the schema of a tool describes an object",
            where=where,
            found=f"expected type 'object', found {schema.get('type')!r}",
            fix=('schema={"type": "object", "properties": {"city": {"type": "string"}}}',),
        )
    schema = {"properties": {}, **schema}
    checked = {"additionalProperties": False, **schema}

    def check(arguments: dict[str, Any]) -> dict[str, Any]:
        wrong = faults(arguments, checked)
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


def without_titles(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema without pydantic's titles, which only repeat names and cost tokens."""
    made = _walk(schema, without_titles)
    if isinstance(made.get("title"), str):
        del made["title"]
    return made


def _walk(
    schema: Mapping[str, Any], change: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """The schema with every schema inside it changed."""
    made: dict[str, Any] = {}
    for word, value in schema.items():
        if word in ("properties", "$defs") and isinstance(value, dict):
            named = cast("dict[str, dict[str, Any]]", value)
            made[word] = {name: change(inner) for name, inner in named.items()}
        else:
            made[word] = value if word in _VERBATIM else _each(value, change)
    return made


def _each(value: Any, change: Callable[[Mapping[str, Any]], dict[str, Any]]) -> Any:
    """Change the schemas that are the value of a word of a schema, if there are any."""
    if isinstance(value, dict):
        return change(cast("dict[str, Any]", value))
    if isinstance(value, list):
        return [_each(inner, change) for inner in cast("list[Any]", value)]
    return value


def _hints(function: Callable[..., Any], where: str) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise ConfigurationError(
            "WA701", "a type hint of the tool cannot be read", where=where, found=str(error)
        ) from error


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
