"""The public names: listed once, documented, and there when asked for."""

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import workflow_agents
from workflow_agents import testing

ROOT = Path(__file__).parents[1]
MODULES: list[Any] = [workflow_agents, testing]
NAMES = [(module, name) for module in MODULES for name in module.__all__]

for_each = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)


def test_the_documented_names_are_the_public_ones() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `(\w+)` \|", page, re.M)
    assert sorted(documented) == sorted(name for _, name in NAMES), "run `make docs`"


@for_each
def test_type_checkers_see_the_same_names(module: Any) -> None:
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("workflow_agents")
        for alias in node.names
    }
    assert imported == set(module.__all__) - {"__version__"}


@for_each
def test_dir_lists_them(module: Any) -> None:
    assert set(module.__all__) <= set(dir(module))


@for_each
def test_an_unknown_name_is_an_attribute_error(module: Any) -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = module.no_such_name


@pytest.mark.parametrize(("module", "name"), NAMES, ids=lambda it: getattr(it, "__name__", it))
def test_a_public_name_says_what_it_is(module: Any, name: str) -> None:
    thing = getattr(module, name)
    if not (inspect.isclass(thing) or inspect.isroutine(thing)):
        return
    assert own_doc(thing), f"{name} has no docstring"
    if inspect.isclass(thing):
        silent = [
            f"{name}.{member}"
            for member, value in vars(thing).items()
            if not member.startswith("_")
            and (inspect.isfunction(value) or isinstance(value, property | classmethod))
            and not inspect.getdoc(getattr(thing, member))
        ]
        assert not silent, f"without docstring: {', '.join(silent)}"


def own_doc(thing: object) -> str:
    """Its docstring, unless it is the one that `dataclass` makes up."""
    doc = vars(thing).get("__doc__") if inspect.isclass(thing) else inspect.getdoc(thing)
    made_up = inspect.isclass(thing) and str(doc).startswith(f"{thing.__name__}(")
    return "" if made_up else doc or ""
