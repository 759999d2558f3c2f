"""The workflow that a server brings along, for whoever has none yet."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2

from tests.unit.cli.conftest import OURS

FROM_ELSEWHERE = {name: value for name, value in os.environ.items() if not OURS.match(name)}


@contextlib.contextmanager
def serving(folder: Path, *arguments: str, **environment: str) -> Iterator[dict[str, Any]]:
    """A server in a process of its own, which is killed at the end; what it says of itself."""
    with subprocess.Popen(
        [sys.executable, "-m", "workflow_agents.cli", *arguments, "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        env=FROM_ELSEWHERE | environment | {"PYTHONPATH": os.getcwd()},
        cwd=folder,
    ) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


def states(server: str) -> list[str]:
    answer = httpx2.get(f"{server}/ui/api/runs?workflow=/sample", trust_env=False)
    return [state for _, _, _, state, *_ in answer.json()["runs"]]


def test_a_fresh_server_has_a_run_to_look_at_after_one_click(tmp_path: Path, page: Any) -> None:
    with serving(tmp_path, "dev") as told:
        server = told["server"]
        page.goto(f"{server}/ui/")
        shown = page.get_by_label("A command").first.inner_text()
        assert f"QSTASH_URL='{server}'" in shown
        assert told["variables"]["QSTASH_TOKEN"] in shown
        page.get_by_role("button", name="Run the sample").click()
        page.get_by_role("option", name="send it, run, success").wait_for()
        page.locator("h1").get_by_text("success").wait_for()
        page.get_by_role("option", name="let it rest, sleep, success").wait_for()
        # A process that ends in the middle of it leaves it to the next one.
        made = httpx2.post(f"{server}/ui/api/sample", json={}, trust_env=False)
        assert made.status_code == 200
    with serving(tmp_path, "dev") as told:
        end = time.monotonic() + 20
        while (found := states(told["server"])) != ["success", "success"]:
            assert time.monotonic() < end, found
            time.sleep(0.1)
