import sqlite3

import pytest

from workflow_agents.engine.http_out import HttpRequest, HttpResponse, NoAnswer
from workflow_agents.testing.faults import (
    AtCommit,
    AtRequest,
    AtStatement,
    Crash,
    Database,
    Faults,
    FaultyHttp,
)
from workflow_agents.testing.virtual_time import VirtualTime, run_virtually


class Planned(Faults):
    """Every fault that it is given, one after the other."""

    def __init__(self, *faults: object) -> None:
        self.faults = [*faults]

    def _next(self, kind: type) -> object:
        if self.faults and isinstance(self.faults[0], kind):
            return self.faults.pop(0)
        return None

    def at_commit(self) -> AtCommit | None:
        return self._next(AtCommit)  # type: ignore[return-value]

    def at_statement(self, sql: str) -> AtStatement | None:
        return self._next(AtStatement)  # type: ignore[return-value]

    def at_request(self, request: HttpRequest) -> AtRequest | None:
        return self._next(AtRequest)  # type: ignore[return-value]


def written(faults: Faults) -> tuple[BaseException | None, bool]:
    """Write a row in a transaction; what was raised, and whether the row is there afterwards."""
    database = Database()
    db = database.connection
    db.execute("CREATE TABLE rows (x)")
    database.store(faults).connect()
    raised: BaseException | None = None
    try:
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO rows VALUES (1)")
        db.execute("COMMIT")
    except (sqlite3.Error, Crash) as error:
        raised = error
    database.crash()
    return raised, bool(database.all("SELECT x FROM rows"))


@pytest.mark.parametrize(
    ("fault", "error", "stored"),
    [
        (AtCommit.CRASH_BEFORE, Crash, False),
        (AtCommit.CRASH_AFTER, Crash, True),
        (AtCommit.ERROR_LOST, sqlite3.OperationalError, False),
        (AtCommit.ERROR_KEPT, sqlite3.OperationalError, True),
        (AtStatement.BUSY, sqlite3.OperationalError, False),
        (AtStatement.FULL, sqlite3.OperationalError, False),
        (AtStatement.IOERR, sqlite3.OperationalError, False),
    ],
)
def test_a_fault_of_the_database(fault: object, error: type, stored: bool) -> None:
    assert [type(written(Planned(fault))[0]), written(Planned(fault))[1]] == [error, stored]


def test_without_faults_everything_is_stored() -> None:
    assert written(Faults()) == (None, True)


def test_a_crashed_process_has_no_database_any_more() -> None:
    database = Database()
    store = database.store(Faults())
    store.open()
    database.crash()
    with pytest.raises(sqlite3.Error):
        store.connect()
    database.store(Faults()).open()


def test_a_snapshot_is_what_was_committed() -> None:
    database = Database()
    database.connection.execute("CREATE TABLE rows (x)")
    empty = database.snapshot()
    database.connection.execute("INSERT INTO rows VALUES (1)")
    database.restore(empty)
    assert database.all("SELECT * FROM rows") == []


def test_a_database_that_is_emptied_is_as_new() -> None:
    database = Database()
    database.empty()
    new = [*database.connection.iterdump()]
    database.connection.execute(
        "INSERT INTO feed (run, at, kind) SELECT value, 1, 1 FROM json_each('[1, 2]')"
    )
    database.connection.execute("UPDATE meta SET value = 'other'")
    assert [*database.connection.iterdump()] != new
    database.empty()
    assert [*database.connection.iterdump()] == new


REQUEST = HttpRequest("POST", "http://service/x", {}, b"", timeout_ms=2_000)


@pytest.mark.parametrize(
    ("fault", "outcome", "heard"),
    [
        (None, 200, 1),
        (AtRequest.DROP_BEFORE, NoAnswer, 0),
        (AtRequest.DROP_AFTER, NoAnswer, 1),
        (AtRequest.SLOW, NoAnswer, 0),
        (AtRequest.GARBAGE, 200, 0),
        (AtRequest.TOO_MANY, 429, 0),
        (AtRequest.BROKEN, 503, 0),
        (AtRequest.DUPLICATE, 200, 2),
    ],
)
def test_a_fault_of_the_network(
    fault: AtRequest | None, outcome: int | type[Exception], heard: int
) -> None:
    requests: list[HttpRequest] = []

    async def answer(request: HttpRequest) -> HttpResponse:
        requests.append(request)
        return HttpResponse(200, {}, b"fine")

    async def main() -> object:
        try:
            return (await FaultyHttp(Planned(fault), answer).send(REQUEST)).status
        except NoAnswer as error:
            return type(error)

    assert run_virtually(main(), VirtualTime()) == outcome
    assert len(requests) == heard
