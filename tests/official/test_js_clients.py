"""Scripts of the official JS clients: each prints a line of JSON for each thing that it checks."""

import json
import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.official.outside import Outside
from tests.official.processes import JS, Server
from tests.official.site import Site

SIDE_BY_SIDE = (
    "publishing",
    "messages",
    "queues",
    "url_groups",
    "schedules",
    "dead_letters",
    "logs",
    "flow_control",
    "workflow_client",
    "dev_mode",
)
FOR_EVERYTHING = ("keys", "sweeping")
"""What these do concerns all that a server has: they get one each."""

PATIENCE_S = 90


def run_script(name: str, env: dict[str, str]) -> list[dict[str, str]]:
    """The checks that a script has printed."""
    done = subprocess.run(
        ["node", f"clients/{name}.mjs"],
        cwd=JS,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    checks = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"check"')]
    assert checks, "nothing was checked"
    return checks


def report(name: str, checks: list[dict[str, str]], subtests: pytest.Subtests) -> None:
    for check in checks:
        with subtests.test(f"{name}: {check['check']}"):
            if not check["ok"]:
                pytest.fail(check["error"], pytrace=False)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", SIDE_BY_SIDE)
def test_script(name: str, site: Site, subtests: pytest.Subtests) -> None:
    report(name, run_script(name, site.env), subtests)


@pytest.fixture
def alone(packages: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A server for one script; the variables of its clients."""
    server = Server(tmp_path_factory.mktemp("alone"))
    outside = Outside()
    yield {**server.env, "OUTSIDE_URL": outside.url}
    server.stop()
    outside.stop()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", FOR_EVERYTHING)
def test_script_for_everything(name: str, alone: dict[str, str], subtests: pytest.Subtests) -> None:
    report(name, run_script(name, alone), subtests)
