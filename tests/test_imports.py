"""Who may import whom, read from the sources; and how little `import workflow_agents` loads."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.sources import PACKAGE, ROOT, name, tree_of

EVERYWHERE = {
    "errors",
    "error_codes",
    "config",
    "clock",
    "certificates",
    "stopping",
}  # known to all rooms
TOP = {"testing", "cli", "notebook"}  # on top: may know all
# names for users: may know all, hold no logic
PUBLIC = {"__init__", "asgi", "aws_lambda", "django", "fastapi", "flask", "starlette"}

# room -> the rooms below it that it may know, besides itself and EVERYWHERE
MAY_KNOW: dict[str, set[str]] = {
    "errors": set(),
    "error_codes": set(),
    "config": {"protocol"},
    "clock": set(),
    "certificates": set(),
    "stopping": set(),
    "protocol": set(),
    "display": set(),
    "core": {"protocol", "display"},
    "context": {"protocol", "core"},
    "approvals": {"protocol", "core"},
    "conversations": {"protocol", "core"},
    "qstash": {"protocol", "core"},
    "client": {"protocol", "core", "approvals", "conversations", "qstash"},
    "sync": {"protocol", "core", "context", "client", "approvals", "conversations"},
    "agents": {"protocol", "context", "display"},
    "integrations": {"protocol", "core", "context"},
    "store": {"protocol", "core"},
    "engine": {"protocol", "core", "store"},
    "operations": {"protocol", "core", "store", "engine"},
    "server": {"protocol", "core", "store", "engine", "operations"},
    # what remote runs and origins of requests are, it asks the server's rooms
    "dashboard": {
        "protocol",
        "core",
        "store",
        "engine",
        "operations",
        "server",
        "approvals",
        "agents",
    },
    "serve": {"protocol", "core", "context", "client", "qstash", "sync"},
}

# module -> the rooms that this module alone may know besides
JOINS = {
    "serve.serve": {"engine", "store"},
    "serve.agents": {"agents"},
    "serve.starlette": {"dashboard"},
    "server.app": {"dashboard"},
}

# what `agents` may see of `context`: the public surface
CONTEXT_SURFACE = {"context", "context.context"}


def modules() -> dict[str, Path]:
    """Each module of the package, named without the package: "core.replay" -> its file."""
    found: dict[str, Path] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)] = path
    return found


MODULES = modules()


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Line and module of each import of our own package, wherever in the file it stands."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "workflow_agents":
                    yield node.lineno, alias.name.partition(".")[2] or "__init__"
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            if node.module and node.module.split(".")[0] == "workflow_agents":
                base = node.module.partition(".")[2]
                for alias in node.names:
                    inner = f"{base}.{alias.name}".lstrip(".")
                    yield node.lineno, inner if inner in MODULES else base or "__init__"


@cache
def imports() -> dict[str, tuple[tuple[int, str], ...]]:
    """Those of each module."""
    return {module: tuple(imports_of(path)) for module, path in MODULES.items()}


def room(module: str) -> str:
    return module.split(".")[0]


def test_a_module_knows_only_the_rooms_below_it() -> None:
    judged = {m: room(m) for m in MODULES if room(m) not in TOP | PUBLIC}
    new = {*judged.values()} - {*MAY_KNOW}
    assert not new, f"new rooms: say in {Path(__file__).name} whom they may know"
    wrong = [
        f"{name(MODULES[module])}:{line}: {own} must not know {target}"
        for module, own in judged.items()
        for line, target in imports()[module]
        if room(target) not in MAY_KNOW[own] | JOINS.get(module, set()) | EVERYWHERE | {own}
    ]
    assert not wrong, "\n".join(wrong)


def test_agents_know_only_the_public_surface_of_the_context() -> None:
    reaches = [
        f"{name(MODULES[module])}:{line}: {target}"
        for module in MODULES
        if room(module) == "agents"
        for line, target in imports()[module]
        if room(target) == "context" and target not in CONTEXT_SURFACE
    ]
    assert not reaches


def test_each_exception_to_the_rules_is_still_used() -> None:
    for module, rooms in JOINS.items():
        if module in MODULES:
            used = {room(target) for _, target in imports()[module]}
            assert rooms <= used, f"{module} no longer joins {sorted(rooms - used)}"


def loaded_by(code: str) -> set[str]:
    """The modules that a new process has loaded after the code, and had not before it."""
    script = "\n".join(
        [
            "import sys",
            "before = set(sys.modules)",
            code,
            "print('\\n'.join(sorted(set(sys.modules) - before)))",
        ]
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


HEAVY = {
    "aiohttp",
    "cryptography",
    "fastapi",
    "httpx",
    "httpx2",
    "langchain_core",
    "mcp",
    "openai",
    "pydantic",
    "starlette",
    "uvicorn",
}


# what a first step does not need, and each of which costs it a part of a millisecond, or several
LATER = {
    "approvals",
    "context.current_step",
    "conversations",
    "core.admission",
    "core.dead_letters",
    "core.delay_expression",
    "core.flow_control",
    "core.parts",
    "core.pauses",
    "core.redaction",
    "core.step_logs",
    "core.stream_events",
    "engine.attempts",
    "engine.http_out",
    "engine.listening",
    "engine.pauses",
    "error_codes",
    "protocol.approvals",
    "protocol.results",
    "protocol.secrets",
    "serve.endpoint",
    "sync",
    "hashlib",
    "random",
}


def test_importing_the_package_loads_next_to_nothing() -> None:
    loaded = loaded_by("import workflow_agents")
    tops = {name.split(".")[0] for name in loaded}
    assert not tops & (HEAVY | {"asyncio", "sqlite3"}), sorted(tops)
    ours = {name for name in loaded if name.startswith("workflow_agents.")}
    assert not ours, f"loaded before anyone asked for a name: {sorted(ours)}"


def test_importing_the_pytest_plugin_loads_next_to_nothing() -> None:
    """It is loaded by every pytest where this package is installed."""
    loaded = loaded_by(
        "import pytest\nbefore = set(sys.modules)\nimport workflow_agents.testing.plugin"
    )
    assert loaded == {
        "workflow_agents",
        "workflow_agents.testing",
        "workflow_agents.testing.plugin",
    }


def test_a_first_step_on_the_embedded_engine_loads_nothing_heavy() -> None:
    loaded = loaded_by(
        "import asyncio\n"
        "from workflow_agents import AsyncWorkflowContext, Engine\n"
        "async def main():\n"
        "    engine = Engine(':memory:')\n"
        "    @engine.workflow('/one')\n"
        "    async def one(context: AsyncWorkflowContext[None]) -> int:\n"
        "        return await context.run('step', lambda: 1)\n"
        "    async with engine:\n"
        "        handle = await engine.client.trigger(one)\n"
        "        assert await handle.result() == 1\n"
        "asyncio.run(main())"
    )
    assert not {name.split(".")[0] for name in loaded} & HEAVY
    ours = {name.removeprefix("workflow_agents.") for name in loaded}
    assert not ours & LATER, "the first step would wait for what it does not use"
