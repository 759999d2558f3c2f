"""The store on one SQLite file, owned by one process.

WAL mode, `synchronous=FULL` by default: a commit that has returned survives power loss. One
connection, on which every write is `BEGIN IMMEDIATE ... COMMIT`; a batch of changes shares
one. Where a batch fails as a whole, its changes are applied again one by one, so that one
that cannot be stored harms no other.

SQL is in `sqlite_writes` and `sqlite_reads`.
"""

import os
import sqlite3
import threading
from collections.abc import Sequence
from typing import Literal

from workflow_agents.errors import StoreError
from workflow_agents.store.changes import AddRun, Applied, Broken, Change, Guard, Outcome, Refused
from workflow_agents.store.migrate import migrate
from workflow_agents.store.owner import OwnerLock
from workflow_agents.store.sqlite_errors import store_error
from workflow_agents.store.sqlite_reads import SqliteReads
from workflow_agents.store.sqlite_writes import (
    WRITES,
    WRITES_WITHOUT_CONDITION,
    Write,
    add_entry,
    add_guarded_entry,
    add_run,
)

Synchronous = Literal["FULL", "NORMAL", "OFF"]

_GROWN_WAL_FRAMES = 1_000
_MARK_BATCH = "INSERT OR REPLACE INTO meta VALUES ('batch', ?)"
_FIND_BATCH = "SELECT 1 FROM meta WHERE name = 'batch' AND value = ?"


