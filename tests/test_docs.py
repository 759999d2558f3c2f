"""The code of README and docs runs as it is written, and the generated pages are fresh."""

import os
import re
from pathlib import Path

import pytest

from docs import generate, run_page
from tests.forks import nursery

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

MAKE = re.compile(r"`make ([a-z]+)`")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [p for p in PAGES if run_page.blocks(p)], ids=name)
def test_the_code_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI", "QSTASH"))}
    done = nursery("docs.run_page", "fastapi", "uvicorn").run(
        ["docs.run_page", page], cwd=tmp_path, env=environment | {"PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stderr


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
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(MAKE.findall(page.read_text(encoding="utf-8"))) <= targets


def test_the_files_that_the_architecture_names_exist() -> None:
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:\w+/)*\w+\.(?:py|sql))`", page)
    places = (ROOT / "workflow_agents", ROOT)
    gone = [name for name in named if not any((place / name).exists() for place in places)]
    assert named
    assert not gone
