"""The public names: listed once, documented, and there when asked for."""

import ast
import inspect
import re
from pathlib import Path

import pytest

import workflow_agents

ROOT = Path(__file__).parents[1]


def test_the_documented_names_are_the_public_ones() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `(\w+)` \|", page, re.M)
    assert sorted(documented) == sorted(workflow_agents.__all__), "run `make docs`"


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse((ROOT / "workflow_agents" / "__init__.py").read_text(encoding="utf-8"))
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("workflow_agents")
        for alias in node.names
    }
    assert imported == set(workflow_agents.__all__) - {"__version__"}


def test_dir_lists_them() -> None:
    assert set(workflow_agents.__all__) <= set(dir(workflow_agents))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = workflow_agents.no_such_name  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("name", workflow_agents.__all__)
def test_a_public_name_says_what_it_is(name: str) -> None:
    thing = getattr(workflow_agents, name)
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
