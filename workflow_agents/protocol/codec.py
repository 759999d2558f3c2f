"""Values and JSON: the only place where Python values change their form.

A value is plain data, stored as compact UTF-8 JSON.

What JSON cannot say is decided once:

- Tuples become lists. Keys that are int, float, bool or None become text, as JSON has no
  others; `{1: "a", "1": "b"}` therefore keeps only the last of the two when it is read.
- pydantic models, dataclasses, enums, datetimes, UUIDs, decimals and paths become the plain
  data a reader expects; the way back is the reader's (`Model.model_validate(data)`).
- NaN and the infinities, bytes and sets are refused, with the place where they were found.
- Lone surrogates are kept, as ASCII escapes. Two that form a pair come back as one character.
- What `encode` accepts, `decode` can read in any process: nesting is limited to `MAX_DEPTH`.

The results that a workflow sees are always decoded from their encoding, also the first
time, so that a live run and its replay agree.
"""

import json
import json.encoder
import math
import re
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from enum import Enum
from functools import lru_cache
from typing import Any

MAX_DEPTH = 200
"""How deep lists and objects may be nested in what is stored."""


class Unencodable(ValueError):
    """A value that cannot be stored as JSON.

    Attributes:
        path: where in the value, as "$.items[2].when"; "$" is the value itself.
        reason: what stands there, and what to store in its place.
    """

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path}: {reason}")


class Undecodable(ValueError):
    """Text that is no JSON, or that holds what this project does not read.

    Attributes:
        reason: what is wrong and where; it quotes nothing of the text.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"not JSON: {reason}")


def is_text(value: str) -> bool:
    """Whether it can be written as UTF-8; lone surrogates cannot."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def encode(value: object) -> bytes:
    """Write a value as compact UTF-8 JSON.

    Args:
        value: plain data, or what the module's docstring lists.

    Returns:
        The JSON text, without spaces.

    Raises:
        Unencodable: with the path of the first part that JSON cannot hold.
    """
    try:
        text = _write(value)
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise _explained(value, error) from error
    try:
        data = text.encode()
    except UnicodeEncodeError:  # a lone surrogate: rare, so it pays alone
        data = _ESCAPING.encode(value).encode()
    if len(data) > 2 * MAX_DEPTH and is_deeper(data, MAX_DEPTH):
        raise _explained(value, None)
    return data


def _plain(value: object) -> object:
    """What the encoder writes in place of an object that it does not know."""
    return _converter(type(value))(value)


@lru_cache(maxsize=256)
def _converter(cls: type[Any]) -> Callable[[Any], object]:
    """How to turn an object of this class into plain data; found once per class."""
    from dataclasses import is_dataclass
    from decimal import Decimal
    from pathlib import PurePath
    from uuid import UUID

    if callable(getattr(cls, "model_dump", None)):
        return _dump_model
    if issubclass(cls, Enum):
        return _enum_value
    if is_dataclass(cls):
        return _dataclass_fields
    if issubclass(cls, (datetime, date, time)):
        return cls.isoformat
    if issubclass(cls, (UUID, Decimal, PurePath)):
        return str
    return _refuse


def _dump_model(model: Any) -> object:
    return model.model_dump(mode="json")


def _enum_value(member: Any) -> object:
    return member.value


def _dataclass_fields(value: Any) -> object:
    from dataclasses import fields

    return {field.name: getattr(value, field.name) for field in fields(value)}


def _refuse(value: object) -> object:
    cls = type(value)
    name = cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__name__}"
    raise TypeError(f"{name} is not JSON: {_advice(value)}")


def _advice(value: object) -> str:
    match value:
        case bytes() | bytearray() | memoryview():
            return "store text, for example base64.b64encode(data).decode()"
        case set() | frozenset():
            return "a set has no order; store sorted(...) or list(...)"
        case timedelta():
            return "store its total_seconds()"
        case BaseException():
            return "store its text, str(error)"
        case type():
            return "a class cannot be stored, only what it makes"
        case _ if hasattr(value, "__await__"):
            return "it was not awaited; put `await` before the call"
        case _ if hasattr(value, "tolist"):
            return "store its tolist()"
        case _ if hasattr(value, "__next__"):
            return "store list(...) of it"
        case _:
            return "store plain data: dict, list, str, int, float, bool, None"


_PREPARED = json.JSONEncoder(
    ensure_ascii=False,
    allow_nan=False,
    check_circular=False,  # a circle ends in RecursionError, which `_explained` names
    separators=(",", ":"),
    default=_plain,
)
_ESCAPING = json.JSONEncoder(
    allow_nan=False, check_circular=False, separators=(",", ":"), default=_plain
)


def _fastest_writer() -> Callable[[object], str]:
    """The C encoder made once, where the interpreter lets us; else `JSONEncoder.encode`.

    `JSONEncoder.encode` makes a new C encoder on every call, which is half the time of a
    small value. The constructor is not documented, so it is tried before it is trusted.
    """
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    write_string = getattr(json.encoder, "encode_basestring", None)
    sample: dict[str, object] = {"a": [1, 0.5, None, True, "é"], "b": {"c": ()}}
    try:
        chunks: Callable[[object, int], Iterable[str]] = make(
            None, _plain, write_string, None, ":", ",", False, False, False
        )
        agrees = "".join(chunks(sample, 0)) == _PREPARED.encode(sample)
    except (TypeError, ValueError):
        agrees = False
    else:
        if agrees:
            return lambda value: "".join(chunks(value, 0))
    return _PREPARED.encode


