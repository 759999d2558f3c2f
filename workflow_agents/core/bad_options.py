"""What callers are told of options that do not exist, or whose value cannot be used.

Python's own TypeError names the wrong option and no right one. Static type checkers see
through the decorator, and refuse the same calls before they are made.
"""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

from workflow_agents.errors import ConfigurationError

F = TypeVar("F", bound=Callable[..., Any])


def unknown_option(name: str, known: Iterable[str], where: str) -> ConfigurationError:
    """WA101, with the nearest option."""
    import difflib

    known = sorted(known)
    near = difflib.get_close_matches(name, known, 1)
    return ConfigurationError(
        "WA101",
        where=where,
        found=f"{name!r}; known are {', '.join(known)}",
        fix=(f"did you mean {near[0]!r}?",) if near else (),
    )


def wrong_option(option: str, expected: str, found: object) -> ConfigurationError:
    """WA102, with the option, what it takes and what it got."""
    return ConfigurationError(
        "WA102",
        f"{option} cannot be used",
        where=f"option {option!r}",
        found=f"expected {expected}, found {found!r}"[:200],
        fix=(f"pass {expected} as {option}",),
    )


def names_options(function: F) -> F:
    """Let a function say which options it has, to a caller who names another."""

    @functools.wraps(function)
    def told(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except TypeError:
            parameters = inspect.signature(function).parameters
            for name in kwargs:
                if name not in parameters:
                    known = [p for p in parameters if p != "self"]
                    raise unknown_option(name, known, f"{function.__qualname__}(...)") from None
            raise

    return cast("F", told)
