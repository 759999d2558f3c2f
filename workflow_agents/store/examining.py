"""A SQLite store looked at from outside: nothing is written, no lock is taken.

For whoever wants to know what is wrong with a store that another process may be using.
"""

import fcntl
import os
import sqlite3
from dataclasses import dataclass
from urllib.parse import quote

from workflow_agents.core.lifecycle import Phase
from workflow_agents.store.migrate import LATEST
from workflow_agents.store.sqlite_errors import store_error

_PATIENCE_MS = 2_000
_MOST_FAULTS = 5


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found.

    Attributes:
        version: of its schema; `latest`: that of this program.
        faults: what SQLite says is damaged.
        overdue: runs and deliveries that have been due for too long, without those that a
            limit holds back.
        owner: the process that has it; None: nobody does.
    """

    version: int
    latest: int
    faults: tuple[str, ...]
    overdue: int
    owner: int | None


def examine(path: str, *, overdue_before: int) -> Examination:
    """Look at a store.

    Args:
        path: of the file, which is there.
        overdue_before: what has been due since before this instant, Unix milliseconds, is late.

    Raises:
        StoreError: WA605, the file is no store; WA603, it cannot be read.
    """
    try:
        db = sqlite3.connect(f"file:{quote(os.path.abspath(path))}?mode=ro", uri=True)
        try:
            db.execute(f"PRAGMA busy_timeout={_PATIENCE_MS}")
            (version,) = db.execute("PRAGMA user_version").fetchone()
            said = [row[0] for row in db.execute(f"PRAGMA quick_check({_MOST_FAULTS})")]
            readable = 0 < version <= LATEST
            overdue = _overdue(db, overdue_before) if readable else 0
        finally:
            db.close()
    except sqlite3.Error as error:
        raise store_error(error, path) from error
    faults = tuple(text for text in said if text != "ok")
    return Examination(version, LATEST, faults, overdue, _owner(path))


def _overdue(db: sqlite3.Connection, before: int) -> int:
    runs = (
        "SELECT count(*) FROM runs WHERE due_at IS NOT NULL AND due_at < ? AND flow_key IS NULL"
        f" AND phase = {int(Phase.DUE)}"
    )
    owed = (
        "SELECT count(*) FROM deliveries WHERE due_at IS NOT NULL AND due_at < ?"
        " AND flow_key IS NULL AND leased = 0"
    )
    return sum(db.execute(query, (before,)).fetchone()[0] for query in (runs, owed))


def _owner(path: str) -> int | None:
    """The process that holds the lock; 0: one that is not named."""
    try:
        descriptor = os.open(f"{path}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(descriptor, 64).decode(errors="replace").strip()
        return int(text) if text.isdigit() else 0
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None
