"""Where in the user's code a step stands: found by its name, which is mostly written out there."""

import ast
import inspect
import os
from typing import Any, NamedTuple


class CodePlace(NamedTuple):
    """A line of code.

    Attributes:
        handler: the name of the workflow's function.
        file: its file, from where the process runs.
        line: its number, from 1.
        text: what stands there.
        exact: it asks for the step; otherwise it is the first line of the function.
    """

    handler: str
    file: str
    line: int
    text: str
    exact: bool


def place_of(function: Any, step_name: str) -> CodePlace | None:
    """Where the function asks for a step of this name; else where it begins.

    None: its source is not at hand.
    """
    inner = inspect.unwrap(function)
    try:
        lines, first = inspect.getsourcelines(inner)
        file = os.path.relpath(inspect.getsourcefile(inner) or "")
    except (OSError, TypeError, ValueError):
        return None
    handler = f"{inner.__module__}.{inner.__qualname__}"
    offset = _line_of("".join(lines), step_name)
    at = offset or 0
    text = lines[at].strip() if at < len(lines) else ""
    return CodePlace(handler, file, first + at, text, exact=offset is not None)


def _line_of(source: str, step_name: str) -> int | None:
    """The line, from 0, of the first call that is given the name."""
    try:
        # A method is indented where it stands.
        tree = ast.parse(inspect.cleandoc("\n" + source))
    except SyntaxError:
        return None
    found = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and any(_says(one, step_name) for one in node.args[:1])
    ]
    return min(found) - 1 if found else None


def _says(node: ast.expr, name: str) -> bool:
    if isinstance(node, ast.Constant):
        return node.value == name
    if not isinstance(node, ast.JoinedStr):
        return False
    # f"step {number}": its texts stand in the name, in their order.
    at = 0
    for part in node.values:
        if isinstance(part, ast.Constant):
            at = name.find(str(part.value), at)
            if at < 0:
                return False
            at += len(str(part.value))
    return any(isinstance(part, ast.Constant) for part in node.values)
