"""What goes wrong between an engine and the world, made to go wrong on purpose.

Three seams: `Database` is a SQLite database that survives the process that uses it, and
fails where a `Faults` says so; `FaultyHttp` is a network; `Crash` is the end of the process.
A `Faults` decides at every statement, commit and request; `Faults` itself lets everything
pass, and a subclass overrides what it wants to break.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any

from workflow_agents.engine.http_out import HttpRequest, HttpResponse, NoAnswer
from workflow_agents.store.sqlite import SqliteStore


class Crash(SystemExit):
    """The process ends here and now. It passes through everything, as nothing else does."""


class AtCommit(Enum):
    """What happens at a commit."""

    CRASH_BEFORE = "crash before commit"
    CRASH_AFTER = "crash after commit"
    ERROR_LOST = "commit failed and is lost"
    ERROR_KEPT = "commit failed and came through"


class AtStatement(Enum):
    """What SQLite answers to a statement; the value is its text."""

    BUSY = "database is locked"
    FULL = "database or disk is full"
    IOERR = "disk I/O error"


class AtRequest(Enum):
    """What happens to a request."""

    DROP_BEFORE = "connection dropped before the request"
    DROP_AFTER = "connection dropped before the answer"
    SLOW = "slow answer"
    GARBAGE = "2xx and garbage"
    TOO_MANY = "429 with Retry-After"
    BROKEN = "5xx"
    DUPLICATE = "request delivered twice"


class Faults:
    """Decides what goes wrong; as it is, nothing does.

    Attributes:
        errors: how often the database has refused something.
    """

    errors = 0

    def at_commit(self) -> AtCommit | None:
        """Asked at each commit."""
        return None

    def at_statement(self, sql: str) -> AtStatement | None:  # noqa: ARG002  # for subclasses
        """Asked at each other statement."""
        return None

    def at_request(self, request: HttpRequest) -> AtRequest | None:  # noqa: ARG002  # as above
        """Asked at each request."""
        return None


class FaultAt(Faults):
    """A fault at some commits, counted from 1 over all processes that it is given to.

    Attributes:
        commits: how many there were.
    """

    def __init__(self, fault: AtCommit | None, *at: int) -> None:
        self.commits = 0
        self._at = at
        self._fault = fault

    def at_commit(self) -> AtCommit | None:
        """The fault, at its commits."""
        self.commits += 1
        return self._fault if self.commits in self._at else None


class Database:
    """A SQLite database in memory that outlives the processes which use it.

    One process at a time: `store` gives a new one its store, `crash` takes it away from the
    old one with whatever that had not committed.
    """

    def __init__(self) -> None:
        self.connection = _connection()
        self.connection.execute("PRAGMA page_size=1024")
        self._store: _Store | None = None
        self._filled = ""

    def empty(self) -> None:
        """Hold a store's tables, and nothing in them."""
        if not self._filled:
            store = self.store(Faults())
            store.open()
            store.close()
            self.crash()
            tables = self.all("SELECT name FROM sqlite_schema WHERE type = 'table'")
            self._filled = " UNION ALL ".join(
                f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {table})"  # noqa: S608  # its own tables
                for (table,) in tables
            )
        # Statements stay prepared, as they do not where another snapshot is restored.
        self.connection.execute("BEGIN")
        for (table,) in self.all(self._filled):
            self.connection.execute(f"DELETE FROM {table}")  # noqa: S608  # as above
        self.connection.execute("COMMIT")

    def store(self, faults: Faults) -> SqliteStore:
        """The store of a new process."""
        self.connection.faults = faults
        self._store = _Store(self)
        return self._store

    def crash(self) -> None:
        """The process that had the store is gone."""
        if self._store is not None:
            self._store.lose()
        self._store = None
        self.connection.faults = None
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def snapshot(self) -> bytes:
        """All that is committed."""
        return self.connection.serialize()

    def restore(self, snapshot: bytes) -> None:
        """Hold what a snapshot holds."""
        # SQLite 3.40 may crash where it goes on with statements that it prepared before: those
        # of a connection are never used behind this.
        self.connection = _connection()
        self.connection.deserialize(snapshot)

    def all(self, sql: str, *arguments: Any) -> list[Any]:
        """What a query finds; no fault touches it."""
        faults, self.connection.faults = self.connection.faults, None
        try:
            return self.connection.execute(sql, arguments).fetchall()
        finally:
            self.connection.faults = faults


