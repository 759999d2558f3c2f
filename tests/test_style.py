"""What no linter checks of how the code is written."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

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

# A file on one topic seldom needs more lines. Each of these says in its docstring why it does.
LONGEST = 500
LONG_FILES: dict[str, int] = {}

SQL = re.compile(
    r"\b(SELECT\s.+\sFROM|INSERT\s+(OR\s+\w+\s+)?INTO|DELETE\s+FROM|CREATE\s+(TABLE|INDEX)"
    r"|UPDATE\s+\w+\s+SET|PRAGMA\s+\w+|BEGIN\s+IMMEDIATE)\b",
    re.I | re.S,
)
BANNER = re.compile(r"^\s*#\s*[-=*#~]{4,}", re.M)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The text constants that are not docstrings."""
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.lineno, node.value


# Read while tests are collected: in Python 3.11, ast.parse fails when the garbage collector,
# in the middle of it, ends something deep that a test has left behind.
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}

# The fault injection of the tests stands in the store's place.
WITH_SQL = [p for p in SOURCES if p.parent.name == "store" or p.stem == "faults"]


@pytest.mark.parametrize("path", [p for p in SOURCES if p not in WITH_SQL], ids=name)
def test_sql_lives_in_the_store_only(path: Path) -> None:
    tree = TREES[path]
    found = [f"{name(path)}:{line}" for line, text in strings(tree) if SQL.search(text)]
    assert not found


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_task_is_kept(path: Path) -> None:
    """The event loop holds tasks weakly: one that nobody keeps may vanish."""
    tree = TREES[path]
    found = [
        f"{name(path)}:{node.lineno}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Attribute)
        and node.value.func.attr in {"create_task", "ensure_future"}
        and not is_task_group(node.value.func.value)
    ]
    assert not found


def is_task_group(owner: ast.expr) -> bool:
    """Whether the tasks' owner keeps them: a TaskGroup, by its usual names."""
    return isinstance(owner, ast.Name) and owner.id in {"group", "tasks", "task_group", "tg"}


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_file_is_on_one_topic(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    limit = LONG_FILES.get(name(path), LONGEST)
    assert lines <= limit, f"{lines} lines: split it, or say in LONG_FILES that it needs them"


@pytest.mark.parametrize("path", ALL_SOURCES, ids=name)
def test_comments_are_no_banners(path: Path) -> None:
    assert not BANNER.search(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    tree = TREES[path]
    assert ast.get_docstring(tree) or not tree.body
