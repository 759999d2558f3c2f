"""The site is built from docs/ without a warning, complete, and loads nothing from elsewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import workflow_agents
from workflow_agents import testing

ROOT = Path(__file__).parents[1]

LOADED = re.compile(
    r"<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//(?!127)"
    r"|@import|url\([\"']?(?:https?:)?//"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make docs` builds it; with `--quiet` nothing would be strict."""
    target = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return target


def test_every_page_is_in_it(site: Path) -> None:
    pages = [page.relative_to(ROOT / "docs") for page in (ROOT / "docs").rglob("*.md")]
    assert [page for page in pages if not (site / page.with_suffix(".html")).exists()] == []
    nav = (site / "index.html").read_text(encoding="utf-8")
    assert [page for page in pages if f'{page.with_suffix(".html").as_posix()}"' not in nav] == []


def test_every_public_name_is_in_it(site: Path) -> None:
    told = "".join(page.read_text(encoding="utf-8") for page in site.glob("reference/api_*.html"))
    ids = {name.rpartition(".")[2] for name in re.findall(r'id="(workflow_agents\.[\w.]+)"', told)}
    assert {*workflow_agents.__all__, *testing.__all__} - ids == set()


def test_it_loads_nothing_from_elsewhere(site: Path) -> None:
    files = [*site.rglob("*.html"), *site.rglob("*.css")]
    assert len(files) > 50
    texts = {file.name: LOADED.search(file.read_text(encoding="utf-8")) for file in files}
    assert {name: found[0] for name, found in texts.items() if found} == {}


def test_programs_can_read_it(site: Path) -> None:
    told = (site / "llms.txt").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", told)
    assert len(links) > 30
    assert [link for link in links if not (site / link).exists()] == []
    whole = (site / "llms-full.txt").read_text(encoding="utf-8")
    assert "# Quickstart" in whole
