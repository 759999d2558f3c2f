"""JSON, durations and instants: the only place where Python values change their form.

Inside, an instant is int Unix milliseconds and a duration int milliseconds; a value is
plain data, stored as compact UTF-8 JSON. No clock is read here and nothing is stored.

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
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from functools import lru_cache
from typing import Any

from workflow_agents.errors import ConfigurationError

MAX_DEPTH = 200
"""How deep lists and objects may be nested in what is stored."""

MAX_DURATION_MS = 100 * 365 * 86_400_000
"""The longest duration: a hundred years."""

MAX_INSTANT_MS = 253_402_300_799_999
"""The last instant: the end of the year 9999."""


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


# ------------------------------------------------------------------------------ encode


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
    if len(data) > 2 * MAX_DEPTH and _deeper_than_allowed(data):
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
_STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')


def _deeper_than_allowed(data: bytes) -> bool:
    """Whether JSON text is nested deeper than `MAX_DEPTH`, at the speed of bytes methods.

    Brackets inside strings are only told apart where they leave something over, because
    that costs more than all the rest. So strings that were made for it can hide a depth:
    `decode` then refuses the text, as it does all that is too deep for its stack.
    """
    return _levels_left(data) and _levels_left(_STRINGS.sub(b"", data))


def _levels_left(data: bytes) -> bool:
    """Whether brackets are left once the innermost pairs were taken away, level by level."""
    brackets = data.translate(_ALIKE, _NOT_BRACKETS)
    for _ in range(MAX_DEPTH):
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


# ------------------------------------------------------------------------------ decode


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


# --------------------------------------------------------------------------- durations

_UNIT_MS: dict[str, float] = {
    "ns": 1e-6,
    "us": 1e-3,
    "µs": 1e-3,
    "ms": 1,
    "s": 1000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 7 * 86_400_000,
    "mo": 30 * 86_400_000,
    "y": 365 * 86_400_000,
}
_UNITS_TOLD = "ms s m h d w mo y"
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_UNIT = re.compile(r"[^\W\d_]+")


def duration_ms(value: int | float | str | timedelta) -> int:
    """Read a duration.

    Args:
        value: seconds as a number or as bare digits ("30", "1.5"); a timedelta; or numbers
            with units, as "10s", "1d10h30m", "1.5h", "500ms". The units are ms s m h d, and
            w = 7 d, mo = 30 d, y = 365 d; "us" and "ns" are read, as servers send them.

    Returns:
        Whole milliseconds, rounded to the nearest.

    Raises:
        ConfigurationError: WA103, where it is negative, not a duration, or over 100 years.

    Source: durations of QStash ("10s", "1d10h30m") and of `context.sleep` (w, mo, y).
    """
    match value:
        case bool():
            raise _no_duration(value, "True and False are no durations")
        case timedelta():
            ms = value / timedelta(milliseconds=1)
        case int() | float():
            ms = _seconds(value)
        case str():
            ms = _text_duration(value)
        case _:  # pyright: ignore[reportUnnecessaryComparison] -- users need not check types
            raise _no_duration(value, f"found {type(value).__name__}")
    if ms < 0:
        raise _no_duration(value, "a duration is not negative")
    if not ms <= MAX_DURATION_MS:
        raise _no_duration(value, "it is longer than 100 years")
    return round(ms)


def _seconds(value: float) -> float:
    if isinstance(value, int):
        return value * 1000
    if math.isnan(value):
        raise _no_duration(value, "NaN is no number of seconds")
    return value * 1000


def _text_duration(value: str) -> float:
    text = value.strip()
    if not text:
        raise _no_duration(value, "it is empty")
    if len(text) > 64:
        raise _no_duration(value, f"it has {len(text)} characters; 64 are enough for any")
    bare = _NUMBER.fullmatch(text)
    if bare:
        return float(text) * 1000
    total, at = 0.0, 0
    while at < len(text):
        number = _NUMBER.match(text, at)
        if not number:
            raise _no_duration(value, f"column {at + 1}: expected a number, found {text[at]!r}")
        unit = _UNIT.match(text, number.end())
        if not unit:
            raise _no_duration(
                value, f"column {number.end() + 1}: {number[0]} has no unit ({_UNITS_TOLD})"
            )
        if unit[0] not in _UNIT_MS:
            raise _no_duration(
                value, f"column {unit.start() + 1}: {unit[0]!r} is no unit ({_UNITS_TOLD})"
            )
        total += float(number[0]) * _UNIT_MS[unit[0]]
        at = unit.end()
    return total


def _no_duration(value: object, reason: str) -> ConfigurationError:
    return ConfigurationError(
        "WA103", f"not a duration: {shown(value)}", found=(f"{shown(value)}: {reason}",)
    )


def format_duration(ms: int) -> str:
    """Write a duration for people: "3d", "1h30m", "1.5s", "250ms", "0s".

    `duration_ms` reads it back exactly.

    Args:
        ms: milliseconds, not negative.
    """
    if ms < 1000:
        return f"{ms}ms" if ms else "0s"
    text = ""
    for unit in ("d", "h", "m"):
        whole, ms = divmod(ms, int(_UNIT_MS[unit]))
        text += f"{whole}{unit}" if whole else ""
    seconds, rest = divmod(ms, 1000)
    if rest:
        return f"{text}{seconds}.{rest:03}".rstrip("0") + "s"
    return f"{text}{seconds}s" if seconds or not text else text


# ---------------------------------------------------------------------------- instants


def instant_ms(value: int | float | datetime | str) -> int:
    """Read an instant.

    Args:
        value: Unix seconds; a datetime, which is local time where it has no time zone, as
            everywhere in Python; or ISO 8601 text, as "2026-05-01T12:00:00Z".

    Returns:
        Unix milliseconds.

    Raises:
        ConfigurationError: WA102, where it is no instant between 1970 and 9999.

    Source: `context.sleep_until` takes Unix seconds, a datetime or ISO 8601 text.
    """
    match value:
        case bool():
            raise _no_instant(value, "True and False are no instants")
        case int() | float():
            ms = _unix_seconds(value)
        case datetime():
            ms = _datetime_ms(value, value)
        case str():
            ms = _iso_ms(value)
        case _:  # pyright: ignore[reportUnnecessaryComparison] -- users need not check types
            raise _no_instant(value, f"found {type(value).__name__}")
    if not 0 <= ms <= MAX_INSTANT_MS:
        raise _no_instant(value, "an instant lies between 1970 and 9999")
    return ms


def _unix_seconds(value: float) -> int:
    if not 0 <= value <= MAX_INSTANT_MS / 1000:  # NaN fails too
        hint = "; is it in milliseconds? divide by 1000" if value > 0 else ""
        raise _no_instant(value, f"no Unix seconds between 1970 and 9999{hint}")
    return round(value * 1000)


def _iso_ms(value: str) -> int:
    try:
        parsed = datetime.fromisoformat(value.strip())
    except ValueError as error:
        raise _no_instant(value, "not ISO 8601, as 2026-05-01T12:00:00Z") from error
    return _datetime_ms(parsed, value)


def _datetime_ms(when: datetime, value: object) -> int:
    try:
        return round(when.timestamp() * 1000)
    except (OverflowError, OSError, ValueError) as error:
        raise _no_instant(value, "an instant lies between 1970 and 9999") from error


_HTTP_DATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4}) "
    r"([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"
)
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}


def http_date_ms(text: str) -> int | None:
    """Read the date of an HTTP header, "Wed, 21 Oct 2015 07:28:00 GMT".

    Returns:
        Unix milliseconds, or None where it is no such date.
    """
    found = _HTTP_DATE.fullmatch(text.strip())
    if not found or found[2] not in _MONTHS:
        return None
    day, year, hour, minute, second = map(int, found.group(1, 3, 4, 5, 6))
    try:
        when = datetime(year, _MONTHS[found[2]], day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return round(when.timestamp() * 1000)


def _no_instant(value: object, reason: str) -> ConfigurationError:
    return ConfigurationError(
        "WA102",
        f"not an instant: {shown(value)}",
        found=(f"{shown(value)}: {reason}",),
        why="an instant is Unix seconds, a datetime, or ISO 8601 text",
        fix=('pass 1767225600, datetime(2026, 1, 1, tzinfo=UTC) or "2026-01-01T00:00:00Z"',),
    )


def shown(value: object) -> str:
    """A value as error messages quote it: its repr, cut to 60 characters."""
    try:
        text = repr(value)
    except ValueError:  # an integer of more than 4300 digits
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 60 else f"{text[:57]}..."
