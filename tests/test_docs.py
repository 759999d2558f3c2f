"""The code of README and docs runs as it is written, and the generated pages are fresh."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import upstash_workflow
from typer.testing import CliRunner

from docs import generate, run_page, walk
from docs.causes import CAUSES
from tests import sdks
from tests.forks import Nursery, nursery
from workflow_agents.cli.main import app as cli
from workflow_agents.error_codes import CODES
from workflow_agents.testing import ScriptedModel

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

QUICKSTART = ROOT / "docs" / "quickstart.md"

FOLLOWED = [page for page in PAGES if page != QUICKSTART and [*walk.parts(page)]]

SETTING = re.compile(r"[A-Z_]+=")
MAKE = re.compile(r"`make ([a-z]+)`")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="module")
def model() -> Iterator[ScriptedModel]:
    """Does what it is asked."""
    with ScriptedModel() as model:
        model.when(lambda _request: True, run_page.obliging, repeat=True)
        yield model


@pytest.fixture
def environment(model: ScriptedModel) -> dict[str, str]:
    """Where agents reach the model, and nothing else is set."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI", "QSTASH"))}
    keys = {"OPENAI_API_KEY": "none-needed", "ANTHROPIC_API_KEY": "none-needed"}
    urls = {"OPENAI_BASE_URL": model.base_url, "ANTHROPIC_BASE_URL": model.anthropic_url}
    quick = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # of the pytest that a page starts
    return kept | keys | urls | quick | {"PYTHONPATH": str(ROOT)}


def forking(page: Path) -> Nursery:
    """Has imported what most pages need, or this one."""
    if sdks.needed_by(page):
        return nursery(*sdks.MODULES)
    return nursery(
        "docs.run_page",
        "fastapi",
        "uvicorn",
        "aiohttp",
        "genai_prices",
        "pydantic",
        "pydantic.json_schema",
        "_pytest.pytester",
        "workflow_agents.agents.models.openai",
        "workflow_agents.agents.workflow",
        "workflow_agents.engine.attempts",
        "workflow_agents.engine.exchange",
        "workflow_agents.engine.http_client",
        "workflow_agents.engine.housekeeping",
        "workflow_agents.fastapi",
        "workflow_agents.qstash.environment",
        "workflow_agents.serve.agents",
        "workflow_agents.sync.client",
        "workflow_agents.sync.context",
        "workflow_agents.testing.crashes",
        "workflow_agents.testing.environment",
    )


