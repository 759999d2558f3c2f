"""The stores that keep the contract: each suite here runs on every one of them.

A new store is added here; the suites know nothing but the port and its changes.
"""

from collections.abc import Callable
from pathlib import Path

from workflow_agents.store.interface import Store
from workflow_agents.store.sqlite import SqliteStore

STORES: dict[str, Callable[[Path], Store]] = {
    "sqlite file": lambda folder: SqliteStore(str(folder / "x.db")),
    "sqlite memory": lambda _folder: SqliteStore(":memory:"),
}
