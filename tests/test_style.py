"""What no linter checks of how the code is written. Each rule is one test."""

import ast
import re
from collections.abc import Iterator

from tests.sources import ALL_SOURCES, SOURCES, name, text_of, tree_of

# A file on one topic seldom needs more lines. Each of these says in its docstring why it does.
LONGEST = 500
LONG_FILES: dict[str, int] = {}

SQL = re.compile(
    r"\b(SELECT\s.+\sFROM|INSERT\s+(OR\s+\w+\s+)?INTO|DELETE\s+FROM|CREATE\s+(TABLE|INDEX)"
    r"|UPDATE\s+\w+\s+SET|PRAGMA\s+\w+|BEGIN\s+IMMEDIATE)\b",
    re.I | re.S,
)
BANNER = re.compile(r"^\s*#\s*[-=*#~]{4,}", re.M)


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


# The fault injection of the tests stands in the store's place.
WITH_SQL = [p for p in SOURCES if p.parent.name == "store" or p.stem == "faults"]


def test_sql_lives_in_the_store_only() -> None:
    found = [
        f"{name(path)}:{line}"
        for path in SOURCES
        if path not in WITH_SQL
        for line, text in strings(tree_of(path))
        if SQL.search(text)
    ]
    assert not found


def test_a_task_is_kept() -> None:
    """The event loop holds tasks weakly: one that nobody keeps may vanish."""
    found = [
        f"{name(path)}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(tree_of(path))
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


def test_a_file_is_on_one_topic() -> None:
    lines = {name(path): len(text_of(path).splitlines()) for path in SOURCES}
    long = {path: n for path, n in lines.items() if n > LONG_FILES.get(path, LONGEST)}
    assert not long, "split them, or say in LONG_FILES that they need their lines"


def test_comments_are_no_banners() -> None:
    assert not [name(path) for path in ALL_SOURCES if BANNER.search(text_of(path))]


def test_a_module_says_what_it_is_for() -> None:
    trees = ((path, tree_of(path)) for path in SOURCES)
    assert not [name(path) for path, tree in trees if tree.body and not ast.get_docstring(tree)]
