"""A hundred real SIGKILLs under fifty concurrent runs: nothing is lost, nothing twice.

A process works on fifty runs; it is killed at random instants and started again, a hundred
times. After each kill the store is read, and what is recorded then must never execute again.
"""

import random
import sqlite3
import time
from pathlib import Path

import pytest

from tests.forks import Child, nursery
from workflow_agents.store.sqlite import SqliteStore

WORKER = Path(__file__).with_name("sigkill_worker.py")
KILLS = 100
RUNS = 50


def recorded(store: Path) -> dict[tuple[str, str], bytes]:
    """Every recorded step by run and name, read as another process reads it."""
    db = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'feed'").fetchall():
            return {}  # it was killed before it had made its tables
        return {
            (run, name): data
            for run, name, data in db.execute(
                "SELECT r.run_id, f.name, f.data FROM feed f JOIN runs r ON r.id = f.run"
                " WHERE f.mark = 0"
            )
        }
    finally:
        db.close()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_hundred_kills_lose_nothing_and_repeat_nothing_recorded(tmp_path: Path) -> None:
    store, notes = tmp_path / "kill.db", tmp_path / "notes"
    draw = random.Random(20)
    history: list[dict[tuple[str, str], bytes]] = []
    for life in range(KILLS):
        worker = start(store, notes, life)
        # Some are killed while they start, most while they work.
        if draw.random() < 0.9:
            worker.says("ready")
            time.sleep(draw.uniform(0.0, 0.12))
        else:
            time.sleep(draw.uniform(0.05, 0.2))
        assert worker.kill() == -9, worker.err.read_text()
        history.append(recorded(store) if store.exists() else {})
    last = start(store, notes, KILLS)
    last.wait(120)
    assert "done" in last.out.read_text(), last.err.read_text()

    final = recorded(store)
    for before in history:
        assert before.items() <= final.items(), "a recorded result is lost, or has changed"
    repeated = [
        (life, run, step)
        for life, run, step in map(str.split, notes.read_text().splitlines())
        if int(life) and (run, step) in history[int(life) - 1]
    ]
    assert repeated == [], "a body ran again after its result was recorded"
    assert len(history[-1]) > KILLS, "the kills came before any work was done"
    checked = SqliteStore(str(store))
    checked.open()
    assert checked.check() == []
    assert checked.size()["waiters"] == 0
    checked.close()


def start(store: Path, notes: Path, life: int) -> Child:
    """One life of the worker."""
    log = store.with_name(f"out{life}")
    return nursery("workflow_agents.serve.serve").start([WORKER, store, notes, life], log=log)
