"""What has to be true of the database, whatever happened; and what it is asked meanwhile."""

from typing import Any

from tests.simulation.model import End
from workflow_agents.core.lifecycle import Phase
from workflow_agents.protocol.codec import decode
from workflow_agents.store.sqlite_checks import answers
from workflow_agents.store.sqlite_payloads import Query, read_payloads
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


def is_recorded(database: Database, run_id: str, step: str) -> bool:
    """Whether a step has its outcome."""
    return bool(
        database.all(
            "SELECT 1 FROM feed f JOIN runs r ON r.id = f.run"
            " WHERE r.run_id = ? AND f.name = ? AND f.mark = 0",
            run_id,
            step,
        )
    )


def paused_until(database: Database, pause_key: str) -> int | None:
    """When the pause of a key ends or has ended; None: the key is free."""
    rows = database.all("SELECT until FROM flow_pauses WHERE pause_key = ?", pause_key)
    return rows[0][0] if rows else None


def done_steps(database: Database, run_id: str) -> list[str]:
    """The names of the steps that succeeded."""
    rows = database.all(
        "SELECT f.name FROM feed f JOIN runs r ON r.id = f.run"
        " WHERE r.run_id = ? AND f.mark = 0 AND f.kind = 10",
        run_id,
    )
    return [name for (name,) in rows]


def has_ended(database: Database, run_id: str) -> bool:
    """Whether a run has ended."""
    sql = "SELECT 1 FROM runs WHERE run_id = ? AND ended_at IS NOT NULL"
    return bool(database.all(sql, run_id))


def end_of_run(database: Database, run_id: str) -> End:
    """How a run has ended."""
    sql = "SELECT phase, result, result_payload FROM runs WHERE run_id = ?"
    rows = database.all(sql, run_id)
    if not rows:
        return End("missing")
    phase, result = Phase(rows[0][0]), whole(database, *rows[0][1:])
    match phase:
        case Phase.SUCCESS:
            return End("success", decode(result)["value"])
        case Phase.FAILED:
            return End("failed", _failure(decode(result)))
        case _:
            return End(phase.name.lower())


def _failure(data: dict[str, Any]) -> Any:
    """A stored failure as `programs.caught` has it."""
    detail = data.get("detail")
    if detail and detail["code"] == "WA206":
        step = detail["where"].split("'")[1]
        return {"step": step, "error": data["error"], "status": data["status"]}
    if data["error"] in {"Raised", "WorkflowNonRetryableError"}:
        return data["message"]
    return data


def stored_input(database: Database, run_id: str) -> bytes:
    """The payload of a run."""
    [stored] = database.all("SELECT input, payload FROM runs WHERE run_id = ?", run_id)
    return whole(database, *stored)


def whole(database: Database, data: bytes, payload: int | None) -> bytes:
    """What a row holds itself, or its payload."""
    if payload is None:
        return data
    return read_payloads(lambda sql, given: database.all(sql, *given), {payload})[payload]


def unended(database: Database) -> list[Any]:
    """What is not over, for people."""
    return [
        *database.all(
            "SELECT run_id, phase, due_at, token, wakes FROM runs WHERE ended_at IS NULL"
        ),
        *database.all("SELECT * FROM waiters"),
        *database.all("SELECT id, run, step, kind, leased, due_at, attempt FROM deliveries"),
    ]


def leftovers(database: Database) -> list[str]:
    """What is left over when every run has ended (I4, I13, I14)."""
    store = database.store(Faults())
    store.open()
    while store.sweep(100):
        pass
    problems = [f"store.check: {fault}" for fault in store.check()]  # payloads too (I14)
    store.close()
    return problems + [f"{what}: {row}" for what, row in answers(_query(database), _LEFT_OVER)]


_LEFT_OVER = {
    f"left over in {table}": f"SELECT * FROM {table}"
    for table in ("waiters", "deliveries", "notifications")
}
_NEVER = {
    "a sleep that ended early (I6)": (
        "SELECT r.run_id, w.name FROM feed w JOIN feed e ON e.run = w.run AND e.step = w.step"
        " AND e.mark = 0 JOIN runs r ON r.id = w.run WHERE w.kind = 12 AND w.type IN (2, 3)"
        " AND e.at < json_extract(CAST(w.data AS TEXT), '$.until')"
    ),
    "a step with two outcomes (I2, I7)": (
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
}


def never(database: Database) -> list[str]:
    """What must not be found among ended runs."""
    return [f"{what}: {row}" for what, row in answers(_query(database), _NEVER)]


def _query(database: Database) -> Query:
    return lambda sql, arguments: database.all(sql, *arguments)
