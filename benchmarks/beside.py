"""What the parts cost alone, measured in the same minutes as what is made of them.

The goals of what goes over HTTP were set on one machine, of which is known what bare aiohttp and
raw SQLite do there. Elsewhere a goal is met by the same share of them.
"""

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

import aiohttp

from benchmarks.__main__ import attempt
from benchmarks.adapter import Json
from benchmarks.outbound import BODY, HEADERS, rate_of
from benchmarks.report import FLOOR_OF

REQUESTS = 6_400
CONNECTIONS = 32

THERE = {"aiohttp": 14_100.0, "W1": 3_519.0, "W2": 37_014.0}
"""Requests/s over 32 connections on loopback, and raw SQLite's steps/s, where goals were set."""


async def aiohttp_per_s() -> float:
    """Requests a second of bare aiohttp over 32 connections, to a server that does nothing."""
    command = [sys.executable, "-m", "benchmarks.outbound"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    url = f"http://127.0.0.1:{int(server.stdout.readline())}/path"
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def send() -> int:
                async with session.post(url, headers=HEADERS, data=BODY) as answer:
                    await answer.read()
                    return answer.status

            rates = [(await rate_of(send, REQUESTS, CONNECTIONS))[0] for _ in range(2)]
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
    return max(rates)


async def sqlite_per_s(workload: str) -> float:
    """Steps a second of raw SQLite in W1 or W2."""
    floor = FLOOR_OF[workload]
    assert floor is not None
    with tempfile.TemporaryDirectory() as root:
        found = await asyncio.to_thread(attempt, workload, floor, Path(root))
    return float(found["steps_per_s"])


def share(found: float, goal: float, part: str, alone: float) -> Json:
    """How much of what a part does alone was reached, and how much the goal was of it."""
    return {
        f"{part}_per_s": alone,
        f"share_of_{part}": found / alone,
        "share_asked_for": goal / THERE[part],
    }
