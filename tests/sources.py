"""The project's Python files, as text and as trees."""

import ast
import gc
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "workflow_agents"
SOURCES = sorted(PACKAGE.rglob("*.py"))
ALL_SOURCES = [
    *SOURCES,
    *(
        path
        for folder in ("tests", "examples", "benchmarks", "docs")
        for path in sorted((ROOT / folder).rglob("*.py"))
    ),
]


def name(path: Path) -> str:
    """A file, as messages call it."""
    return str(path.relative_to(ROOT))


@cache
def text_of(path: Path) -> str:
    """What is in it."""
    return path.read_text(encoding="utf-8")


@cache
def tree_of(path: Path) -> ast.Module:
    """The same, parsed.

    In Python 3.11, ast.parse fails when the garbage collector, in the middle of it, ends
    something deep that a test has left behind.
    """
    gc.disable()
    try:
        return ast.parse(text_of(path))
    finally:
        gc.enable()
