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
    if hasattr(value, "kept_as"):
        return {"type": type(value).__name__, **to_data(value.kept_as())}
    if dataclasses.is_dataclass(value) and type(value).__module__.startswith(_OURS):
        members = {f.name: to_data(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"type": type(value).__name__, **members}
    if isinstance(value, tuple | list):
        return [to_data(item) for item in cast("Sequence[Any]", value)]
    if isinstance(value, dict):
        return {key: to_data(item) for key, item in cast("dict[Any, Any]", value).items()}
    return value


def from_data(annotation: Any, data: object) -> Any:
    """The value that `to_data` was given, where a field is annotated so."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return _one_of(arguments, data)
    if annotation is Decimal and data is not None:
        return Decimal(str(data))
    cls: Any = origin or annotation
    members, items = _object(data), _array(data)
    if members is not None:
        if dataclasses.is_dataclass(cls):
            return _dataclass(cls, members)
        if len(arguments) == 2 and issubclass(cls, Mapping):
            return {key: from_data(arguments[1], each) for key, each in members.items()}
        return members
    if items is not None and arguments and issubclass(cls, Sequence):
        made = [from_data(arguments[0], each) for each in items]
        return tuple(made) if cls is tuple else made
    return data


def _one_of(candidates: Sequence[Any], data: object) -> Any:
    said = (_object(data) or {}).get("type")
    others = [candidate for candidate in candidates if candidate is not type(None)]
    if said is not None:
        others = [c for c in others if getattr(c, "__name__", None) == said] or others
    return from_data(others[0], data) if len(others) == 1 and data is not None else data


def _object(data: object) -> dict[str, Any] | None:
    return cast("dict[str, Any]", data) if isinstance(data, dict) else None


def _array(data: object) -> list[Any] | None:
    return cast("list[Any]", data) if isinstance(data, list) else None


def _dataclass(cls: Any, data: Mapping[str, Any]) -> Any:
    hints = _hints(cls)
    if hasattr(cls, "from_kept"):
        return cls.from_kept(
            {name: from_data(hints.get(name, Any), each) for name, each in data.items()}
        )
    made = {
        field.name: from_data(hints[field.name], data[field.name])
        for field in dataclasses.fields(cls)
        if field.init and field.name in data
    }
    return cls(**made)


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)
