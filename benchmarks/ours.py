"""The embedded engine of this project, on a SQLite file, as a user would run it."""

import asyncio
import os
import sqlite3
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.adapter import Json, step_body


class Ours:
    """A run is a workflow run; a step is `context.run`; a durable sleep is `context.sleep`."""

    name: ClassVar[str] = "ours"
    durability: ClassVar[str] = "SQLite WAL, synchronous=FULL: committed before the next line"

    def __init__(self, folder: str) -> None:
        self._path = Path(folder) / "ours.db"

    async def start(self) -> None:
        from workflow_agents import AsyncWorkflowContext, Engine

        self._engine = Engine(str(self._path))

        @self._engine.workflow("/bench")
        async def bench(context: AsyncWorkflowContext[Json]) -> Json | None:
            asked = context.request_payload
            run_id, kind, n = asked["run"], asked["kind"], asked["n"]

            async def step(i: int) -> Json:
                async def body() -> Json:
                    return step_body(run_id, i)

                return await context.run("step", body)

            if kind == "park":
                await step(0)
                await context.sleep("nap", n)
                return None
            if kind == "seq":
                total = 0
                for i in range(n):
                    total += (await step(i))["i"]
            else:
                results = await asyncio.gather(*(step(i) for i in range(n)))
                total = sum(result["i"] for result in results)
            return {"steps": n, "total": total}

        self._bench = bench
        await self._engine.__aenter__()

    async def submit(self, run_id: str, kind: str, n: int) -> Any:
        body = {"run": run_id, "kind": kind, "n": n}
        return await self._engine.client.trigger(self._bench, body=body, workflow_run_id=run_id)

    async def result(self, handle: Any) -> Json:
        return await handle.result()

    async def recover(self, run_id: str, kind: str, n: int) -> Json:  # noqa: ARG002
        return await self._engine.client.handle(run_id).result()

    def store_bytes(self) -> int:
        with sqlite3.connect(self._path) as db:
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            (pages,) = db.execute("PRAGMA page_count").fetchone()
            (size,) = db.execute("PRAGMA page_size").fetchone()
        db.close()
        return pages * size

    def info(self) -> Json:
        return {"sqlite": sqlite3.sqlite_version, "cores": os.cpu_count()}

    async def stop(self) -> None:
        await self._engine.__aexit__(None, None, None)