def _connection() -> "_Connection":
    return _Connection(
        ":memory:", isolation_level=None, check_same_thread=False, cached_statements=256
    )


_NEVER_FAIL = ("ROLLBACK", "RELEASE", "SAVEPOINT", "PRAGMA")


class _Connection(sqlite3.Connection):
    """A connection whose statements and commits fail where its faults say so."""

    faults: Faults | None = None
    _spared = False

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        faults = self.faults
        if faults is None:
            return super().execute(sql, parameters)
        if sql == "COMMIT":
            return self._commit(faults)
        if self._spared:
            # Whoever does not know whether a commit came through may look.
            self._spared = False
            return super().execute(sql, parameters)
        if not sql.startswith(_NEVER_FAIL) and (error := faults.at_statement(sql)):
            faults.errors += 1
            if error is not AtStatement.BUSY and self.in_transaction:
                # SQLite itself gives up the transaction then.
                super().execute("ROLLBACK")
            raise sqlite3.OperationalError(error.value)
        return super().execute(sql, parameters)

    def _commit(self, faults: Faults) -> sqlite3.Cursor:
        fault = faults.at_commit()
        match fault:
            case None:
                return super().execute("COMMIT")
            case AtCommit.CRASH_BEFORE:
                raise Crash(fault.value)
            case AtCommit.CRASH_AFTER:
                super().execute("COMMIT")
                raise Crash(fault.value)
            case AtCommit.ERROR_LOST:
                super().execute("ROLLBACK")
            case AtCommit.ERROR_KEPT:
                super().execute("COMMIT")
        faults.errors += 1
        self._spared = True
        raise sqlite3.OperationalError(AtStatement.IOERR.value)

    def close(self) -> None:
        """The process closes it; the database stays."""
        if self.in_transaction:
            super().execute("ROLLBACK")


class _Store(SqliteStore):
    """A store on a `Database`, until its process has crashed."""

    def __init__(self, database: Database) -> None:
        super().__init__(":memory:", synchronous="OFF")
        self._database: Database | None = database

    def connect(self) -> sqlite3.Connection:
        if self._database is None:
            raise sqlite3.OperationalError("the process has crashed")
        return self._database.connection

    def lose(self) -> None:
        """What is left of the crashed process reaches the database no more."""
        self._database = None
        self._connection = None


class FaultyHttp:
    """A network: `HttpOut` towards services that `answer` plays.

    Args:
        faults: decides what happens to each request.
        answer: the service; its exceptions are answers that do not come.

    Attributes:
        slow_ms: how long a slow answer takes, unless the request's timeout is shorter.
    """

    slow_ms = 3_000

    def __init__(
        self, faults: Faults, answer: Callable[[HttpRequest], Awaitable[HttpResponse]]
    ) -> None:
        self._faults = faults
        self._answer = answer

    async def send(self, request: HttpRequest) -> HttpResponse:
        """See `HttpOut.send`."""
        try:
            async with asyncio.timeout(request.timeout_ms / 1000):
                return await self._send(request)
        except TimeoutError as error:
            raise NoAnswer("no answer in time") from error

    async def _send(self, request: HttpRequest) -> HttpResponse:
        fault = self._faults.at_request(request)
        match fault:
            case AtRequest.DROP_BEFORE:
                raise NoAnswer(fault.value)
            case AtRequest.TOO_MANY:
                return HttpResponse(429, {"retry-after": ["1"]}, b"slow down")
            case AtRequest.BROKEN:
                return HttpResponse(503, {}, b"<h1>broken</h1>")
            case AtRequest.GARBAGE:
                return HttpResponse(200, {"content-type": ["application/json"]}, b"\xff{nonsense")
            case AtRequest.SLOW:
                await asyncio.sleep(self.slow_ms / 1000)
            case AtRequest.DUPLICATE:
                await self._answer(request)
            case AtRequest.DROP_AFTER:
                await self._answer(request)
                raise NoAnswer(fault.value)
            case None:
                pass
        return await self._answer(request)

    async def close(self) -> None:
        """See `HttpOut.close`."""
