"""The workloads; and, run as a program, one of them in a new process.

    python -m benchmarks.workloads '{"engine": "ours", "workload": "W1", ...}'

What they measure is told in README.md beside this file. The driver (`__main__`) starts this
program on a new empty folder; its findings are JSON lines in the file "out".
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

from benchmarks.adapter import MARKS, Adapter, Json

# workload -> its parameters
PARAMETERS: dict[str, dict[str, int]] = {
    "W1": {"n": 200},
    "W2": {"runs": 200, "n": 10, "at_once": 50},
    "W3L": {"n": 10_000},
    "W4": {},
    "W5": {"n": 100, "times": 5},
    "W6": {"runs": 5_000, "at_once": 50, "sleep_s": 3_600, "settle_s": 10, "idle_s": 5},
    "W7": {"n": 300, "kill_at": 150},
    "W7L": {"n": 5_000, "kill_at": 4_800},
    "W8": {"turns": 100, "prompt_bytes": 800_000, "result_bytes": 1_500},
    "W8S": {"turns": 1_000, "prompt_bytes": 200, "result_bytes": 80},
    "S1": {"n": 200, "at_once": 50},
    "A1": {"turns": 50},
    "H1": {"requests": 6_400, "at_once": 32},
}
EDGE = 200  # steps at either end of a long run that are compared

# adapter -> its module; imported by name, so that a process loads one engine only
ENGINES = {
    "ours": ("benchmarks.ours", "Ours"),
    "floor-inline": ("benchmarks.floor", "FloorInline"),
    "floor-group": ("benchmarks.floor", "FloorGroup"),
}


def percentile(values: list[float], share: float) -> float:
    """The value that this share of the values is below."""
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


def check(result: Json, n: int) -> None:
    """Refuse the result of an engine that lost or made up a step."""
    wanted = {"steps": n, "total": n * (n - 1) // 2}
    if result != wanted:
        raise AssertionError(f"wrong result {result!r}, expected {wanted!r}")


class Measurement:
    """One workload on one engine, in this process."""

    def __init__(self, engine: Adapter, folder: str, parameters: dict[str, int]) -> None:
        self.engine = engine
        self.folder = folder
        self.parameters = parameters

    def emit(self, **found: Any) -> None:
        """Write a line for the driver."""
        with open(f"{self.folder}/out", "a", encoding="utf-8") as out:
            out.write(json.dumps(found) + "\n")

    def window(self) -> Any:
        """Start counting what this process uses."""
        from benchmarks.procstat import Window  # not at the top: the cold start counts imports

        return Window(os.getpid())

    async def run(self, run_id: str, kind: str, n: int) -> None:
        """Start a run, wait for it, check what it returns."""
        check(await self.engine.result(await self.engine.submit(run_id, kind, n)), n)

    async def warm_up(self) -> None:
        """Ten steps that nobody counts."""
        await self.run("warm-up", "seq", 10)

    async def lone_run(self) -> None:
        """W1: one run of n steps."""
        await self.warm_up()
        n = self.parameters["n"]
        window, start = self.window(), time.perf_counter()
        await self.run("w1", "seq", n)
        wall = time.perf_counter() - start
        gaps = MARKS.intervals_ms("w1")
        self.emit(
            **window.close(),
            steps_per_s=n / wall,
            p50_ms=percentile(gaps, 0.5),
            p99_ms=percentile(gaps, 0.99),
        )

    async def many_runs(self) -> None:
        """W2: many runs of n steps, so many at a time."""
        await self.warm_up()
        runs, n = self.parameters["runs"], self.parameters["n"]
        gate = asyncio.Semaphore(self.parameters["at_once"])
        run_ms: list[float] = []

        async def one(k: int) -> None:
            async with gate:
                start = time.perf_counter()
                await self.run(f"w2-{k}", "seq", n)
                run_ms.append((time.perf_counter() - start) * 1e3)

        window, start = self.window(), time.perf_counter()
        await asyncio.gather(*(one(k) for k in range(runs)))
        wall, used = time.perf_counter() - start, window.close()
        self.emit(
            **used,
            steps_per_s=runs * n / wall,
            cpu_s_per_1000_steps=used["cpu_s"] / (runs * n) * 1000,
            run_p50_ms=percentile(run_ms, 0.5),
            run_p99_ms=percentile(run_ms, 0.99),
        )

    async def long_run(self) -> None:
        """W3L: one very long run; its end compared with its beginning."""
        await self.warm_up()
        n = self.parameters["n"]
        window, start = self.window(), time.perf_counter()
        await self.run("w3", "seq", n)
        wall = time.perf_counter() - start
        gaps = MARKS.intervals_ms("w3")
        first, last = sum(gaps[:EDGE]), sum(gaps[-EDGE:])
        self.emit(
            **window.close(),
            total_s=wall,
            steps_per_s=n / wall,
            first_ms=first,
            last_ms=last,
            growth=last / first,
        )

    async def cold_start(self) -> None:
        """W4: a run of one step; the driver counts from the start of the process."""
        await self.run(f"w4-{os.getpid()}", "seq", 1)
        self.emit(done_ns=time.perf_counter_ns())

    async def fan(self) -> None:
        """W5: n steps at once and a join; the median of some runs."""
        n = self.parameters["n"]
        await self.run("warm-up", "fan", n)
        window = self.window()
        total_ms: list[float] = []
        for k in range(self.parameters["times"]):
            start = time.perf_counter()
            await self.run(f"w5-{k}", "fan", n)
            total_ms.append((time.perf_counter() - start) * 1e3)
        self.emit(**window.close(), total_ms=percentile(total_ms, 0.5), best_ms=min(total_ms))

    async def parked(self) -> None:
        """W6: thousands of runs that do one step and sleep for an hour."""
        from benchmarks.procstat import memory_mib

        await self.warm_up()
        MARKS.keep = False
        runs, gate = self.parameters["runs"], asyncio.Semaphore(self.parameters["at_once"])
        await asyncio.sleep(1)
        pss_before, bytes_before = memory_mib(os.getpid())[1], self.engine.store_bytes()
        steps_before = MARKS.count

        async def one(k: int) -> None:
            async with gate:
                await self.engine.submit(f"w6-{k}", "park", self.parameters["sleep_s"])

        window, start = self.window(), time.perf_counter()
        await asyncio.gather(*(one(k) for k in range(runs)))
        while MARKS.count - steps_before < runs:
            await asyncio.sleep(0.02)
        parked_s, used = time.perf_counter() - start, window.close()
        await asyncio.sleep(self.parameters["settle_s"])
        rss, pss = memory_mib(os.getpid())
        window = self.window()
        await asyncio.sleep(self.parameters["idle_s"])
        idle = window.close()
        self.emit(
            **used,
            parked_s=parked_s,
            rss_mib=rss,
            pss_mib=pss,
            pss_kib_per_run=(pss - pss_before) * 1024 / runs,
            store_bytes_per_run=(self.engine.store_bytes() - bytes_before) / runs,
            idle_cpu_percent=idle["cpu_s"] / idle["wall_s"] * 100,
        )

    async def first_life(self) -> None:
        """W7, W7L: a run whose process is about to be killed."""
        await self.run("w7", "seq", self.parameters["n"])

    async def second_life(self) -> None:
        """W7, W7L: a new process, in which the run goes on."""
        self.emit(ready_ns=time.perf_counter_ns())
        result = await self.engine.recover("w7", "seq", self.parameters["n"])
        self.emit(done_ns=time.perf_counter_ns(), total=result["total"])

    async def conversation(self) -> None:
        """W8, W8S: an agent's conversation, on an engine of its own."""
        from benchmarks.conversation import converse

        self.emit(**await converse(self.folder, self.parameters))

    async def syncs(self) -> None:
        """S1: two stretches whose beginning and end the tracer's times are compared with."""
        await self.warm_up()
        n, lanes = self.parameters["n"], self.parameters["at_once"]
        start = time.time()
        await self.run("s1", "seq", n)
        self.emit(stretch="alone", start=start, end=time.time(), steps=n)
        await asyncio.sleep(0.2)
        start = time.time()
        await asyncio.gather(*(self.run(f"s1-{k}", "seq", n // 10) for k in range(lanes)))
        self.emit(stretch="together", start=start, end=time.time(), steps=n // 10 * lanes)

    async def agents(self) -> None:
        """A1: what the agents layer adds to a turn, beside the same steps without it."""
        from benchmarks.agents import cpu_per_turn

        self.emit(**await cpu_per_turn(self.folder, self.parameters["turns"]))

    async def outbound(self) -> None:
        """H1: requests that the engine makes of other machines."""
        from benchmarks.outbound import requests_per_second

        self.emit(**await requests_per_second(**self.parameters))


# what a process is asked for -> what it does
PARTS: dict[str, Callable[[Measurement], Coroutine[Any, Any, None]]] = {
    "W1": Measurement.lone_run,
    "W2": Measurement.many_runs,
    "W3L": Measurement.long_run,
    "W4": Measurement.cold_start,
    "W5": Measurement.fan,
    "W6": Measurement.parked,
    "first life": Measurement.first_life,
    "second life": Measurement.second_life,
    "W8": Measurement.conversation,
    "W8S": Measurement.conversation,
    "S1": Measurement.syncs,
    "A1": Measurement.agents,
    "H1": Measurement.outbound,
}


def load(engine: str, folder: str) -> Adapter:
    """Import one adapter and hand it its folder."""
    from importlib import import_module

    module, name = ENGINES[engine]
    return getattr(import_module(module), name)(folder)


async def measure(asked: Json) -> None:
    """Do one part on one engine, in this process."""
    if asked.get("marks"):
        MARKS.write_to(asked["marks"])
    engine = load(asked["engine"], asked["folder"])
    await engine.start()
    measurement = Measurement(engine, asked["out"], asked["parameters"])
    await PARTS[asked["part"]](measurement)
    measurement.emit(info=engine.info())
    if asked["part"] != "W6":  # thousands of sleeping runs need no orderly goodbye
        await engine.stop()


if __name__ == "__main__":
    asyncio.run(measure(json.loads(sys.argv[1])))
    os._exit(0)  # the work is done and written; threads may be waiting for more
