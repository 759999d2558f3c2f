"""Scripts of the official JS clients: each prints a line of JSON for each thing that it checks."""

import json
import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.official.outside import Outside
from tests.official.processes import JS, Child, Server
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
)
BY_ITSELF = "dev_mode"
"""It changes the variables of its process."""

FOR_EVERYTHING = ("keys", "sweeping")
"""What these do concerns all that a server has: they get one each."""

PATIENCE_S = 90


class Scripts:
    """The process that does scripts one after the other.

    Args:
        env: the variables of its clients.
    """

    def __init__(self, env: dict[str, str]) -> None:
        self._env = env
        self._child: Child | None = None

    def run(self, name: str) -> list[dict[str, str]]:
        """The checks that a script has printed."""
        child = self._child or Child(["node", "clients/main.mjs"], self._env, cwd=JS)
        # If this script breaks it, the next one gets another.
        self._child = None
        before = len(child.lines)
        child.tell(name)
        child.wait_for(lambda lines: _end(lines[before:]), PATIENCE_S)
        self._child = child
        said = child.lines[before:]
        assert "error" not in _end(said), "\n".join(said)
        return checks_in(said)

    def stop(self) -> None:
        """End it."""
        if self._child is not None:
            self._child.stop()


def _end(lines: list[str]) -> dict[str, str]:
    """What the process said when a script had ended; {}: it has not."""
    return next((json.loads(line) for line in lines if line.startswith('{"end"')), {})


def checks_in(lines: list[str]) -> list[dict[str, str]]:
    """The checks that were printed; there are some."""
    checks = [json.loads(line) for line in lines if line.startswith('{"check"')]
    assert checks, "nothing was checked"
    return checks


def run_script(name: str, env: dict[str, str]) -> list[dict[str, str]]:
    """The checks that a script has printed, in a process of its own."""
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
    return checks_in(done.stdout.splitlines())


def report(name: str, checks: list[dict[str, str]], subtests: pytest.Subtests) -> None:
    for check in checks:
        with subtests.test(f"{name}: {check['check']}"):
            if not check["ok"]:
                pytest.fail(check["error"], pytrace=False)


@pytest.fixture(scope="module")
def scripts(site: Site) -> Iterator[Scripts]:
    """Where scripts are done that have a server together."""
    scripts = Scripts(site.env)
    yield scripts
    scripts.stop()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", SIDE_BY_SIDE)
def test_script(name: str, scripts: Scripts, subtests: pytest.Subtests) -> None:
    report(name, scripts.run(name), subtests)


@pytest.mark.timeout(120)
def test_script_by_itself(site: Site, subtests: pytest.Subtests) -> None:
    report(BY_ITSELF, run_script(BY_ITSELF, site.env), subtests)


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