class SqliteStore(SqliteReads):
    """See the module. `path` ":memory:" keeps everything in this process.

    Args:
        path: the file; its folder is made where it is missing.
        synchronous: FULL survives power loss; NORMAL survives only the end of the process,
            and may lose the last moments to power loss; OFF is for tests.
    """

    def __init__(self, path: str, *, synchronous: Synchronous = "FULL") -> None:
        super().__init__()
        self.path = path
        self.in_memory = path == ":memory:"
        self._synchronous = synchronous
        self._lock = None if self.in_memory else OwnerLock(path)
        self._connection: sqlite3.Connection | None = None
        # Numbers that no process before this one has used.
        self._batches = int.from_bytes(os.urandom(6))
        # Reads on the loop's thread wait for a commit in the writer's thread, and so see it.
        self.mutex = threading.RLock()

    def open(self) -> None:
        """Take the file into possession, migrate it. See `Store.open`."""
        if self._lock is not None:
            _make_folder(self.path)
            self._lock.acquire()
        try:
            self._connection = self.connect()
            migrate(self._connection, self.path)
        except sqlite3.Error as error:
            self.close()
            raise store_error(error, self.path) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the file back."""
        with self.mutex:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            if self._lock is not None:
                self._lock.release()

    def connect(self) -> sqlite3.Connection:
        """A connection in the mode of this store. Simulations put faults in here."""
        db = sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        db.execute("PRAGMA busy_timeout=5000")
        if not self.in_memory:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute(f"PRAGMA synchronous={self._synchronous}")
            db.execute("PRAGMA journal_size_limit=67108864")
            db.execute("PRAGMA cache_size=-8192")
        return db

    @property
    def db(self) -> sqlite3.Connection:
        """The connection.

        Raises:
            StoreError: WA111, if the store is not open.
        """
        if self._connection is None:
            raise StoreError("WA111", where=self.path)
        return self._connection

    def apply(self, changes: Sequence[Change]) -> list[Outcome]:
        """Apply the changes in order in one transaction. See `Store.apply`."""
        with self.mutex:
            try:
                return self._transaction(changes)
            except Exception as error:  # noqa: BLE001  # nothing of the batch was made
                if len(changes) == 1:
                    return [self._broken(error)]
            outcomes: list[Outcome] = []
            for change in changes:
                try:
                    outcomes += self._transaction([change])
                except Exception as error:  # noqa: BLE001  # it harms no other change
                    outcomes.append(self._broken(error))
            return outcomes

    def _broken(self, error: Exception) -> Broken:
        known = isinstance(error, sqlite3.Error)
        return Broken(store_error(error, self.path) if known else error)

    def _transaction(self, changes: Sequence[Change]) -> list[Outcome]:
        db = self.db
        db.execute("BEGIN IMMEDIATE")
        try:
            outcomes = [_apply(db, change) for change in changes]
            seq = max((o.seq for o in outcomes if isinstance(o, Applied)), default=0)
            if not seq:
                self._batches += 1
                db.execute(_MARK_BATCH, (self._batches,))
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        self._commit(db, seq)
        return outcomes

    def _commit(self, db: sqlite3.Connection, seq: int) -> None:
        """Commit. An error that leaves open whether it did is settled by looking.

        A batch has added the feed entry `seq`, or without any has left its own mark.
        """
        try:
            db.execute("COMMIT")
        except sqlite3.Error:
            if db.in_transaction:
                db.execute("ROLLBACK")
                raise
            if seq:
                found = db.execute("SELECT 1 FROM feed WHERE seq = ?", (seq,)).fetchone()
            else:
                found = db.execute(_FIND_BATCH, (self._batches,)).fetchone()
            if found is None:
                raise
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def grow_wal(self) -> None:
        """Make the log file large once, so that commits need not change its size.

        A commit into a log that has its size is up to 1.7 times faster. What is written is a
        counter that nobody reads, without waiting for the disk.
        """
        if self.in_memory:
            return
        with self.mutex:
            db = self.db
            wal = self.path + "-wal"
            if os.path.exists(wal) and os.path.getsize(wal) > 4_096 * _GROWN_WAL_FRAMES:
                return
            db.execute("PRAGMA synchronous=OFF")
            try:
                for n in range(_GROWN_WAL_FRAMES):
                    db.execute("INSERT OR REPLACE INTO meta VALUES ('grown', ?)", (n,))
            finally:
                db.execute(f"PRAGMA synchronous={self._synchronous}")
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")


def _apply(db: sqlite3.Connection, change: Change) -> Outcome:
    """One change, whole or not at all, inside a transaction."""
    ops, entries = change.ops, change.entries
    if len(ops) == 1 and len(entries) == 1 and type(ops[0]) is Guard:
        return _apply_guarded_entry(db, change, ops[0])
    if not _may_fail_late(change):
        return _apply_parts(db, change)
    db.execute("SAVEPOINT change")
    try:
        outcome = _apply_parts(db, change)
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK TO change")
            db.execute("RELEASE change")
        raise
    if isinstance(outcome, Refused):
        db.execute("ROLLBACK TO change")
    db.execute("RELEASE change")
    return outcome


def _apply_guarded_entry(db: sqlite3.Connection, change: Change, guard: Guard) -> Outcome:
    try:
        applied = Applied()
        if add_guarded_entry(db, change.entries[0], guard, applied):
            return applied
    except sqlite3.IntegrityError:
        return Refused(None)
    return Refused(guard)


def _apply_parts(db: sqlite3.Connection, change: Change) -> Outcome:
    applied = Applied()
    for op in change.ops:
        if type(op) is AddRun:
            applied.run, new = add_run(db, op)
            if not new:
                return Refused(op, existing=applied.run)
        elif not _write_of(type(op))(db, op, applied):
            return Refused(op, existing=applied.taken)
    try:
        for entry in change.entries:
            add_entry(db, entry, entry.run or applied.run, applied)
    except sqlite3.IntegrityError:
        return Refused(None)
    return applied


def _write_of(op: type) -> Write:
    write = WRITES.get(op)
    if write is None:
        # Only an engine with a server has those, and only it loads them.
        from workflow_agents.store.sqlite_messages import MESSAGE_WRITES

        write = WRITES[op] = MESSAGE_WRITES[op]
    return write


def _may_fail_late(change: Change) -> bool:
    """Whether something may be refused after something else was written."""
    writes = 0
    for op in change.ops:
        if writes and type(op) not in WRITES_WITHOUT_CONDITION:
            return True
        writes += type(op) is not Guard
    return any(entry.outcome for entry in change.entries)


def _make_folder(path: str) -> None:
    folder = os.path.dirname(os.path.abspath(path))
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise StoreError(
            "WA603", where=folder, found=f"the folder cannot be made: {error.strerror}"
        ) from error
