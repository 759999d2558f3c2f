"""Numbered files of sql/, applied in order, forward only."""

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
    steps = ";".join(statements for version, statements in _migrations() if version > found)
    db.executescript(f"BEGIN;{steps};PRAGMA user_version={LATEST};COMMIT;")


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
