"""S3: workflows of the official Python SDK on our server, over HTTP.

The server is the command `workflow-agents dev` in a process of its own, on a SQLite file with
`synchronous=FULL`; the endpoint is another one. Each step is a visit of the server and a request
of the SDK: what is measured is both of them, on two cores.

In each visit the SDK makes an HTTP client of which it uses nothing, and which reads every
certificate that it trusts. It can be told of a file with fewer, which is measured too.
"""

import asyncio
import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

from benchmarks.adapter import Json
from benchmarks.beside import aiohttp_per_s, share
from benchmarks.messages import TOKEN, free_port, rest
from benchmarks.procstat import cpu_seconds

GOAL = 250  # steps/s


async def steps_per_second(folder: Path, steps: int, at_once: int, *, certificates: bool) -> Json:
    """The figures of so many runs at once, of so many steps each.

    Args:
        folder: for the store.
        steps: of a run.
        at_once: runs.
        certificates: whether the endpoint's process knows those of the system.
    """
    port, endpoint_port = free_port(), free_port()
    env = {**os.environ, "QSTASH_URL": f"http://127.0.0.1:{port}", "QSTASH_TOKEN": TOKEN}
    if not certificates:
        env["SSL_CERT_FILE"] = str(one_certificate(folder))
    command = [sys.executable, "-m", "workflow_agents.cli", "dev", "--port", str(port)]
    server = subprocess.Popen(
        [*command, "--store", str(folder / "sdk.db")], stdout=subprocess.DEVNULL
    )
    endpoint = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.sdk_endpoint", str(endpoint_port)],
        env=env,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert endpoint.stdout is not None
    try:
        await rest(port, 30)
        await rest(endpoint_port, 30)
        figures: Json = {}
        for wanted, runs in ((20, 1), (steps, at_once)):  # the first is a warm-up
            cpu = [cpu_seconds(process.pid) for process in (server, endpoint)]
            for _ in range(runs):
                await asyncio.to_thread(trigger, port, f"http://127.0.0.1:{endpoint_port}", wanted)
            took = [float(await asyncio.to_thread(endpoint.stdout.readline)) for _ in range(runs)]
            used = [
                (cpu_seconds(process.pid) - before) / runs / wanted * 1e6
                for process, before in zip((server, endpoint), cpu, strict=True)
            ]
            figures = {
                "steps_per_s": runs * wanted / max(took),
                "server_cpu_us": used[0],
                "endpoint_cpu_us": used[1],
            }
        return figures
    finally:
        for process in (endpoint, server):
            process.terminate()
            process.wait()


def one_certificate(folder: Path) -> Path:
    """A file with one of those that the SDK trusts: on loopback none is needed."""
    import certifi

    first, end, _ = (
        Path(certifi.where()).read_text(encoding="utf-8").partition("-----END CERTIFICATE-----")
    )
    path = folder / "one.pem"
    path.write_text(f"{first}{end}\n", encoding="utf-8")
    return path


def trigger(port: int, endpoint: str, steps: int) -> None:
    """Start a run."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v2/trigger/{endpoint}/steps",
        data=str(steps).encode(),
        headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
    )
    urllib.request.urlopen(request).close()


async def main() -> None:
    """One run alone, and ten at once."""
    import tempfile

    for at_once, certificates in ((1, True), (1, False), (10, False)):
        with tempfile.TemporaryDirectory() as folder:
            figures = await steps_per_second(Path(folder), 200, at_once, certificates=certificates)
            asked = {"runs at once": at_once, "certificates of the system": certificates}
            alone = await aiohttp_per_s()
            figures |= share(figures["steps_per_s"], GOAL, "aiohttp", alone)
            print(json.dumps({**asked, **figures}, indent=1))


if __name__ == "__main__":
    asyncio.run(main())
