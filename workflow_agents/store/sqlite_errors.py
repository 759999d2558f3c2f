"""What SQLite's errors mean to a person."""

import sqlite3

from workflow_agents.errors import StoreError


def store_error(error: sqlite3.Error, path: str) -> StoreError:
    """What a SQLite error means to a person."""
    text = str(error)
    if "full" in text:
        code = "WA602"
    elif "not a database" in text or "malformed" in text:
        code = "WA605"
    else:
        code = "WA603"
    return StoreError(code, where=path, found=f"SQLite says: {text}")
