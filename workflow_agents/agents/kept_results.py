"""Results of tasks as JSON data and back: dataclasses of any shape, as their fields declare.

A dataclass of ours says what it is, because a message's fields do not tell who has written it:

    {"type": "UserMessage", "content": "Where is order 7?"}

Members that are not known are left out when a result is read, and those that are missing have
their defaults, so that results outlive the code that has stored them.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any, cast, get_type_hints

_OURS = "workflow_agents."


def to_data(value: Any) -> Any:
    """A value as JSON data; what is not ours is left to the codec, as a step's result is."""
    if dataclasses.is_dataclass(value) and type(value).__module__.startswith(_OURS):
        members = {f.name: to_data(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"type": type(value).__name__, **members}
    if isinstance(value, tuple | list):
        return [to_data(item) for item in cast("Sequence[Any]", value)]
    if isinstance(value, dict):
        return {key: to_data(item) for key, item in cast("dict[Any, Any]", value).items()}
    return value


def from_data(annotation: Any, data: Any) -> Any:
    """The value that `to_data` was given, where a field is annotated so."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return _one_of(arguments, data)
    if dataclasses.is_dataclass(origin or annotation) and isinstance(data, dict):
        return _dataclass(origin or annotation, cast("dict[str, Any]", data))
    if annotation is Decimal and data is not None:
        return Decimal(str(data))
    if isinstance(data, list) and isinstance(origin, type) and issubclass(origin, Sequence):
        item = arguments[0] if arguments else Any
        items = [from_data(item, each) for each in cast("list[Any]", data)]
        return tuple(items) if origin is tuple else items
    if isinstance(data, dict) and isinstance(origin, type) and issubclass(origin, Mapping):
        member = arguments[1] if len(arguments) == 2 else Any
        return {key: from_data(member, each) for key, each in cast("dict[str, Any]", data).items()}
    return data


def _one_of(candidates: Sequence[Any], data: Any) -> Any:
    said: Any = cast("dict[str, Any]", data).get("type") if isinstance(data, dict) else None
    others = [c for c in candidates if c is not type(None)]
    for candidate in others:
        if said is not None and getattr(candidate, "__name__", None) == said:
            return from_data(candidate, data)
    return from_data(others[0], data) if len(others) == 1 and data is not None else data


def _dataclass(cls: Any, data: Mapping[str, Any]) -> Any:
    hints = _hints(cls)
    made = {
        field.name: from_data(hints[field.name], data[field.name])
        for field in dataclasses.fields(cls)
        if field.init and field.name in data
    }
    return cls(**made)


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)