_write = _fastest_writer()

_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_ALIKE = bytes.maketrans(b"{}", b"[]")
# A string that never ends is taken too: every quote would look for its end again otherwise.
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)


def is_deeper(data: bytes, most: int) -> bool:
    """Whether JSON text is nested deeper than `most`, at the speed of bytes methods.

    Brackets inside strings are only told apart where they leave something over, because
    that costs more than all the rest. So strings that were made for it can hide a depth:
    `decode` then refuses the text, as it does all that is too deep for its stack. Text whose
    brackets do not match is no JSON, and counts as deep.
    """
    return _levels_left(data, most) and _levels_left(_STRINGS.sub(b"", data), most)


def _levels_left(data: bytes, most: int) -> bool:
    """Whether brackets are left once the innermost pairs were taken away, level by level."""
    brackets = data.translate(_ALIKE, _NOT_BRACKETS)
    for _ in range(most):
        before = len(brackets)
        brackets = brackets.replace(b"[]", b"")
        if len(brackets) == before:
            break
    return bool(brackets)


def _explained(value: object, error: Exception | None) -> Unencodable:
    """The error that names the first fault of a value; only built once something failed."""
    fault = _first_fault(value)
    if fault is not None:
        return Unencodable(*fault)
    if isinstance(error, RecursionError):
        return Unencodable("$", "there is no stack left to walk through it")
    return Unencodable("$", str(error) if error else _TOO_DEEP)


_TOO_DEEP = f"it is nested more than {MAX_DEPTH} deep; store its parts in a flat list"


def _first_fault(value: object) -> tuple[str, str] | None:
    """Walk a value in order, without recursion, and return the first (path, reason)."""
    waiting: list[tuple[object, str, tuple[object, ...]]] = [(value, "$", ())]
    while waiting:
        item, path, above = waiting.pop()
        if item is None or isinstance(item, (str, int, float)):
            if reason := _scalar_fault(item):
                return path, reason
            continue
        if any(item is outer for outer in above):
            return _shortened(path), "it contains itself; store ids instead of references"
        nested = sum(isinstance(outer, (dict, list, tuple)) for outer in above)
        if nested >= MAX_DEPTH or len(above) > 3 * MAX_DEPTH:
            return _shortened(path), _TOO_DEEP
        try:
            parts = _parts(item, path)
        except (TypeError, ValueError, AttributeError) as error:
            return path, str(error).partition("\n")[0] or type(error).__name__
        inside = (*above, item)
        waiting += [(part, place, inside) for part, place in reversed(parts)]
    return None


def _scalar_fault(item: str | float | None) -> str:
    if isinstance(item, float) and not math.isfinite(item):
        return f"{float(item)!r} is not JSON; store None, or text"
    try:
        repr(item)
    except ValueError:
        return "the integer has too many digits; store it as text"
    return ""


def _parts(item: object, path: str) -> list[tuple[object, str]]:
    """The direct parts of a container, each with its path."""
    if isinstance(item, dict):
        pairs: list[tuple[Any, Any]] = list(item.items())  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType] -- any dict
        return [(part, path + _key_path(key)) for key, part in pairs]
    if isinstance(item, (list, tuple)):
        parts: list[Any] = list(item)  # pyright: ignore[reportUnknownArgumentType] -- any list
        return [(part, f"{path}[{index}]") for index, part in enumerate(parts)]
    return [(_plain(item), path)]


def _key_path(key: object) -> str:
    if isinstance(key, str):
        return f".{key}" if key.isidentifier() else f"[{json.dumps(key)}]"
    if key is None or isinstance(key, (int, float)):
        if isinstance(key, float) and not math.isfinite(key):
            raise ValueError(f"the key {float(key)!r} is not JSON; use text as keys")
        return f"[{key!r}]"
    raise TypeError(f"a key of type {type(key).__name__} is not JSON; use text as keys")


def _shortened(path: str) -> str:
    return path if len(path) <= 80 else f"{path[:60]}…"


def decode(data: bytes | str) -> Any:
    """Read JSON text; where an object repeats a key, the last one counts.

    Args:
        data: UTF-8 bytes or text; spaces around the value do not matter.

    Returns:
        The value: dict, list, str, int, float, bool or None.

    Raises:
        Undecodable: for anything that is not JSON, including NaN and Infinity; for numbers
            too large to hold, and for nesting too deep to walk.
    """
    try:
        text = (data if isinstance(data, str) else str(data, "utf-8")).strip(_SPACES)
        value, end = _READER.raw_decode(text)
    except Undecodable:
        raise
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise Undecodable("it is empty" if not data else str(error)) from None
    except ValueError:
        raise Undecodable("an integer has too many digits") from None
    except RecursionError:
        raise Undecodable(f"it is nested too deep; {MAX_DEPTH} levels always fit") from None
    if end != len(text):
        raise Undecodable(f"something follows the value, at character {end}")
    return value


def _finite(digits: str) -> float:
    number = float(digits)
    if number in _INFINITIES:
        raise Undecodable("a number is too large for a float")
    return number


def _no_constant(name: str) -> Any:
    raise Undecodable(f"{name} is not a JSON value")


_SPACES = " \t\r\n"
_INFINITIES = (math.inf, -math.inf)
_READER = json.JSONDecoder(parse_float=_finite, parse_constant=_no_constant)
