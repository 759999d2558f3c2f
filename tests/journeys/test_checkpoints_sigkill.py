"""Server and endpoint are killed, one after the other and both: runs go on where they were."""

import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.forks import SERVERS, nursery
from workflow_agents.server.settings import DEV_KEYS, DEV_TOKEN
from workflow_agents.store.sqlite import SqliteStore

WORKER = Path(__file__).with_name("checkpoint_worker.py")
STEPS = 25
RUNS = 3
PATIENCE_S = 60


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


class Site:
    """A server and an endpoint, each a process that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.store, self.notes = folder / "server.db", folder / "notes"
        self.server_port, self.port = free_port(), free_port()
        self.environment = {
            **os.environ,
            "QSTASH_URL": f"http://127.0.0.1:{self.server_port}",
            "QSTASH_TOKEN": DEV_TOKEN,
            "QSTASH_CURRENT_SIGNING_KEY": DEV_KEYS.current,
            "QSTASH_NEXT_SIGNING_KEY": DEV_KEYS.following,
        }
        self.start_server()
        self.start_endpoint()
        self.http = httpx2.Client(
            base_url=self.environment["QSTASH_URL"],
            headers={"authorization": f"Bearer {DEV_TOKEN}"},
            trust_env=False,
        )

    def start_server(self) -> None:
        options = ["--port", self.server_port, "--store", self.store]
        self.server = nursery(*SERVERS).start(
            ["workflow_agents.cli", "dev", *options], log=self.store.with_suffix(".log")
        )

    def start_endpoint(self) -> None:
        self.endpoint = nursery(*SERVERS).start(
            [WORKER, self.port, self.notes],
            log=self.notes.with_suffix(".log"),
            env=self.environment,
        )

    def ask(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """The answer, however long the server takes to be there."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self.http.request(method, path, **options)
            except httpx2.TransportError:
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def noted(self) -> list[tuple[str, int]]:
        if not self.notes.exists():
            return []
        pairs = (line.split() for line in self.notes.read_text().splitlines())
        return [(run, int(step)) for run, step in pairs]

    def stop(self) -> None:
        self.http.close()
        for process in (self.endpoint, self.server):
            process.kill()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.stop()


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.timeout(150)
def test_whoever_is_killed_nothing_is_lost_and_nothing_recorded_runs_again(site: Site) -> None:
    url = f"http://127.0.0.1:{site.port}/work"
    headers = {"Upstash-Retries": "50", "Upstash-Retry-Delay": "100"}
    runs = [
        site.ask("POST", f"/v2/trigger/{url}", headers=headers, json={}).json()["workflowRunId"]
        for _ in range(RUNS)
    ]
    kills = 0
    for at, whom in ((6, "endpoint"), (24, "server"), (42, "both")):
        until(lambda at=at: len(site.noted()) >= at)
        if whom != "server":
            site.endpoint.kill()
        if whom != "endpoint":
            site.server.kill()
            site.start_server()
        if whom != "server":
            site.start_endpoint()
        kills += 1
    until(lambda: all(over(site, run_id) for run_id in runs))
    site.stop()

    bodies = Counter(site.noted())
    # A body that died with a process runs again; no other does.
    assert {*bodies} == {(run, n) for run in runs for n in range(STEPS)}
    assert sum(bodies.values()) - len(bodies) <= kills * RUNS
    store = SqliteStore(str(site.store))
    store.open()
    assert store.check() == []
    for run_id in runs:
        row = store.run(run_id)
        assert row is not None
        assert row.result == str(sum(range(STEPS))).encode()
        names = Counter(recorded.name for recorded in store.history(row.id).recorded)
        assert set(names.values()) == {1}
    store.close()


def over(site: Site, run_id: str) -> bool:
    return site.ask("GET", f"/v2/workflows/runs/{run_id}").status_code == 404
