"""From recorded JSON back to the types that the code declares.

A step's live result has passed through JSON like a replayed one, so that both are the same.
Where its function declares that it returns a pydantic model or a dataclass, or a container of
them, the value becomes one again. Where it declares nothing, an object may be read by attribute
too, `user.name` beside `user["name"]`; anything else stays plain data.
"""

import typing
from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast, get_type_hints

_Reviver = Callable[[Any], Any]


class Attributes(dict[str, Any]):
    """A JSON object whose members are attributes too, unless they are named as dict's own.

    Source: the documented examples read `user.name` of what a step without annotation returned.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            value = self[name]
        except KeyError:
            known = ", ".join(map(repr, self))
            raise AttributeError(f"no {name!r} in this result; it has {known}") from None
        return _readable(value)


_by_code: dict[Any, tuple[Any, _Reviver | None]] = {}
"""By a body's code: what it declares to return, and what follows from that."""

_NOTHING: dict[str, Any] = {}
_UNDECLARED = object()


def revive(body: Callable[..., Any], value: Any) -> Any:
    """The value as the body's return annotation declares it."""
    code = getattr(body, "__code__", None)
    if code is None:
        return _readable(value)
    # The same code declares another class each time, where that is made beside it.
    declared = getattr(body, "__annotations__", _NOTHING).get("return", _UNDECLARED)
    known = _by_code.get(code)
    if known is None or known[0] is not declared:
        known = _by_code[code] = (declared, _reviver_of(body))
    reviver = known[1]
    return value if reviver is None else reviver(value)


def has_model(annotation: Any) -> bool:
    """Whether a pydantic model or a dataclass is in this annotation."""
    if isinstance(annotation, type):
        return hasattr(annotation, "__dataclass_fields__") or hasattr(
            annotation, "__pydantic_validator__"
        )
    return any(has_model(argument) for argument in typing.get_args(annotation))


@lru_cache(maxsize=256)
def adapter(annotation: Any) -> Any:
    """A pydantic `TypeAdapter`, made once for each type."""
    from pydantic import TypeAdapter

    return TypeAdapter(annotation)


def _readable(value: Any) -> Any:
    return Attributes(cast("dict[str, Any]", value)) if type(value) is dict else value


def _reviver_of(body: Callable[..., Any]) -> _Reviver | None:
    if "return" not in getattr(body, "__annotations__", {}):
        return _readable
    try:
        annotation = get_type_hints(body)["return"]
    except (NameError, TypeError):
        # A name that only the enclosing function knows: the value stays plain.
        return None
    if not has_model(annotation):
        return None

    def read(value: Any) -> Any:
        from pydantic import ValidationError

        try:
            return adapter(annotation).validate_python(value)
        except ValidationError:
            # Recorded by older code: the history stands, and the code sees what it holds.
            return value

    return read
