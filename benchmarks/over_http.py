"""W1 and W2 over HTTP: a server, an endpoint with the workflow, and whoever starts the runs.

The server is the command `workflow-agents dev` in a process of its own, on a SQLite file with
`synchronous=FULL`; the endpoint is FastAPI under uvicorn in another. This process triggers the
runs and asks for their ends; the steps' own times are noted by the endpoint.

    python -m benchmarks.over_http            # both workloads
    python -m benchmarks.over_http endpoint PORT FOLDER     # the endpoint, which it starts
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.adapter import MARKS, Json, step_body
from benchmarks.beside import share, sqlite_per_s
from benchmarks.messages import TOKEN, rest
from benchmarks.procstat import cpu_seconds

PATIENCE_S = 120
GOALS = {"W1": 1_500, "W2": 4_000}  # steps/s


def serve(port: int, folder: str) -> None:
    """The endpoint."""
    import uvicorn
    from fastapi import FastAPI

    from workflow_agents import AsyncWorkflowContext
    from workflow_agents.fastapi import Serve

    app = FastAPI()
    workflows = Serve(app)
    MARKS.keep = False
    MARKS.write_to(f"{folder}/marks")

    @workflows.post("/bench")
    async def bench(context: AsyncWorkflowContext[Json]) -> Json:
        asked = context.request_payload
        total = 0
        for i in range(asked["n"]):

            async def body(i: int = i) -> Json:
                return step_body(asked["run"], i)

            total += (await context.run("step", body))["i"]
        return {"steps": asked["n"], "total": total}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


class Bench:
    """A server and an endpoint, each a process."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.server_port, self.port = free_port(), free_port()
        environment = {
            **os.environ,
            "QSTASH_URL": f"http://127.0.0.1:{self.server_port}",
            "QSTASH_TOKEN": TOKEN,
        }
        cli = [sys.executable, "-m", "workflow_agents.cli", "dev"]
        store = str(Path(folder) / "server.db")
        self.server = subprocess.Popen(
            [*cli, "--port", str(self.server_port), "--store", store], stdout=subprocess.DEVNULL
        )
        own = [sys.executable, "-m", "benchmarks.over_http", "endpoint", str(self.port), folder]
        self.endpoint = subprocess.Popen(own, env=environment)

    async def start(self) -> None:
        import httpx2

        await rest(self.server_port, 30)
        await rest(self.port, 30)
        self.http = httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{self.server_port}",
            headers={"Authorization": f"Bearer {TOKEN}"},
            trust_env=False,
            timeout=PATIENCE_S,
        )

    async def measure(self, name: str, runs: int, n: int, at_once: int) -> Json:
        """Trigger the runs in one request; flow control lets so many run at a time."""
        headers = {
            "content-type": "application/json",
            "upstash-flow-control-key": name,
            "upstash-flow-control-value": f"parallelism={at_once}",
        }
        items = [
            {
                "destination": f"http://127.0.0.1:{self.port}/bench",
                "headers": headers,
                "body": json.dumps({"run": f"{name}-{number}", "n": n}),
            }
            for number in range(runs)
        ]
        before, there, steps = self.cpus(), len(self.marks()), runs * n
        answer = await self.http.post("/v2/batch/trigger", json=items)
        assert answer.status_code == 201, answer.text
        async with asyncio.timeout(PATIENCE_S):
            while len(self.marks()) < there + steps:
                await asyncio.sleep(0.05)
        # The ends of the last runs, and a body that ran twice.
        await asyncio.sleep(0.5)
        used = [after - was for after, was in zip(self.cpus(), before, strict=True)]
        marks = self.marks()[there:]
        assert len(marks) == steps, f"{len(marks)} bodies for {steps} steps"
        for run in answer.json():
            ended = await self.http.get(f"/v2/workflows/runs/{run['workflowRunId']}")
            assert ended.status_code == 404, "a run has not ended"
        return {
            "steps_per_s": round((steps - 1) / ((marks[-1] - marks[0]) / 1e9), 1),
            "server_cpu_us": round(used[0] / steps * 1e6),
            "endpoint_cpu_us": round(used[1] / steps * 1e6),
        }

    def cpus(self) -> list[float]:
        """Seconds that server and endpoint have used so far."""
        return [cpu_seconds(process.pid) for process in (self.server, self.endpoint)]

    def marks(self) -> list[int]:
        from benchmarks.adapter import MARK

        file = Path(self.folder) / "marks"
        data = file.read_bytes() if file.exists() else b""
        return sorted(at for _, _, at in MARK.iter_unpack(data))

    async def stop(self) -> None:
        await self.http.aclose()
        for process in (self.endpoint, self.server):
            process.terminate()
            process.wait()


async def main() -> None:
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(folder)
        try:
            await bench.start()
            await bench.measure("warm", 2, 20, 2)
            figures["W1"] = await bench.measure("W1", 1, 200, 1)
            figures["W2"] = await bench.measure("W2", 200, 10, 50)
        finally:
            await bench.stop()
    for workload, found in figures.items():
        alone = await sqlite_per_s(workload)
        found |= share(found["steps_per_s"], GOALS[workload], workload, alone)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    if sys.argv[1:2] == ["endpoint"]:
        serve(int(sys.argv[2]), sys.argv[3])
    else:
        asyncio.run(main())
