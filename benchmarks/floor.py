"""Not an engine: the least that a durable step can cost in Python over SQLite.

A table of runs, a table of steps, one INSERT a step; no leases, retries, timers, feed or
checks. It marks the limit that an embedded engine can come close to.

FloorInline   commits on the event loop's thread, one transaction a step: best for a lone run
FloorGroup    a writer thread; all steps waiting at that moment share one commit: best for many
"""

import asyncio
import json
import queue
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.adapter import Json, step_body

SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
  id TEXT PRIMARY KEY, kind TEXT, n INT, state TEXT, wake_at REAL, result TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS steps (
  run TEXT, i INT, result TEXT, PRIMARY KEY (run, i)
) WITHOUT ROWID;
"""


class FloorInline:
    """One transaction a step, committed where the step runs."""

    name: ClassVar[str] = "floor-inline"
    durability: ClassVar[str] = "SQLite WAL, synchronous=FULL: one fdatasync a step"

    def __init__(self, folder: str) -> None:
        self._path = Path(folder) / "floor.db"

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        return db

    async def start(self) -> None:
        self._db = self._connect()
        self._db.executescript(SCHEMA)

    async def submit(self, run_id: str, kind: str, n: int) -> asyncio.Task[Json]:
        await self._write("INSERT INTO runs VALUES (?,?,?,'running',NULL,NULL)", run_id, kind, n)
        return asyncio.create_task(self._run(run_id, kind, n))

    async def result(self, handle: asyncio.Task[Json]) -> Json:
        return await handle

    async def recover(self, run_id: str, kind: str, n: int) -> Json:
        return await self._run(run_id, kind, n)

    async def _run(self, run_id: str, kind: str, n: int) -> Json:
        done = dict(self._db.execute("SELECT i, result FROM steps WHERE run = ?", (run_id,)))
        if kind == "park":
            await self._step(run_id, 0, done)
            wake_at = time.time() + n
            await self._write(
                "UPDATE runs SET state='asleep', wake_at=? WHERE id=?", wake_at, run_id
            )
            return {}
        if kind == "seq":
            total = 0
            for i in range(n):
                total += (await self._step(run_id, i, done))["i"]
        else:
            results = await asyncio.gather(*(self._step(run_id, i, done) for i in range(n)))
            total = sum(result["i"] for result in results)
        result = {"steps": n, "total": total}
        await self._write(
            "UPDATE runs SET state='done', result=? WHERE id=?", json.dumps(result), run_id
        )
        return result

    async def _step(self, run_id: str, i: int, done: dict[int, str]) -> Json:
        if i in done:
            return json.loads(done[i])
        result = step_body(run_id, i)
        await self._write("INSERT INTO steps VALUES (?,?,?)", run_id, i, json.dumps(result))
        return result

    async def _write(self, sql: str, *values: Any) -> None:
        self._db.execute(sql, values)

    def store_bytes(self) -> int:
        self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        (pages,) = self._db.execute("PRAGMA page_count").fetchone()
        (size,) = self._db.execute("PRAGMA page_size").fetchone()
        return pages * size

    def info(self) -> Json:
        return {
            "sqlite": sqlite3.sqlite_version,
            "journal_mode": self._db.execute("PRAGMA journal_mode").fetchone()[0],
            "synchronous": self._db.execute("PRAGMA synchronous").fetchone()[0],
        }

    async def stop(self) -> None:
        self._db.close()


class FloorGroup(FloorInline):
    """Rows are handed to a writer thread, which commits all that wait in one transaction."""

    name: ClassVar[str] = "floor-group"
    durability: ClassVar[str] = "SQLite WAL, synchronous=FULL: one fdatasync a group of steps"

    async def start(self) -> None:
        await super().start()
        self._loop = asyncio.get_running_loop()
        self._waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._write_groups, daemon=True).start()

    async def _write(self, sql: str, *values: Any) -> None:
        written: asyncio.Future[None] = self._loop.create_future()
        self._waiting.put((sql, values, written))
        await written

    def _write_groups(self) -> None:
        db = self._connect()
        while True:
            group = [self._waiting.get()]
            while True:
                try:
                    group.append(self._waiting.get_nowait())
                except queue.Empty:
                    break
            db.execute("BEGIN IMMEDIATE")
            for sql, values, _ in group:
                db.execute(sql, values)
            db.execute("COMMIT")
            self._loop.call_soon_threadsafe(_settle, [written for _, _, written in group])


def _settle(group: list[asyncio.Future[None]]) -> None:
    for written in group:
        written.set_result(None)