@pytest.mark.parametrize("page", [p for p in PAGES if run_page.blocks(p)], ids=name)
def test_the_code_of_a_page_runs(page: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    done = forking(page).run(["docs.run_page", page], cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", FOLLOWED, ids=name)
def test_who_follows_a_page_sees_what_it_says(
    page: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    walk.follow(page, tmp_path, forking(page), environment)


def test_the_quickstart_asks_the_model_once(
    tmp_path: Path, environment: dict[str, str], model: ScriptedModel
) -> None:
    asked = len(model.requests)
    walk.follow(QUICKSTART, tmp_path, forking(QUICKSTART), environment)
    prompts = [request.messages[-1]["content"] for request in model.requests[asked:]]
    assert prompts.count("About the sea.") == 1  # by two processes


def typed_first(page: Path) -> list[str]:
    """What a reader types until the first answer: the lines of the first command that prints."""
    typed: list[str] = []
    for part in walk.parts(page):
        if isinstance(part, walk.Written):
            typed += part.text.splitlines()
        else:
            typed += [part.line, *part.typed]
            if part.printed:
                return typed
    return typed


def test_the_first_durable_agent_takes_five_lines() -> None:
    typed = typed_first(QUICKSTART)
    assert typed[-1].startswith("print(")
    assert len(typed) <= 5


@pytest.mark.skipif(not os.environ.get("DOCS_INSTALL"), reason="installs: set DOCS_INSTALL=1")
def test_the_quickstart_in_a_new_environment(tmp_path: Path, environment: dict[str, str]) -> None:
    """Literally: a new virtual environment, and the lines as they stand, twice."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    path = f"{tmp_path / 'venv' / 'bin'}{os.pathsep}{environment['PATH']}"
    env = environment | {"PATH": path, "WORKFLOW_AGENTS_STORE": str(tmp_path / "runs.db")}
    del env["PYTHONPATH"]
    for command in (part for part in walk.parts(QUICKSTART) if isinstance(part, walk.Command)):
        if command.line.endswith(".py"):
            continue
        line = command.line.replace("python", "python -i -q")
        done = subprocess.run(
            line,
            shell=True,
            cwd=ROOT,
            env=env,
            text=True,
            capture_output=True,
            input="".join(f"{typed}\n" for typed in command.typed),
        )
        assert done.returncode == 0, done.stderr
        assert not command.typed or done.stdout.strip() == "Yes, with pleasure.", done.stderr


COMMAND_LINES = [
    pytest.param(page, line, id=f"{name(page)}-{line}")
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]
    for line in walk.shell_lines(page)
]


@pytest.mark.parametrize(("page", "line"), COMMAND_LINES)
def test_what_is_typed_in_a_shell_exists(page: Path, line: str) -> None:
    """Commands with their options, targets, extras and files; not what they then do."""
    words = [word for word in shlex.split(line, comments=True) if not SETTING.match(word)]
    match words:
        case ["make", target, *_]:
            assert target in make_targets()
        case ["pip", "install", what]:
            assert set(re.findall(r"[a-z]+", what)) <= {"workflow", "agents", *extras()}
        case ["workflow-agents", command, *options]:
            known = CliRunner().invoke(cli, [command, "--help"])
            assert known.exit_code == 0, known.output
            for option in options:
                assert not option.startswith("--") or option.split("=")[0] in known.output
        case ["python" | ".llm/bin/python", "-m", module, *_]:
            assert find_spec(module)
        case ["python" | ".llm/bin/python", file, *_] if "/" in file:
            assert (ROOT / file).exists()
        case _:
            assert not words or words[0] in {
                "curl",
                "export",
                "sqlite3",
                "uvicorn",
                "python",
                "pytest",
                "docker",
            }


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))


def extras() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return set(project["optional-dependencies"])


def test_the_generated_pages_are_fresh() -> None:
    stale = [
        path.name
        for path, text in generate.pages().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    assert not stale, "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
def test_the_make_targets_that_are_told_of_exist(page: Path) -> None:
    assert set(MAKE.findall(page.read_text(encoding="utf-8"))) <= make_targets()


def test_the_files_that_the_architecture_names_exist() -> None:
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:\w+/)*\w+\.(?:py|sql))`", page)
    places = (ROOT / "workflow_agents", ROOT)
    gone = [name for name in named if not any((place / name).exists() for place in places)]
    assert named
    assert not gone


def test_the_variables_that_are_told_of_are_those_that_are_read() -> None:
    mine = re.compile(r'"((?:QSTASH|UPSTASH|WORKFLOW_AGENTS|OPENAI|ANTHROPIC)_[A-Z_]+)"')
    sources = (ROOT / "workflow_agents").rglob("*.py")
    read = {found for path in sources for found in mine.findall(path.read_text(encoding="utf-8"))}
    told = generate.VARIABLES.keys() - {"NO_COLOR"}
    assert told == read - {"ANTHROPIC_AUTH_TOKEN"}, "see VARIABLES in docs/generate.py"


def test_the_causes_are_of_codes_that_exist() -> None:
    assert CAUSES.keys() <= CODES.keys()


def test_the_tests_that_promises_name_exist() -> None:
    page = (ROOT / "docs" / "concepts" / "guarantees.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:\w+/)*test_\w+\.py)`", page)
    assert len(named) > 10
    assert not [test for test in named if not (ROOT / "tests" / test).exists()]


def test_names_of_the_other_package_have_a_counterpart() -> None:
    """What `guides/migrating.md` replaces is all that the other package has, and is here."""
    page = (ROOT / "docs" / "guides" / "migrating.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| `from upstash_workflow(\S*) import ([\w, ]+)` \| `(.+)` \|$", page, re.M
    )
    replaced = {one for module, names, _ in rows if not module for one in names.split(", ")}
    assert replaced == set(upstash_workflow.__all__)
    for *_, ours in rows:
        exec(ours, {})
