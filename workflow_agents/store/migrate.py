"""Numbered files of sql/, applied in order, forward only.

What they come to is remembered: the second new store of a process, as tests make them, gets it at
once, and does not go through the history of the schema.
"""

import os
import re
import sqlite3

from workflow_agents.errors import StoreError


def migrate(db: sqlite3.Connection, path: str) -> None:
    """Bring the schema up to date, all steps in one transaction: a new store waits for one commit.

    Raises:
        StoreError: WA604, if a later version of the program has migrated it further.
    """
    (found,) = db.execute("PRAGMA user_version").fetchone()
    if found == LATEST:
        return
    if found > LATEST:
        raise StoreError(
            "WA604",
            where=path,
            found=f"expected schema version {LATEST} or older, found {found}",
        )
    new = found == 0 and not _schema(db)
    if new and _whole:
        steps = _whole
    else:
        steps = [statements for version, statements in _migrations() if version > found]
    db.executescript(f"BEGIN;{';'.join(steps)};PRAGMA user_version={LATEST};COMMIT;")
    if new and not _whole:
        _whole[:] = _schema(db)


_whole: list[str] = []
"""The statements that make a new store, once there is one."""


def _schema(db: sqlite3.Connection) -> list[str]:
    made = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite!_%' "
    return [sql for (sql,) in db.execute(f"{made} ESCAPE '!' ORDER BY rowid")]


def _migrations() -> list[tuple[int, str]]:
    # importlib.resources would take longer than everything else that a start does here.
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sql")
    found: list[tuple[int, str]] = []
    for name in sorted(os.listdir(folder)):
        if match := re.match(r"(\d{4})_\w+\.sql$", name):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                found.append((int(match[1]), file.read()))
    return found


LATEST = 7
"""The newest file of sql/; a test holds it to that, so that a start need not look."""
