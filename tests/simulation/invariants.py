"""What has to be true of the database, whatever happened."""

from collections import Counter
from typing import Any

from workflow_agents.testing.faults import Database, Faults


def recorded_steps(database: Database) -> dict[str, list[Any]]:
    """The history of each run, in order (I2, I11)."""
    found: dict[str, list[Any]] = {}
    for run_id, *step in database.all(
        "SELECT r.run_id, f.seq, f.step, f.name, f.kind, f.data, f.payload FROM feed f"
        " JOIN runs r ON r.id = f.run WHERE f.mark = 0 ORDER BY f.seq"
    ):
        found.setdefault(run_id, []).append(step)
    return found


def leftovers(database: Database) -> list[str]:
    """What is left over when every run has ended (I4, I13)."""
    store = database.store(Faults())
    store.open()
    problems = [f"store.check: {fault}" for fault in store.check()]
    store.close()
    for table in ("waiters", "deliveries", "notifications"):
        if rows := database.all(f"SELECT * FROM {table}"):
            problems.append(f"left over in {table}: {rows}")
    return problems


def stored_problems(database: Database, failure_functions: Counter[str]) -> list[str]:
    """What the stored rows of ended runs must look like."""
    problems: list[str] = []
    questions = {
        "a sleep that ended early (I6)": (
            "SELECT r.run_id, w.name FROM feed w JOIN feed e ON e.run = w.run AND e.step = w.step"
            " AND e.mark = 0 JOIN runs r ON r.id = w.run WHERE w.kind = 12 AND w.type IN (2, 3)"
            " AND e.at < json_extract(CAST(w.data AS TEXT), '$.until')"
        ),
        "a step with two outcomes (I2)": (
            "SELECT run, step FROM feed WHERE mark = 0 OR kind IN (10, 11)"
            " GROUP BY run, step HAVING count(*) > 1"
        ),
        "a step that invoked two runs (I5)": (
            "SELECT parent, parent_step FROM runs WHERE parent IS NOT NULL"
            " GROUP BY parent, parent_step HAVING count(*) > 1"
        ),
        "a run with two ends (I1)": (
            "SELECT run FROM feed WHERE kind IN (2, 3, 4) GROUP BY run HAVING count(*) > 1"
        ),
        "an ended run without its end in the feed (I1)": (
            "SELECT run_id FROM runs WHERE id NOT IN (SELECT run FROM feed WHERE kind IN (2, 3, 4))"
        ),
        "a failed run without one outcome of its failure function (I12)": (
            "SELECT run_id FROM runs r WHERE phase = 11 AND 1 != (SELECT count(*) FROM feed"
            " WHERE run = r.id AND kind IN (30, 32))"
        ),
        "an outcome of a failure function of a run that has not failed (I12)": (
            "SELECT run_id FROM runs r WHERE phase != 11 AND EXISTS (SELECT 1 FROM feed"
            " WHERE run = r.id AND kind IN (30, 31, 32))"
        ),
        "a failed run without its dead letter (I12)": (
            "SELECT run_id FROM runs r WHERE phase = 11 AND 1 != (SELECT count(*) FROM feed"
            " WHERE run = r.id AND kind = 33)"
        ),
        "a request that is still leased (I13)": "SELECT id FROM deliveries WHERE leased = 1",
    }
    for what, sql in questions.items():
        problems += [f"{what}: {row}" for row in database.all(sql)]
    return problems
