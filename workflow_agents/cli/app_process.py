"""The process of the user's app beside `dev`: imports it, says what it serves, serves it.

    python -m workflow_agents.cli.app_process flows:app 127.0.0.1 8000

On its standard output it says one line of JSON: `{"workflows": [...]}`, or `{"error": {...}}` for
an app that cannot be imported. All that the app itself prints goes to standard error.
"""

import importlib
import json
import os
import sys
import traceback
from types import ModuleType
from typing import Any, cast

from workflow_agents.errors import ConfigurationError

_LIBRARY = f"lib{os.sep}python"
_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def imported(target: str) -> tuple[ModuleType, Any]:
    """The module and the app that "flows:app" names.

    Raises:
        ConfigurationError: WA124.
    """
    name, _, attribute = target.partition(":")
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ConfigurationError(
                "WA124",
                f"there is no module {name!r}",
                where=f"the folder {os.getcwd()}",
                found=f"expected {name.replace('.', '/')}.py, {_near(name)}",
            ) from error
        raise _raised(target, error) from error
    except Exception as error:
        raise _raised(target, error) from error
    app: Any = module
    for part in attribute.split("."):
        if not hasattr(app, part):
            callables = [n for n, one in vars(module).items() if _is_app(one)]
            raise ConfigurationError(
                "WA124",
                f"the module {name!r} has no {attribute!r}",
                where=str(module.__file__),
                found=f"apps in it: {', '.join(callables) or 'none'}",
                fix=tuple(f"workflow-agents dev {name}:{one}" for one in callables),
            )
        app = getattr(app, part)
    if not callable(app):
        raise ConfigurationError(
            "WA124",
            f"{target} is no app",
            where=str(module.__file__),
            found=f"expected an ASGI app, found {type(app).__name__}",
        )
    return module, app


def _raised(target: str, error: Exception) -> ConfigurationError:
    """What it raised, and on which line of the user's."""
    frames = traceback.extract_tb(error.__traceback__)
    foreign = ("<", _OURS)
    own = [f for f in frames if not (f.filename.startswith(foreign) or _LIBRARY in f.filename)]
    last = own[-1] if own else None
    found = [f"{type(error).__name__}: {error}"[:300]]
    if last is not None and last.line:
        found.append(last.line)
    return ConfigurationError(
        "WA124",
        f"importing {target.partition(':')[0]} raises {type(error).__name__}",
        where=f"{os.path.relpath(last.filename)}:{last.lineno}" if last else target,
        found=found,
        why="the module was found, and its code does not get to its end",
        fix=(f"python -c 'import {target.partition(':')[0]}'   # shows the whole traceback",),
    )


def _near(name: str) -> str:
    import difflib

    files = [n.removesuffix(".py") for n in os.listdir() if n.endswith(".py")]
    near = difflib.get_close_matches(name, files, 1)
    return f"found {near[0]}.py" if near else f"found {len(files)} other modules"


def _is_app(value: object) -> bool:
    return callable(value) and hasattr(value, "router") and not isinstance(value, type)


def workflows_of(module: ModuleType, app: Any) -> list[str]:
    """The paths under which an app serves workflows, as far as can be seen."""
    found: set[str] = set()
    for value in [*vars(module).values()]:
        path, name = getattr(value, "path", None), type(value).__name__
        if name == "Workflow" and isinstance(path, str):
            found.add(path)
    for route in cast("list[Any]", getattr(app, "routes", [])):
        served = getattr(getattr(route, "endpoint", None), "__module__", "")
        if served.startswith("workflow_agents.serve") and "{" not in route.path:
            found.add(route.path)
    return sorted(found)


def main(target: str, host: str, port: int) -> None:
    """Serve it until asked to end."""
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.path.insert(0, os.getcwd())
    try:
        module, app = imported(target)
    except ConfigurationError as error:
        told.write(json.dumps({"error": error.as_dict()}) + "\n")
        told.flush()
        raise SystemExit(1) from None
    told.write(json.dumps({"workflows": workflows_of(module, app)}) + "\n")
    told.flush()
    import uvicorn

    uvicorn.run(app, host=host, port=port, log_level="warning")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
