"""A Flask app with synchronous workflows is killed in the middle of them, and started again.

What was recorded before a kill never runs again, and every run ends.
"""

import contextlib
import json
import random
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.forks import nursery

WORKER = Path(__file__).with_name("flask_worker.py")
KILLS, RUNS, STEPS = 4, 5, 40
PATIENCE_S = 60


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_killed_flask_apps_go_on(tmp_path: Path) -> None:
    store, notes = tmp_path / "flask.db", tmp_path / "notes"
    draw = random.Random(7)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    recorded: list[tuple[set[tuple[str, str]], int]] = []
    with app(store, notes, port) as site:
        for n in range(RUNS):
            answer = site.post("/work", content=str(n))
            assert answer.json()["finishCondition"] == "success"
        lines_of(notes, 20)
    recorded.append((steps(store), length(notes)))
    for _ in range(KILLS):
        known = length(notes)
        with app(store, notes, port):
            # Nobody sends a request: `serve.start()` lets stored runs go on.
            lines_of(notes, known + draw.randint(2, 25))
        recorded.append((steps(store), length(notes)))
    with app(store, notes, port):
        ended(store)

    assert results(store) == [sum(range(STEPS))] * RUNS
    assert len(recorded[-1][0]) > len(recorded[0][0]), "the kills came before any work was done"
    run_of = {n: run for run, n in inputs(store).items()}
    noted = [tuple(line.split()) for line in notes.read_text().splitlines()]
    for before, line in recorded:
        again = {(run_of[n], f"step {i}") for n, i in noted[line:]} & before
        assert not again, "a body ran again after its result was recorded"


@contextlib.contextmanager
def app(store: Path, notes: Path, port: int) -> Iterator[httpx2.Client]:
    """One life of the app, which ends with SIGKILL."""
    log = store.with_name("log")
    process = nursery("flask", "workflow_agents.flask").start([WORKER, store, notes, port], log=log)
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            patience = time.monotonic() + PATIENCE_S
            while True:
                try:
                    http.get("/")
                    break
                except httpx2.TransportError:
                    assert not process.is_over, process.err.read_text()
                    assert time.monotonic() < patience
                    time.sleep(0.02)
            yield http
    finally:
        assert process.kill() == -9


def until(holds: Callable[[], bool]) -> None:
    patience = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < patience
        time.sleep(0.005)


def length(notes: Path) -> int:
    return len(notes.read_text().splitlines()) if notes.exists() else 0


def lines_of(notes: Path, count: int) -> None:
    """Wait until so many bodies have run, or all have."""
    until(lambda: length(notes) >= min(count, RUNS * STEPS))


def ended(store: Path) -> None:
    until(lambda: len(results(store)) == RUNS)


def read(store: Path, query: str) -> list[tuple[Any, ...]]:
    db = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def steps(store: Path) -> set[tuple[str, str]]:
    """Run and name of every recorded step."""
    query = "SELECT r.run_id, f.name FROM feed f JOIN runs r ON r.id = f.run WHERE f.mark = 0"
    return set(read(store, query))


def results(store: Path) -> list[Any]:
    ended = read(store, "SELECT result FROM runs WHERE ended_at IS NOT NULL")
    return [json.loads(result or b"null") for (result,) in ended]


def inputs(store: Path) -> dict[str, str]:
    return {run: given.decode() for run, given in read(store, "SELECT run_id, input FROM runs")}
